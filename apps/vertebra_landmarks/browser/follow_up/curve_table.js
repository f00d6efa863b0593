/** The curves of two images side by side: at the same end vertebrae, and as each image has them. */

import { angleText } from "../shell/format.js";
import { pairedCurves } from "../editor/measuring.js";
import { fill, h } from "../shell/dom.js";
import { changeOrDash, compare, curveText, meaning } from "./comparison.js";

/** @typedef {import("../api/types.js").FollowUp} FollowUp */
/** @typedef {import("../api/types.js").FollowUpImage} FollowUpImage */
/** @typedef {import("../api/types.js").Curve} Curve */

/** A card with two tables. */
export class CurveTable {
    constructor() {
        this.changes = h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Changes" });
        this.own = h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Curves of each image" });
        this.tilt = h("p", { class: "hint" });
        this.element = h("section", { class: "card", "aria-label": "Curves" },
            h("div", { class: "card-head" }, h("h2", {}, "What has changed")),
            h("h3", {}, "At the same end vertebrae in both images"), this.changes,
            h("h3", {}, "Between each image's own end vertebrae"), this.own,
            this.tilt);
    }

    /** Show two images. @param {FollowUp} followUp @param {FollowUpImage} before @param {FollowUpImage} after */
    show(followUp, before, after) {
        const dates = [before.date ?? "earlier", after.date ?? "later"];
        const changes = compare(followUp, before, after).map((curve) => h("tr", {},
            h("th", { scope: "row" }, curve.name), ...curve.texts.map((text) => h("td", { class: "number" }, text)),
            h("td", { class: "number change" }, changeOrDash(curve.change)),
            h("td", { class: "meaning", "data-within": String(curve.isWithinError) }, meaning(curve))));
        const own = pairedCurves(before.curves, after.curves).map((pair) => h("tr", {}, ...pair.map((curve) =>
            h("td", {}, curve ? curveText(curve) : "–"))));
        fill(this.changes, table("changes", ["Curve", ...dates, "Change", ""], [1, 2, 3], changes));
        fill(this.own, table("curves", dates, [], own));
        const tilts = [before, after].map(({ t1_tilt_deg: tilt }) => (tilt === null ? "–" : angleText(tilt)));
        this.tilt.textContent = `T1 tilt: ${tilts[0]} → ${tilts[1]}`;
    }
}

/**
 * A table, or a sentence where it has no rows.
 * @param {string} testId
 * @param {string[]} headings "" for one that only screen readers are told
 * @param {number[]} numeric columns of numbers
 * @param {HTMLTableRowElement[]} rows
 */
function table(testId, headings, numeric, rows) {
    if (!rows.length) return h("p", { class: "hint" }, "No curve is measured in these images yet.");
    return h("table", { class: "table curves", "data-testid": testId },
        h("thead", {}, h("tr", {}, ...headings.map((text, column) => h("th", { scope: "col", class: numeric.includes(column) ? "number" : null },
            text || h("span", { class: "visually-hidden" }, "Meaning"))))),
        h("tbody", {}, ...rows));
}
