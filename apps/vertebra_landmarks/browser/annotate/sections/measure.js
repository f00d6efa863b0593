/** Section Measurements: Cobb angles, updated with every move of a point, warnings, and the patient's side. */

import { fill, h } from "../../shell/dom.js";
import { row, section, selectBox, setText } from "./controls.js";

/** @typedef {import("../../api/types.js").Curve} Curve */
/** @typedef {import("../../api/types.js").Measurement} Measurement */
/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

const SIDES = [
    { value: "", text: "not stated" },
    { value: "left", text: "patient's left" },
    { value: "right", text: "patient's right" },
];
const COLUMNS = ["Ends", "Apex", "Convex to", "Angle"];

/** Curves of the present points. */
export class MeasureSection {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        this.rows = h("tbody", {});
        this.table = h("table", { class: "angles", "data-testid": "angles", title: "Every curve of at least 10 degrees, " +
            "else the largest one; updated while you move a point." },
            h("caption", { class: "visually-hidden" }, "Cobb angles"),
            h("thead", {}, h("tr", {}, ...COLUMNS.map((text) => h("th", { scope: "col" }, text)))), this.rows);
        this.none = h("p", { class: "hint" }, "No curve can be measured yet.");
        this.interval = h("p", { class: "hint", "data-testid": "interval", title: "What the interval of an angle means." });
        this.tilt = h("span", { class: "hint summary-value", "data-testid": "t1-tilt",
            title: "How far the upper endplate of T1 is tilted; positive where its right end is the lower one." });
        this.warnings = h("ul", { class: "warnings", "data-testid": "warnings", "aria-label": "Reasons to doubt the " +
            "measurements", tabindex: 0 }); // it may scroll, also with keys
        this.side = selectBox("Image left is", "The patient's side at the left of the upright image, where the file does " +
            "not state it.", SIDES, (value) => void page.setSide(value === "left" || value === "right" ? value : null),
            "image-left-is");
        this.sides = h("span", { class: "hint", "data-testid": "sides" });
        this.element = section(page.workspace.context.settings, "measurements", "Measurements", true,
            this.table, this.none, this.interval, this.warnings,
            row(h("label", { class: "inline" }, "Image left is", this.side), this.sides));
        this.element.querySelector("summary")?.append(this.tilt);
    }

    /** Show whose sides are shown. */
    refresh() {
        const { workspace } = this.page;
        const { image, imageLeftIs, isSideInFile } = workspace;
        this.side.disabled = image === null || isSideInFile;
        this.side.value = imageLeftIs ?? "";
        const source = isSideInFile ? image?.facts.image_left_is_source : "stated by a person";
        setText(this.sides, imageLeftIs ? `Sides are the patient's, ${source}.` : "Sides are the image's.");
        this.element.classList.toggle("stale", workspace.isLost);
    }

    /** Show measurements; fast, as it runs with every move. @param {Measurement} measured */
    show(measured) {
        fillCells(this.rows, measured.curves.map(curveCells));
        this.table.hidden = !measured.curves.length;
        this.none.hidden = measured.curves.length > 0;
        const tilt = measured.t1_tilt_deg;
        setText(this.tilt, tilt === null ? "" : `T1 tilt ${tilt.toFixed(1).replace("-", "−")}°`);
        setText(this.interval, measured.interval);
        const hasPoints = Object.keys(measured.vertebrae).length > 0;
        const warnings = hasPoints ? measured.warnings : this.page.workspace.image?.facts.warnings ?? [];
        const texts = warnings.map(({ message }) => message);
        if (texts.join() !== [...this.warnings.children].map((item) => item.textContent).join()) {
            fill(this.warnings, ...texts.map((text) => h("li", {}, text)));
        }
    }
}

/**
 * End vertebrae, apex, side, and degrees with their interval.
 * @param {Curve} curve
 * @returns {string[]}
 */
function curveCells(curve) {
    const larger = curve.open_ends?.length ? ", may be larger" : "";
    const interval = curve.half_width_deg === null ? "" : ` ± ${curve.half_width_deg.toFixed(0)}`;
    return [
        `${curve.upper_end} to ${curve.lower_end}`, curve.apex, curve.side,
        `${curve.angle_deg.toFixed(1)}${interval}°${larger}`,
    ];
}

/**
 * Fill a table; only texts that differ are changed.
 * @param {HTMLTableSectionElement} body
 * @param {string[][]} rows
 */
function fillCells(body, rows) {
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((texts, r) => {
        const line = body.rows[r] ?? body.insertRow();
        texts.forEach((text, c) => setText(line.cells[c] ?? line.insertCell(), text));
    });
}
