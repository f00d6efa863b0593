/** Presets of the gray window; the same names and numbers as in the Slicer module's scene/gray_window.py. */

/**
 * Percentiles of the gray values that become black and white, by preset.
 *
 * @type {Readonly<Record<string, readonly [number, number]>>}
 */
export const WINDOWS = Object.freeze({
    Automatic: [0.5, 99.5],
    "Soft tissue": [0.5, 80],
    Bone: [30, 99.9],
    "High contrast": [15, 95],
    "Full range": [0, 100],
});

const SAMPLES = 50_000;
const BORDER = 0.02; // share of pixels above which the darkest or brightest value is a border or burnt in

/** @typedef {{low: number, high: number}} GrayWindow gray values that become black and white */

/** The gray values of one image, for all presets. */
export class GrayValues {
    /**
     * @param {number} width
     * @param {number} height
     * @param {Uint8Array | Uint16Array} data row by row
     */
    constructor(width, height, data) {
        const every = Math.max(1, Math.floor(Math.sqrt((width * height) / SAMPLES)));
        const Values = data instanceof Uint8Array ? Uint8Array : Uint16Array;
        this._sorted = new Values(Math.ceil(width / every) * Math.ceil(height / every));
        let at = 0;
        for (let y = 0; y < height; y += every) {
            for (let x = 0; x < width; x += every) {
                this._sorted[at++] = data[y * width + x];
            }
        }
        this._sorted.sort();
        this._data = data;
    }

    /**
     * @param {string} preset one of `WINDOWS`
     * @returns {GrayWindow}
     * @throws {RangeError} there is no such preset
     */
    window(preset) {
        if (!Object.hasOwn(WINDOWS, preset)) {
            throw new RangeError(`window ${JSON.stringify(preset)} is not one of ${Object.keys(WINDOWS).join(", ")}`);
        }
        const [low, high] = WINDOWS[preset];
        const values = low === 0 && high === 100 ? this._sorted : withoutBorders(this._sorted);
        const black = percentile(values, low);
        const white = percentile(values, high);
        return white > black ? { low: black, high: white } : this._extremes();
    }

    /** @returns {GrayWindow} from the smallest to the largest gray value, at least one apart */
    _extremes() {
        let low = Infinity;
        let high = -Infinity;
        for (const value of this._data) {
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
        return { low, high: Math.max(high, low + 1) };
    }
}

/**
 * Sorted values without the lowest and the highest, where these are frequent.
 *
 * @param {Uint8Array | Uint16Array} values
 */
function withoutBorders(values) {
    const first = firstIndex(values, values[0] + 1);
    const last = firstIndex(values, values[values.length - 1]);
    const frequent = BORDER * values.length;
    const inner = values.subarray(first > frequent ? first : 0, values.length - last > frequent ? last : values.length);
    return inner.length ? inner : values;
}

/**
 * Index of the first of some sorted values that is not below a limit.
 *
 * @param {Uint8Array | Uint16Array} values
 * @param {number} limit
 */
function firstIndex(values, limit) {
    let low = 0;
    let high = values.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (values[middle] < limit) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/**
 * Percentile of sorted values, linear between neighbours.
 *
 * @param {Uint8Array | Uint16Array} values
 * @param {number} percent
 */
function percentile(values, percent) {
    const at = ((values.length - 1) * percent) / 100;
    const below = Math.floor(at);
    const above = Math.min(below + 1, values.length - 1);
    return values[below] + (values[above] - values[below]) * (at - below);
}
