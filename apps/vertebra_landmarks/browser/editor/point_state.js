/** State of the points that the editor changes, and what follows from a change of one of them. */

import { dragAlong, isFinitePoint, meanOf } from "./geometry.js";
import { UNKNOWN } from "./origin.js";
import { CENTER_INDEX, CORNER_INDICES, P, POINTS, V, VERTEBRAE } from "./schema.js";

/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./origin.js").Origin} Origin */
/** @typedef {import("./spine.js").Spine} Spine */

const ROWS = 3 * V;

/** Position of a named point in the arrays of a state; rows above and below were shifted over the ends of the names. */
export const FIRST = V * P;

/**
 * Index in the arrays of a state (twice that in `xy` and `offImage`).
 * @param {number} v vertebra
 * @param {number} p point
 * @returns {number}
 */
export function at(v, p) {
    return FIRST + v * P + p;
}

const FIELDS = /** @type {const} */ (["xy", "offImage", "scores", "errors", "touched"]);

/** Arrays of 3 V rows; only the V rows in the middle have names. */
export class PointState {
    /**
     * No points.
     * @param {Origin} origin provenance of the points that no user set
     */
    constructor(origin = UNKNOWN) {
        /** Pixels, NaN where not visible. */
        this.xy = new Float64Array(ROWS * P * 2).fill(NaN);
        /** Assumed pixels of points that are not visible, NaN for all others. */
        this.offImage = new Float64Array(ROWS * P * 2).fill(NaN);
        /** Confidences. */
        this.scores = new Float64Array(ROWS * P).fill(1);
        /** Expected errors in pixels, NaN without one. */
        this.errors = new Float64Array(ROWS * P).fill(NaN);
        /** Whether the user set the point. */
        this.touched = new Uint8Array(ROWS * P);
        this.origin = origin;
    }

    /**
     * The points of a spine, none of them touched.
     * @param {Spine} spine
     * @param {Origin} origin
     * @returns {PointState}
     */
    static ofSpine(spine, origin) {
        const state = new PointState(origin);
        state.xy.set(spine.visibleXy, 2 * FIRST);
        state.scores.set(spine.scores, FIRST);
        state.errors.set(spine.errors, FIRST);
        state.offImage.set(
            spine.xy.map((value, i) => (spine.visible[i >> 1] ? NaN : value)),
            2 * FIRST
        );
        return state;
    }

    /**
     * Position of a point; NaN where it is not visible.
     * @param {number} v
     * @param {number} p
     * @returns {Point}
     */
    point(v, p) {
        const i = 2 * at(v, p);
        return [this.xy[i], this.xy[i + 1]];
    }

    /**
     * The P points of a vertebra; NaN where not visible.
     * @param {number} v
     * @returns {Point[]}
     */
    points(v) {
        return POINTS.map((_, p) => this.point(v, p));
    }

    /**
     * Set a position, NaN for a point that is not visible.
     * @param {number} v
     * @param {number} p
     * @param {Point} position
     */
    set(v, p, position) {
        this.xy.set(position, 2 * at(v, p));
    }

    /**
     * Note that the user set points.
     * @param {number} v
     * @param {readonly number[]} points
     */
    touch(v, points) {
        for (const p of points) {
            const i = at(v, p);
            this.touched[i] = this.scores[i] = 1;
            this.errors[i] = this.offImage[2 * i] = this.offImage[2 * i + 1] = NaN;
        }
    }

    /**
     * Set a point: the center of its vertebra follows a corner, the corners follow the center.
     * @param {number} v
     * @param {number} p
     * @param {Point} position
     */
    put(v, p, position) {
        const old = this.point(v, p);
        if (p === CENTER_INDEX && isFinitePoint(old)) {
            for (const corner of CORNER_INDICES) {
                const [x, y] = this.point(v, corner);
                this.set(v, corner, [x + (position[0] - old[0]), y + (position[1] - old[1])]);
            }
        }
        this.set(v, p, position);
        this.touch(v, [p]);
        if (p !== CENTER_INDEX) {
            this.set(v, CENTER_INDEX, centerOf(this.points(v)));
        }
    }

