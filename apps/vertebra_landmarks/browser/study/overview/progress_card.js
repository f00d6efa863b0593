/** How far the study is, and each of its readers. */

import { fill, h, nameElement } from "../../shell/dom.js";
import { countText, durationText, plural } from "../../shell/format.js";

/** @typedef {import("../../api/types.js").ReaderProgress} ReaderProgress */
/** @typedef {import("../../api/types.js").StudyProgress} StudyProgress */

const HEADINGS = ["Read", "Open", "To do", "Median time"];

/** A card with numbers of images and a row per reader. */
export class ProgressCard {
    constructor() {
        this.figures = h("dl", { class: "figures" });
        this.body = h("tbody");
        this.element = h("section", { class: "card", "aria-label": "Progress" },
            h("div", { class: "card-head" }, h("h2", {}, "Progress")), this.figures,
            h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Readers" },
                h("table", { class: "table", "data-testid": "study-readers" },
                    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Reader"),
                        ...HEADINGS.map((text) => h("th", { scope: "col", class: "number" }, text)))), this.body)));
    }

    /** @param {StudyProgress} progress @param {string} own name of the user */
    show({ readers, images, read, to_adjudicate: waiting, final }, own) {
        const figures = /** @type {[string, number][]} */ ([["Images", images], ["Read as planned", read], ["To adjudicate", waiting], ["Final labels", final]]);
        fill(this.figures, ...figures.map(([name, count]) => h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, countText(count)))));
        fill(this.body, ...readers.map((one) => rowOf(one, own)));
    }
}

/** @param {ReaderProgress} progress @param {string} own */
function rowOf({ reader, done, open, to_do: left, seconds_median: seconds }, own) {
    const cell = (/** @type {string} */ text) => h("td", { class: "number" }, text);
    const bar = h("span", { class: "progress-part", "data-state": "labelled" });
    const all = done + open + left;
    bar.style.width = all ? `${(100 * done) / all}%` : "0";
    return h("tr", {}, h("th", { scope: "row" }, nameElement(reader), reader === own && h("span", { class: "badge" }, "you"),
        h("span", { class: "progress-bar", role: "img", "aria-label": `${done} of ${plural(all, "reading")}` }, bar)),
    cell(countText(done)), cell(countText(open)), cell(countText(left)), cell(seconds === null ? "–" : durationText(seconds)));
}
