/** How far the study is: one bar of all images by their state; with a plan, how far each reader is. */

import { countText, plural } from "../shell/format.js";
import { fill, h, nameElement } from "../shell/dom.js";
import { hrefOf } from "../shell/router.js";

/** @typedef {import("../api/types.js").ImageCounts} ImageCounts */
/** @typedef {import("../api/types.js").ReaderProgress} ReaderProgress */
/** @typedef {import("../shell/study.js").Study} Study */

/** States in the order of the bar. */
const PARTS = /** @type {const} */ (["labelled", "predicted", "unreadable"]);

/** A bar with a sentence. */
export class StudyProgress {
    constructor() {
        this.parts = new Map(PARTS.map((state) => [state, h("span", { class: "progress-part", "data-state": state })]));
        this.text = h("p", { class: "progress-text", "data-testid": "progress" });
        this.bar = h("div", {
            class: "progress-bar", role: "progressbar", "aria-label": "Labelled images", "aria-valuemin": 0,
            "aria-valuemax": 0, "aria-valuenow": 0,
        }, ...this.parts.values());
        this.element = h("div", { class: "study-progress" }, this.text, this.bar);
    }

    /** Show the numbers of images by state. @param {ImageCounts} counts */
    show(counts) {
        const { all, labelled } = counts;
        for (const [state, part] of this.parts) part.style.width = all ? `${(100 * (counts[state] ?? 0)) / all}%` : "0";
        const percent = all ? Math.floor((100 * labelled) / all) : 0;
        fill(this.text, h("strong", {}, countText(labelled)), ` of ${plural(all, "image")} labelled`,
            h("span", { class: "faint" }, ` · ${percent} %`));
        this.bar.setAttribute("aria-valuemax", String(all));
        this.bar.setAttribute("aria-valuenow", String(labelled));
        this.bar.setAttribute("aria-valuetext", `${labelled} of ${all} images labelled`);
    }
}

/** Readers shown at most; the page of the study has all. */
const MAX_READERS = 8;

/** A strip with the progress of each reader; hidden without a plan. */
export class ReaderStrip {
    constructor() {
        this.element = h("section", { class: "reader-strip", "aria-label": "Progress by reader", "data-testid": "reader-strip", hidden: true });
    }

    /** @param {Study} study */
    show(study) {
        const progress = study.status?.progress;
        this.element.hidden = !progress;
        if (!progress) return;
        const { readers, read, to_adjudicate: waiting, images } = progress;
        const own = study.status?.you.user ?? "";
        const isOwn = (/** @type {ReaderProgress} */ { reader }) => Number(reader === own);
        const shown = [...readers].sort((a, b) => isOwn(b) - isOwn(a)).slice(0, MAX_READERS);
        const note = study.hasPart ? `${countText(read)} of ${plural(images, "image")} read as planned${waiting ? `, ${countText(waiting)} to adjudicate` : ""}` : study.noPartText;
        fill(this.element, h("p", { class: "strip-note" }, note), h("ul", {}, ...shown.map((one) => readerItem(one, own))),
            h("a", { class: "link", href: hrefOf("study") }, "Study"));
    }
}

/** @param {ReaderProgress} progress @param {string} own name of the user */
function readerItem({ reader, done, open, to_do: left }, own) {
    const all = done + open + left;
    const bar = h("span", { class: "progress-part", "data-state": "labelled" });
    bar.style.width = all ? `${(100 * done) / all}%` : "0";
    return h("li", { class: reader === own ? "own" : null, title: `${reader}: ${done} read, ${open} open, ${left} to do` },
        nameElement(reader), h("span", { class: "progress-bar", "aria-hidden": "true" }, bar),
        h("span", { class: "faint" }, `${countText(done)} of ${countText(all)}`));
}
