/** The four plots of the study. */

import { angleText, countText, dateText, dateTimeText, durationText, plural } from "../shell/format.js";
import { axis, Chart, plotColors, SERIES_COLORS, timeAxis, X_AXIS } from "../shell/chart.js";
import { BIN_DEG, cumulativeLabels, errorsOfVersions, histogram, median, MEDIAN_WINDOW, runningMedian, stacked } from "./plot_data.js";

/** @typedef {import("../api/types.js").Statistics} Statistics */
/** @typedef {import("../api/types.js").ModelVersion} ModelVersion */

const NO_DRAG = { drag: { x: false, y: false }, points: { size: 7 } };
const MINUTE_S = 60;

/** Days of the server are UTC. @param {number} seconds */
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
/** @param {number} seconds */
const dayText = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
/** @type {uPlot.Axis["values"]} */
const countsOnly = (_, splits) => splits.map((value) => (Number.isInteger(value) ? countText(value) : ""));

/** Labels over time, error over versions, time per image and angles. */
export class Plots {
    constructor() {
        this.labels = new Chart("Labels over time", "All labels until each day, by reader", "plot-labels");
        this.errors = new Chart("Error over versions", "Mean on held-out images, in steps between vertebrae", "plot-errors");
        this.seconds = new Chart("Time per image", "Working time of each label, and the median of its neighbours", "plot-seconds");
        this.angles = new Chart("Largest angle", "Largest Cobb angle of each labelled image", "plot-angles");
        this.charts = [this.labels, this.errors, this.seconds, this.angles];
    }

    /** Show what the labels tell. @param {Statistics} statistics */
    showStatistics(statistics) {
        showLabels(this.labels, statistics.labels_by_day);
        showSeconds(this.seconds, statistics.seconds);
        showAngles(this.angles, statistics.largest_angle_deg);
    }

    /** Show what the versions tell. @param {ModelVersion[]} versions */
    showVersions(versions) {
        showErrors(this.errors, versions);
    }

    /** Show a sentence in place of all. @param {string} sentence */
    showFailure(sentence) {
        for (const chart of [this.labels, this.seconds, this.angles]) chart.showEmpty(sentence);
    }

    /** Release everything. */
    close() {
        for (const chart of this.charts) chart.close();
    }
}

/** @param {Chart} chart @param {Statistics["labels_by_day"]} byDay */
function showLabels(chart, byDay) {
    const { days, readers, totals } = cumulativeLabels(byDay);
    if (!days.length) return chart.showEmpty("No image is labelled yet. Labels appear here from the first one on.");
    const sums = stacked(totals);
    const all = /** @type {number[]} */ (sums.at(-1));
    chart.show({
        summary: `${plural(all[all.length - 1], "label")} by ${plural(readers.length, "reader")} from ${dayText(days[0])} to `
            + `${dayText(days[days.length - 1])}`,
        legend: readers.map((name, index) => [name, SERIES_COLORS[index]]),
        options: {
            width: 0, height: 0, tzDate: utc, cursor: NO_DRAG, scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] } },
            series: [{}, ...readers.map((name, index) => ({
                label: name, stroke: SERIES_COLORS[index], fill: `${SERIES_COLORS[index]}59`, width: 1.5,
                points: { show: days.length === 1 },
            }))],
            bands: readers.slice(1).map((_, index) => ({ series: /** @type {[number, number]} */ ([index + 2, index + 1]) })),
            axes: [timeAxis("Day", utc), axis("Labels", { values: countsOnly, size: 54 })],
        },
        data: [days, ...sums],
        readout: (index) => index === null ? plural(all[all.length - 1], "label")
            : `${dayText(days[index])}: ${plural(all[index], "label")}`,
        headings: ["Day", ...readers, "All"],
        rows: days.map((day, at) => [dayText(day), ...totals.map((row) => countText(row[at])), countText(all[at])]),
    });
}

