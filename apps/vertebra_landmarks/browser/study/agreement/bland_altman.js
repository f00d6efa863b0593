/** Differences over means of two readings, with bias and limits of agreement. */

import { axis, Chart, SERIES_COLORS, X_AXIS } from "../../shell/chart.js";
import { angleText, changeText, plural } from "../../shell/format.js";
import { numberText } from "./figures.js";

/** @typedef {import("../../api/types.js").AngleComparison} AngleComparison */
/** @typedef {import("../../api/types.js").TableRow} TableRow */

const HEIGHT = 300;
const [BIAS, LOWER, UPPER] = ["bias_deg", "lower_limit_deg", "upper_limit_deg"];
/** Room around the points, in parts of their range, and in degrees at least. */
const [ROOM, MIN_ROOM_DEG] = [0.1, 1];

/** A Bland–Altman plot of one comparison. */
export class BlandAltman {
    constructor() {
        this.chart = new Chart("Bland–Altman", "Each point is an image: the difference of the two angles over their mean", "plot-bland-altman", HEIGHT);
        this.element = this.chart.element;
    }

    /** @param {AngleComparison} comparison @param {TableRow|undefined} figures its row of the table of angles */
    show(comparison, figures) {
        const points = comparison.points.map(([image, first, second]) => ({ image, first, second, mean: (first + second) / 2, apart: first - second }))
            .sort((a, b) => a.mean - b.mean);
        const lines = [BIAS, LOWER, UPPER].map((name) => (typeof figures?.[name] === "number" ? figures[name] : null));
        const columns = lines.map((value) => points.map(() => value));
        const color = SERIES_COLORS[0];
        this.chart.show({
            summary: `${comparison.title}, ${comparison.angle} angle: ${plural(points.length, "image")}` +
                (lines[0] === null ? "" : `, bias ${numberText(lines[0], 1)}°, limits of agreement ${numberText(lines[1] ?? "", 1)}° to ${numberText(lines[2] ?? "", 1)}°`),
            legend: [["an image", color], ...(lines[0] === null ? [] : /** @type {[string, string][]} */ ([["bias", SERIES_COLORS[1]], ["limits of agreement", SERIES_COLORS[4]]]))],
            options: {
                width: 0, height: 0, cursor: { drag: { x: false, y: false }, points: { size: 10 } },
                scales: { x: { time: false, range: roomy }, y: { range: roomy } },
                axes: [axis("Mean of both (°)", X_AXIS), axis(`${comparison.first} − ${comparison.second} (°)`, { size: 50 })],
                series: [{}, { label: "difference", stroke: color, paths: () => null, points: { show: true, size: 8, fill: color } },
                    ...lines.map((_, index) => ({ label: [BIAS, LOWER, UPPER][index], stroke: SERIES_COLORS[index ? 4 : 1], width: 1.5,
                        dash: index ? [7, 5] : [], points: { show: false } }))],
            },
            data: [points.map(({ mean }) => mean), points.map(({ apart }) => apart), ...columns],
            readout: (at) => (at === null ? "" : `${points[at].image}: ${angleText(points[at].first)} − ${angleText(points[at].second)} = ${changeText(points[at].apart)}`),
            headings: ["Image", comparison.first, comparison.first === comparison.second ? "repeat" : comparison.second, "Difference"],
            rows: points.map(({ image, first, second, apart }) => [image, angleText(first), angleText(second), changeText(apart)]),
        });
    }

    /** Release the plot. */
    close() {
        this.chart.close();
    }
}

/** @type {uPlot.Range.Function} */
function roomy(_, low, high) {
    const room = Math.max((high - low) * ROOM, MIN_ROOM_DEG);
    return [low - room, high + room];
}
