/** The angles of two readings side by side, the same curve in one row. */

import { pairedCurves } from "../../editor/measuring.js";
import { fill, h, nameElement } from "../../shell/dom.js";
import { angleText } from "../../shell/format.js";

/** @typedef {import("../../api/types.js").Curve} Curve */
/** @typedef {import("../../api/types.js").StudyReading} StudyReading */

/** A table with a column per reading. */
export class AngleTable {
    constructor() {
        this.element = h("table", { class: "angles both-angles", "data-testid": "both-angles" });
    }

    /**
     * Show two readings.
     * @param {StudyReading} first
     * @param {StudyReading} second
     * @param {string[]} colors of both
     * @param {number | null} difference of the largest angles in degrees
     */
    show(first, second, colors, difference) {
        const rows = pairedCurves(first.measured.curves, second.measured.curves);
        const head = [first, second].map(({ reader }, index) => h("th", { scope: "col" }, swatch(colors[index]), nameElement(reader || "no name")));
        const body = rows.map(([one, other]) => h("tr", {}, h("td", {}, ...curveContent(one)), h("td", {}, ...curveContent(other)),
            h("td", { class: "number" }, one && other ? angleText(apart(one, other)) : "–")));
        const empty = h("tr", {}, h("td", { colspan: 3 }, "Neither reading has a curve to measure."));
        const largest = difference === null ? "" : `Largest angles differ by ${angleText(difference)}`;
        fill(this.element, h("caption", { class: "hint" }, largest || "Cobb angles of both readings"),
            h("thead", {}, h("tr", {}, ...head, h("th", { scope: "col", class: "number" }, "Apart"))),
            h("tbody", {}, ...(body.length ? body : [empty])));
    }
}

/** A patch of the colour in which a reading is drawn. @param {string} color */
export function swatch(color) {
    const element = h("span", { class: "swatch", "aria-hidden": "true" });
    element.style.background = color;
    return element;
}

/** Difference of two angles as they are shown. @param {Curve} one @param {Curve} other @returns {number} degrees */
function apart(one, other) {
    return Math.abs(Math.round(10 * one.angle_deg) - Math.round(10 * other.angle_deg)) / 10;
}

/** @param {Curve | null} curve */
function curveContent(curve) {
    if (!curve) return ["–"];
    const ends = `${curve.upper_end}–${curve.lower_end} ${curve.side}`;
    return [h("b", {}, angleText(curve.angle_deg)), " ", h("span", { class: "ends" }, ends)];
}
