/** The numbers of the plots, from the server's answers. */

/** @typedef {import("../api/types.js").Statistics} Statistics */
/** @typedef {import("../api/types.js").ModelVersion} ModelVersion */

const DAY_S = 86400;
/** Readers with a colour of their own; the others share one. */
export const MAX_READERS = 6;
/** Stands for readers beyond those, and for labels without a name. */
export const OTHERS = "others";
export const NAMELESS = "no name";
/** Width of a bar of the distribution of angles, in degrees. */
export const BIN_DEG = 5;
/** Neighbouring labels whose median the line shows. */
export const MEDIAN_WINDOW = 31;

/**
 * Labels until each day, by reader.
 * @param {Statistics["labels_by_day"]} byDay
 * @returns {{days: number[], readers: string[], totals: number[][]}} days in seconds since 1970 at 0:00 UTC without
 *     gaps; the readers with most labels first; for each reader their labels until the end of each day
 */
export function cumulativeLabels(byDay) {
    /** @type {Map<string, number>} */
    const sums = new Map();
    for (const { user, count } of byDay) sums.set(user || NAMELESS, (sums.get(user || NAMELESS) ?? 0) + count);
    const ranked = [...sums.keys()].sort((a, b) => (sums.get(b) ?? 0) - (sums.get(a) ?? 0));
    const shown = ranked.length > MAX_READERS ? ranked.slice(0, MAX_READERS - 1) : ranked;
    const readers = ranked.length > MAX_READERS ? [...shown, OTHERS] : shown;
    const stamps = byDay.map(({ day }) => secondsOfDay(day)).filter(Number.isFinite);
    if (!stamps.length) return { days: [], readers: [], totals: [] };
    const first = stamps.reduce((a, b) => Math.min(a, b));
    const count = Math.round((stamps.reduce((a, b) => Math.max(a, b)) - first) / DAY_S) + 1;
    const totals = readers.map(() => /** @type {number[]} */ (new Array(count).fill(0)));
    for (const { day, user, count: labels } of byDay) {
        const name = shown.indexOf(user || NAMELESS);
        const row = totals[name < 0 ? readers.length - 1 : name];
        const at = Math.round((secondsOfDay(day) - first) / DAY_S);
        if (row && at >= 0 && at < count) row[at] += labels;
    }
    for (const row of totals) for (let at = 1; at < count; at += 1) row[at] += row[at - 1];
    return { days: Array.from({ length: count }, (_, at) => first + at * DAY_S), readers, totals };
}

/**
 * Sums of the rows up to each one, for areas on top of each other.
 * @param {number[][]} rows
 * @returns {number[][]}
 */
export function stacked(rows) {
    /** @type {number[][]} */
    const sums = [];
    for (const row of rows) {
        const below = sums.at(-1);
        sums.push(below ? row.map((value, at) => value + below[at]) : [...row]);
    }
    return sums;
}

/**
 * Number of values in bins of the same width from 0 on.
 * @param {number[]} values not negative
 * @param {number} [width]
 * @returns {{begins: number[], counts: number[]}} lower bounds of the bins up to the highest value; empty without values
 */
export function histogram(values, width = BIN_DEG) {
    const finite = values.filter((value) => Number.isFinite(value) && value >= 0);
    const bins = finite.reduce((most, value) => Math.max(most, Math.floor(value / width) + 1), 0);
    /** @type {number[]} */
    const counts = new Array(bins).fill(0);
    for (const value of finite) counts[Math.floor(value / width)] += 1;
    return { begins: counts.map((_, bin) => bin * width), counts };
}

/** The middle of some values, of the middle two where their number is even. @param {number[]} values at least one */
export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * The median of each value and its neighbours.
 * @param {number[]} values
 * @param {number} [window] odd
 * @returns {number[]}
 */
export function runningMedian(values, window = MEDIAN_WINDOW) {
    const reach = window >> 1;
    return values.map((_, at) => median(values.slice(Math.max(0, at - reach), at + reach + 1)));
}

/**
 * Errors on held-out images over the versions.
 * @param {ModelVersion[]} versions
 * @returns {{numbers: number[], before: (number|null)[], after: (number|null)[]}} versions with a measurement; the error
 *     of the version served before and of the version itself on the same images, in steps
 */
export function errorsOfVersions(versions) {
    const measured = versions.filter(({ facts }) => typeof facts.gate?.after === "number");
    return {
        numbers: measured.map(({ number }) => number),
        before: measured.map(({ facts }) => facts.gate?.before ?? null),
        after: measured.map(({ facts }) => facts.gate?.after ?? null),
    };
}

/** @param {string} day such as "2026-11-30" @returns {number} seconds since 1970 at 0:00 UTC */
function secondsOfDay(day) {
    return Date.parse(`${day}T00:00:00Z`) / 1000;
}