    /**
     * Keep the touched points of another state, and let the others of their vertebrae follow.
     * @param {PointState} before
     */
    keepTouched(before) {
        const predicted = this.xy.slice();
        for (let i = FIRST; i < 2 * FIRST; i++) {
            if (before.touched[i]) {
                this.xy.set(before.xy.subarray(2 * i, 2 * i + 2), 2 * i);
                this.offImage.set(before.offImage.subarray(2 * i, 2 * i + 2), 2 * i);
                this.scores[i] = before.scores[i];
                this.errors[i] = before.errors[i];
                this.touched[i] = 1;
            }
        }
        VERTEBRAE.forEach((_, v) => this.#dragAlong(v, predicted));
    }

    /**
     * Move the untouched points of a vertebra with the touched ones.
     * @param {number} v
     * @param {Float64Array} predicted where the points were predicted
     */
    #dragAlong(v, predicted) {
        const places = POINTS.map((_, p) => at(v, p)).filter((i) => Number.isFinite(predicted[2 * i]));
        const pointAt = (/** @type {Float64Array} */ xy, /** @type {number} */ i) =>
            /** @type {Point} */ ([xy[2 * i], xy[2 * i + 1]]);
        /** @type {Point[]} */
        const targets = places.map((i) => (this.touched[i] ? pointAt(this.xy, i) : [NaN, NaN]));
        if (!targets.some(isFinitePoint)) {
            return;
        }
        const points = places.map((i) => pointAt(predicted, i));
        dragAlong(points, targets).forEach((point, k) => {
            if (!this.touched[places[k]]) {
                this.xy.set(point, 2 * places[k]);
            }
        });
    }

    /** A copy with arrays of its own. @returns {PointState} */
    copy() {
        const copy = new PointState(this.origin);
        for (const field of FIELDS) {
            copy[field].set(this[field]);
        }
        return copy;
    }

    /**
     * Whether all arrays are equal.
     * @param {PointState} other
     * @returns {boolean}
     */
    isSame(other) {
        return FIELDS.every((field) => this[field].every((value, i) => isEqual(value, other[field][i])));
    }

    /**
     * Indices of the vertebrae that differ.
     * @param {PointState} other
     * @returns {number[]}
     */
    changedVertebrae(other) {
        const differs = (/** @type {number} */ v) =>
            FIELDS.some((field) => {
                const width = field === "xy" || field === "offImage" ? 2 * P : P;
                const start = (V + v) * width;
                const part = this[field].subarray(start, start + width);
                return part.some((value, i) => !isEqual(value, other[field][start + i]));
            });
        return Array.from({ length: V }, (_, v) => v).filter(differs);
    }

    /**
     * The same with every vertebra one row further down (1) or up (-1); what leaves the last row is dropped.
     * @param {number} by
     * @param {Origin} origin
     * @returns {PointState}
     */
    shifted(by, origin) {
        const shifted = new PointState(origin);
        for (const field of FIELDS) {
            const width = field === "xy" || field === "offImage" ? 2 * P : P;
            const source = this[field];
            shifted[field].set(by === 1 ? source.subarray(0, -width) : source.subarray(width), by === 1 ? width : 0);
        }
        return shifted;
    }
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {boolean}
 */
function isEqual(a, b) {
    return a === b || (Number.isNaN(a) && Number.isNaN(b));
}

const [TL, TR, BL, BR] = CORNER_INDICES;
const DIAGONALS = [
    [TL, BR],
    [TR, BL],
];

/**
 * Pivot of a rotation: the center of the vertebra, or the mean of its visible corners.
 * @param {readonly Point[]} points P points, NaN where not visible; at least one is
 * @returns {Point}
 */
export function pivotOf(points) {
    return isFinitePoint(points[CENTER_INDEX]) ? points[CENTER_INDEX] : meanOf(points.filter(isFinitePoint));
}

/**
 * Center of a vertebra from its corners.
 *
 * With all corners it is their mean, as in the schema. While a corner is not visible it is the middle of a complete
 * diagonal, as the mean of three corners is biased; without one the center stays.
 * @param {readonly Point[]} points P points, NaN where not visible
 * @returns {Point}
 */
export function centerOf(points) {
    const corners = CORNER_INDICES.map((p) => points[p]);
    if (corners.every(isFinitePoint)) {
        return meanOf(corners);
    }
    const middles = DIAGONALS.map((ends) => ends.map((p) => points[p])).filter((ends) => ends.every(isFinitePoint));
    return middles.length && isFinitePoint(points[CENTER_INDEX]) ? meanOf(middles[0]) : points[CENTER_INDEX];
}

/**
 * Raise unless there is such a point.
 * @param {number} v
 * @param {number} p
 * @throws {RangeError}
 */
export function checkIndex(v, p = 0) {
    if (!(Number.isInteger(v) && v >= 0 && v < V)) {
        throw new RangeError(`a vertebra is a number from 0 (T1) to ${V - 1} (L5), got ${v}`);
    }
    if (!(Number.isInteger(p) && p >= 0 && p < P)) {
        throw new RangeError(`a point is a number from 0 (center) to ${P - 1} (BR), got ${p}`);
    }
}

/**
 * Raise unless a position is two finite numbers.
 * @param {ArrayLike<number>} xy
 * @throws {RangeError}
 */
export function checkPosition(xy) {
    if (xy.length !== 2 || !isFinitePoint(xy)) {
        throw new RangeError(`a position must be two finite numbers of pixels, got ${Array.from(xy).join(", ")}`);
    }
}
