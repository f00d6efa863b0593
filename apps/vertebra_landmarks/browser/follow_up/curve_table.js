/** The curves of two images side by side: as each image has them, and at the same end vertebrae. */

import { angleText } from "../shell/format.js";
import { fill, h } from "../shell/dom.js";
import { changeOrDash, compare, intervalText, meaning } from "./comparison.js";

/** @typedef {import("../api/types.js").FollowUp} FollowUp */
/** @typedef {import("../api/types.js").FollowUpImage} FollowUpImage */
/** @typedef {import("../api/types.js").Curve} Curve */

/** A card with the table. */
export class CurveTable {
    constructor() {
        this.body = h("tbody");
        this.before = [h("th", { scope: "col", class: "number" }), h("th", { scope: "col", class: "number" })];
        this.after = [h("th", { scope: "col", class: "number" }), h("th", { scope: "col", class: "number" })];
        this.tilt = h("p", { class: "hint" });
        this.element = h("section", { class: "card", "aria-label": "Curves" },
            h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Curves"), h("p", { class: "hint small" },
                "A change counts where both images are measured at the same end vertebrae; each image's own end vertebrae may differ"))),
            h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Curves" },
                h("table", { class: "table curves", "data-testid": "curves" },
                    h("thead", {},
                        h("tr", {}, h("td", {}), h("th", { scope: "colgroup", colspan: 4 }, "At the same end vertebrae"),
                            h("th", { scope: "colgroup", colspan: 2 }, "With each image's own end vertebrae")),
                        h("tr", {}, h("th", { scope: "col" }, "Curve"), this.before[0], this.after[0],
                            h("th", { scope: "col", class: "number" }, "Change"), h("th", { scope: "col" }, "Meaning"),
                            this.before[1], this.after[1])),
                    this.body)),
            this.tilt);
    }

    /** Show two images. @param {FollowUp} followUp @param {FollowUpImage} before @param {FollowUpImage} after */
    show(followUp, before, after) {
        for (const heading of this.before) heading.textContent = before.date ?? "earlier";
        for (const heading of this.after) heading.textContent = after.date ?? "later";
        const curves = compare(followUp, before, after);
        const rows = curves.map((curve) => h("tr", {},
            h("th", { scope: "row" }, curve.name), angle(curve.before), angle(curve.after),
            h("td", { class: "number change" }, changeOrDash(curve.change)),
            h("td", { class: "meaning", "data-within": String(curve.isWithinError) }, meaning(curve)),
            free(curve.freeBefore), free(curve.freeAfter)));
        if (rows.length) fill(this.body, ...rows);
        else fill(this.body, h("tr", {}, h("td", { colspan: 7, class: "hint" }, "No curve is measured in these images yet.")));
        const tilts = [before, after].map(({ t1_tilt_deg: tilt }) => (tilt === null ? "–" : angleText(tilt)));
        this.tilt.textContent = `T1 tilt: ${tilts[0]} → ${tilts[1]}`;
    }
}

/** @param {number|null} degrees */
function angle(degrees) {
    return h("td", { class: "number" }, degrees === null ? "–" : angleText(degrees));
}

/** @param {Curve|null} curve */
function free(curve) {
    return h("td", { class: "number" }, curve ? `${intervalText(curve)}  ${curve.upper_end}–${curve.lower_end}` : "–");
}
