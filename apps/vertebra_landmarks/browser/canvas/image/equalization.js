/**
 * Contrast-limited adaptive histogram equalization: the share of darker pixels around each place.
 *
 * The image is divided into regions. For each there is a rising curve from gray value to the share of its pixels that
 * are darker; the display blends the curves of the four nearest regions.
 */

/**
 * @typedef {object} Ranks
 * @property {number} bins gray values per curve
 * @property {number} columns regions from left to right
 * @property {number} rows regions from top to bottom
 * @property {Float32Array} shares from 0 to 1, region by region, row by row
 * @property {number} low gray value of the first bin; darker ones are equal to it
 * @property {number} high gray value of the last bin
 * @property {[number, number]} region width and height of a region in pixels of the image
 */

/**
 * An image, possibly shrunk, and the range of its gray values.
 *
 * @typedef {object} Sample
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint16Array} data row by row
 * @property {number} unit gray values per unit of `data`
 * @property {number} shrink pixels of the image per pixel of the sample
 * @property {number} low gray value of the first bin
 * @property {number} high gray value of the last bin
 */

const BINS = 256;
const REGIONS_ACROSS = 8; // along the shorter side
const CLIP_LIMIT = 3; // largest share of a bin, in those of an even histogram

/**
 * @param {Sample} sample
 * @returns {Ranks}
 */
export function equalize(sample) {
    const side = Math.max(Math.min(sample.width, sample.height) / REGIONS_ACROSS, 1);
    const columns = Math.max(Math.round(sample.width / side), 1);
    const rows = Math.max(Math.round(sample.height / side), 1);
    const counts = histograms(sample, columns, rows);
    for (let start = 0; start < counts.length; start += BINS) {
        toShares(counts.subarray(start, start + BINS));
    }
    /** @type {[number, number]} */
    const region = [(sample.width * sample.shrink) / columns, (sample.height * sample.shrink) / rows];
    return { bins: BINS, columns, rows, shares: counts, low: sample.low, high: sample.high, region };
}

/**
 * @param {Sample} sample
 * @param {number} columns
 * @param {number} rows
 * @returns {Float32Array} counts, region by region
 */
function histograms({ width, height, data, unit, low, high }, columns, rows) {
    const counts = new Float32Array(BINS * columns * rows);
    const binOf = new Uint8Array(data instanceof Uint8Array ? 256 : 65536);
    for (let value = 0; value < binOf.length; value++) {
        const share = Math.min(Math.max((value * unit - low) / (high - low), 0), 1);
        binOf[value] = Math.round(share * (BINS - 1));
    }
    const startOf = new Uint32Array(width);
    for (let x = 0; x < width; x++) {
        startOf[x] = BINS * Math.floor((x * columns) / width);
    }
    for (let y = 0, at = 0; y < height; y++) {
        const row = BINS * columns * Math.floor((y * rows) / height);
        for (let x = 0; x < width; x++, at++) {
            counts[row + startOf[x] + binOf[data[at]]]++;
        }
    }
    return counts;
}

/**
 * Replace the counts of a region by shares of darker pixels; what exceeds the limit is spread over all bins.
 *
 * @param {Float32Array} counts
 */
function toShares(counts) {
    let total = 0;
    for (const count of counts) {
        total += count;
    }
    const limit = (CLIP_LIMIT * total) / BINS;
    let excess = 0;
    for (let i = 0; i < BINS; i++) {
        excess += Math.max(counts[i] - limit, 0);
        counts[i] = Math.min(counts[i], limit);
    }
    let below = 0;
    for (let i = 0; i < BINS; i++) {
        const count = counts[i] + excess / BINS;
        counts[i] = total ? (below + count / 2) / total : i / (BINS - 1);
        below += count;
    }
}

/** Equalizes images in a worker, one after the other. */
export class Equalizer {
    constructor() {
        /** @type {Worker | null} */
        this._worker = null;
        /** @type {Promise<unknown>} */
        this._last = Promise.resolve();
    }

    /**
     * @param {Sample} sample copied
     * @returns {Promise<Ranks>}
     * @throws {Error} the worker failed
     */
    ranks(sample) {
        const next = this._last.then(() => this._ask(sample));
        this._last = next.catch(() => undefined);
        return next;
    }

    /** End the worker; nothing that is asked for then arrives. */
    destroy() {
        this._worker?.terminate();
    }

    /**
     * @param {Sample} sample
     * @returns {Promise<Ranks>}
     */
    _ask(sample) {
        const worker = (this._worker ??= new Worker(new URL("equalization_worker.js", import.meta.url), {
            type: "module",
        }));
        return new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = (event) => {
                event.preventDefault();
                this._worker = null;
                reject(new Error(`The contrast cannot be equalized: ${event.message ?? "the worker did not start"}.`));
            };
            worker.postMessage(sample);
        });
    }
}
