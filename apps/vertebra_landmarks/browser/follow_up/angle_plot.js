/** The curves of a patient over time, measured at the same end vertebrae. */

import { angleText, plural } from "../shell/format.js";
import { axis, Chart, SERIES_COLORS, timeAxis, X_AXIS } from "../shell/chart.js";
import { endsOf } from "./comparison.js";

/** @typedef {import("../api/types.js").FollowUp} FollowUp */

const HEIGHT = 220;

/** A card with one line per curve. */
export class AnglePlot {
    constructor() {
        this.chart = new Chart("Angles over time", "Each curve at the same end vertebrae in all images", "plot-follow-up", HEIGHT);
        this.element = this.chart.element;
    }

    /** Show all images of a patient. @param {FollowUp} followUp */
    show(followUp) {
        const { images } = followUp;
        const ends = endsOf(followUp);
        const names = ends.map(({ upper_end, lower_end }) => `${upper_end}–${lower_end}`);
        const angles = ends.map(({ upper_end, lower_end }) => images.map((image) => image.same_ends.find((curve) =>
            curve.upper_end === upper_end && curve.lower_end === lower_end)?.angle_deg ?? null));
        if (!angles.some((row) => row.some((value) => value !== null))) {
            return this.chart.showEmpty("No curve is measured in these images yet. Label them, or let the model find the landmarks.");
        }
        const times = images.map(({ date }) => (date ? Date.parse(date) / 1000 : NaN));
        const hasDates = times.every(Number.isFinite) && new Set(times).size === times.length;
        const text = (/** @type {number|null} */ value) => value === null ? "–" : angleText(value);
        const nameOf = (/** @type {number} */ at) => images[at].date ?? images[at].id;
        const options = axesOf(hasDates, images.length);
        this.chart.show({
            summary: `${plural(ends.length, "curve")} in ${plural(images.length, "image")}`,
            legend: names.map((name, index) => [name, SERIES_COLORS[index % SERIES_COLORS.length]]),
            options: { width: 0, height: 0, cursor: { drag: { x: false, y: false }, points: { size: 8 } }, ...options,
                series: [{}, ...names.map((label, index) => ({
                    label, stroke: SERIES_COLORS[index % SERIES_COLORS.length], width: 2, spanGaps: true,
                    points: { show: true, size: 8, fill: SERIES_COLORS[index % SERIES_COLORS.length] },
                }))] },
            data: [hasDates ? times : images.map((_, at) => at + 1), ...angles],
            readout: (at) => at === null ? "" : `${nameOf(at)}: ${angles.map((row, index) => `${names[index]} ${text(row[at])}`).join(", ")}`,
            headings: ["Image", ...names],
            rows: images.map((_, at) => [nameOf(at), ...angles.map((row) => text(row[at]))]),
        });
    }

    /** Release the plot. */
    close() {
        this.chart.close();
    }
}

/**
 * Scales and axes; without dates, images are numbered.
 * @param {boolean} hasDates
 * @param {number} count of images
 * @returns {Pick<uPlot.Options, "scales"|"axes"|"tzDate">}
 */
function axesOf(hasDates, count) {
    const utc = (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
    /** @type {uPlot.Range.Function} */
    const roomy = (_, low, high) => {
        const room = Math.max((high - low) * 0.08, hasDates ? 86400 : 0.3);
        return [low - room, high + room];
    };
    const y = axis("Angle (°)", { size: 44 });
    const scales = { x: { time: hasDates, range: roomy }, y: { range: /** @type {uPlot.Range.Function} */ ((_, low, high) => [Math.min(0, low * 1.15), Math.max(10, high * 1.15)]) } };
    if (hasDates) return { scales, tzDate: utc, axes: [timeAxis("Date", utc), y] };
    const x = axis("Image, in order", { ...X_AXIS, incrs: [1, 2, 5, 10], values: (_, splits) =>
        splits.map((value) => (Number.isInteger(value) && value >= 1 && value <= count ? String(value) : "")) });
    return { scales, axes: [x, y] };
}