/** @param {Chart} chart @param {ModelVersion[]} versions */
function showErrors(chart, versions) {
    const { numbers, before, after } = errorsOfVersions(versions);
    if (!numbers.length) return chart.showEmpty("No version has been trained yet. Each training adds one, with its error.");
    const { sure, faint } = plotColors();
    const text = (/** @type {number|null} */ value) => value === null ? "–" : value.toFixed(4);
    const last = numbers.length - 1;
    chart.show({
        summary: `Mean error of ${plural(numbers.length, "version")}; the last one, ${numbers[last]}, has ${text(after[last])} steps`,
        legend: [["this version", sure], ["served before, same images", faint]],
        options: {
            width: 0, height: 0, cursor: NO_DRAG,
            scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: roomy } },
            series: [{}, { label: "this version", stroke: sure, width: 2, points: { show: true, size: 8, fill: sure } },
                { label: "before", stroke: faint, width: 1.5, dash: [5, 4], points: { show: true, size: 6 } }],
            axes: [axis("Version", { ...X_AXIS, values: countsOnly, incrs: [1, 2, 5, 10, 20, 50] }), axis("Mean error (steps)", { size: 60 })],
        },
        data: [numbers, after, before],
        readout: (index) => {
            const at = index ?? last;
            return `Version ${numbers[at]}: ${text(before[at])} → ${text(after[at])} steps`;
        },
        headings: ["Version", "Before (steps)", "After (steps)"],
        rows: numbers.map((number, at) => [String(number), text(before[at]), text(after[at])]),
    });
}

/** @type {uPlot.Range.Function} */
function roomy(_, low, high) {
    const room = Math.max((high - low) * 0.25, high * 0.05, 1e-6);
    return [Math.max(0, low - room), high + room];
}

/** @param {Chart} chart @param {Statistics["seconds"]} labels */
function showSeconds(chart, labels) {
    const known = labels.filter(({ seconds }) => seconds > 0).sort((a, b) => a.ts - b.ts);
    if (!known.length) return chart.showEmpty("No working times are known yet. They are saved with each label.");
    const { accent } = plotColors();
    const seconds = known.map((label) => label.seconds);
    const middle = runningMedian(seconds);
    const minutes = (/** @type {number[]} */ values) => values.map((value) => value / MINUTE_S);
    const most = [...seconds].sort((a, b) => a - b)[Math.floor(0.98 * (seconds.length - 1))] / MINUTE_S;
    chart.show({
        summary: `Working time of ${plural(known.length, "label")}, ${durationText(median(seconds))} in the median`,
        legend: [["one label", `${accent}80`], [`median of ${MEDIAN_WINDOW} labels`, "#ffaa3c"]],
        options: {
            width: 0, height: 0, cursor: NO_DRAG, scales: { y: { range: [0, Math.max(0.2, most * 1.1)] } },
            series: [{}, { label: "one label", paths: () => null, points: { show: true, size: 5, fill: `${accent}66`, stroke: "transparent" } },
                { label: "median", stroke: "#ffaa3c", width: 2, points: { show: false } }],
            axes: [timeAxis("Time of the label"), axis("Time per image (min)", { size: 50 })],
        },
        data: [known.map(({ ts }) => ts), minutes(seconds), minutes(middle)],
        readout: (index) => index === null ? `median ${durationText(median(seconds))}`
            : `${dateText(known[index].ts)}: ${durationText(seconds[index])}, ${plural(known[index].edits ?? 0, "edit")}`,
        headings: ["Label", "Reader", "Time", "Edits"],
        rows: known.map(({ ts, user, seconds: time, edits }) => [dateTimeText(ts), user ?? "", durationText(time), String(edits ?? "")]),
    });
}

/** @param {Chart} chart @param {number[]} angles */
function showAngles(chart, angles) {
    const { begins, counts } = histogram(angles);
    if (!counts.length) return chart.showEmpty("No angle is known yet. It is measured when a label is saved.");
    const { accent } = plotColors();
    const bin = (/** @type {number} */ at) => `${begins[at]}° to ${begins[at] + BIN_DEG}°`;
    chart.show({
        summary: `Largest angles of ${plural(angles.length, "image")}, ${angleText(median(angles))} in the median`,
        legend: [],
        options: {
            width: 0, height: 0, cursor: { ...NO_DRAG, points: { show: false } },
            scales: { x: { time: false, range: (_, __, high) => [0, high + BIN_DEG] }, y: { range: (_, __, high) => [0, Math.max(1, high * 1.08)] } },
            series: [{}, {
                label: "images", stroke: accent, fill: `${accent}73`, width: 1, points: { show: false },
                paths: uPlot.paths.bars?.({ size: [0.94, Infinity], align: 1 }),
            }],
            axes: [axis("Largest Cobb angle (°)", X_AXIS), axis("Images", { values: countsOnly, size: 50 })],
        },
        data: [begins, counts],
        readout: (index) => index === null ? `median ${angleText(median(angles))}` : `${bin(index)}: ${plural(counts[index], "image")}`,
        headings: ["Largest angle", "Images"],
        rows: counts.map((count, at) => [bin(at), countText(count)]),
    });
}
