/** How far the study is: one bar of all images by their state. */

import { countText, plural } from "../shell/format.js";
import { fill, h } from "../shell/dom.js";

/** @typedef {import("../api/types.js").ImageCounts} ImageCounts */

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
