/** Distances of corners between two readings by level. */

import { VERTEBRAE } from "../../editor/schema.js";
import { axis, Chart, SERIES_COLORS, X_AXIS } from "../../shell/chart.js";
import { estimateText, numberText } from "./figures.js";

/** @typedef {import("../../api/types.js").TableRow} TableRow */

const HEIGHT = 300;

/** A plot with a point per level. */
export class CornerPlot {
    constructor() {
        this.chart = new Chart("Corners", "Mean distance of the corners of the same vertebra", "plot-corners", HEIGHT);
        this.element = this.chart.element;
    }

    /** @param {string} title of the comparison @param {TableRow[]} rows of the table of corners, one per level and one of all */
    show(title, rows) {
        const levels = rows.filter(({ level }) => VERTEBRAE.includes(String(level)));
        const values = levels.map(({ mean_px: px }) => (typeof px === "number" ? px : null));
        const all = rows.find(({ level }) => level === "all");
        const color = SERIES_COLORS[0];
        if (!values.some((px) => px !== null)) return this.chart.showEmpty("These readings have no vertebra in common.");
        this.chart.show({
            summary: `${title}: mean distance of corners by level${all ? `, ${numberText(all.mean_px, 1)} px over all` : ""}`,
            legend: [[all ? `mean of all levels ${estimateText(all, "mean_px", 1)} px` : title, color]],
            options: {
                width: 0, height: 0, cursor: { drag: { x: false, y: false }, points: { size: 9 } },
                scales: { x: { time: false, range: [-0.5, VERTEBRAE.length - 0.5] }, y: { range: (_, __, high) => [0, Math.max(1, high * 1.15)] } },
                axes: [axis("Level", { ...X_AXIS, incrs: [1, 2, 4], values: (_, splits) => splits.map((at) => VERTEBRAE[at] ?? "") }), axis("Distance (px)", { size: 50 })],
                series: [{}, { label: "mean", stroke: color, width: 1.5, points: { show: true, size: 8, fill: color } }],
            },
            data: [levels.map(({ level }) => VERTEBRAE.indexOf(String(level))), values],
            readout: (at) => (at === null ? "" : `${levels[at].level}: ${estimateText(levels[at], "mean_px", 1)} px`),
            headings: ["Level", "Images", "Mean (px)", "Median", "95 %", "Mean (mm)"],
            rows: [...levels, ...(all ? [all] : [])].map((row) => [String(row.level), String(row.images), estimateText(row, "mean_px", 1),
                numberText(row.median_px, 1), numberText(row.p95_px, 1), numberText(row.mean_mm, 1)]),
        });
    }

    /** Release the plot. */
    close() {
        this.chart.close();
    }
}
