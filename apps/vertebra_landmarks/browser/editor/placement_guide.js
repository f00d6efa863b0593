/** Manual placement: the order of the points, and which of four clicked corners is which. */

import { isFinitePoint, meanOf } from "./geometry.js";
import { CENTER_INDEX, CORNERS, CORNER_INDICES, VERTEBRAE, at } from "./schema.js";

/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {readonly [number, number]} Place indices (vertebra, point) */

/** The guided order: T1 TL, TR, BL, BR, T2 TL ... L5 BR. @type {readonly Place[]} */
export const GUIDED = Object.freeze(
    VERTEBRAE.flatMap((_, v) => CORNER_INDICES.map((p) => /** @type {const} */ ([v, p])))
);

/** Weight of a body twice as wide as high, against its alignment: bodies are wider than high in 99 of 100 images. */
const WIDE = 0.5;

/** Guide through the points in the order of placement. */
export class PlacementGuide {
    #at = 0;

    /**
     * @param {Float64Array} xy V x P x 2 pixels; the guide begins at the first point of the order that is not visible
     * @param {readonly Place[]} order
     */
    constructor(xy, order = GUIDED) {
        this.order = order;
        if (order.length && !this.#isMissing(xy, 0)) {
            this.advance(xy);
        }
    }

    /** The point that the next click places; null after the last. @returns {Place | null} */
    get current() {
        return this.order[this.#at] ?? null;
    }

    /**
     * Go to the next point that is not visible: the current one was placed, or is skipped.
     * @param {Float64Array} xy
     */
    advance(xy) {
        this.#at = Math.min(this.#at + 1, this.order.length);
        while (this.#at < this.order.length && !this.#isMissing(xy, this.#at)) {
            this.#at += 1;
        }
    }

    /**
     * Go to the first missing point of a vertebra further down.
     * @param {Float64Array} xy
     */
    skipVertebra(xy) {
        const vertebra = this.current?.[0];
        while (this.current !== null && this.current[0] === vertebra) {
            this.advance(xy);
        }
    }

    /** Go to the previous point of the order, whether it is visible or not: a click replaces it. */
    back() {
        this.#at = Math.max(this.#at - 1, 0);
    }

    /**
     * Go to the first point of a vertebra.
     * @param {number} v
     * @param {Float64Array | null} xy if given, visible points from there on are passed over, unless all are visible
     * @throws {RangeError} the order has no point of it
     */
    goTo(v, xy = null) {
        const first = this.order.findIndex(([vertebra]) => vertebra === v);
        if (first < 0) {
            throw new RangeError(`the order has no point of vertebra ${v}`);
        }
        const missing = xy === null ? -1 : this.order.findIndex((_, i) => i >= first && this.#isMissing(xy, i));
        this.#at = missing < 0 ? first : missing;
    }

    /**
     * @param {Float64Array} xy
     * @param {number} i position in the order
     * @returns {boolean}
     */
    #isMissing(xy, i) {
        const [v, p] = this.order[i];
        return !isFinitePoint(pointIn(xy, v, p));
    }
}

/**
 * Sort four corners of a vertebra into the order of `CORNERS`.
 *
 * Of the four clockwise orders, the one is taken whose upper side faces up the spine; that bodies are wider than high
 * decides where a vertebra is tilted by about 45 degrees.
 * @param {readonly Point[]} points four
 * @param {Point} down direction of the spine here, see `spineDirection`; down the image when left out
 * @returns {Point[]} the same points
 * @throws {RangeError} they are not four different finite points, or `down` is zero
 */
export function sortCorners(points, down = [0, 1]) {
    const different = new Set(points.map((point) => point.join()));
    if (points.length !== CORNERS.length || !points.every(isFinitePoint) || different.size < CORNERS.length) {
        throw new RangeError(`corners must be four different points, got ${JSON.stringify(points)}`);
    }
    const length = Math.hypot(...down);
    if (!(length > 0)) {
        throw new RangeError(`down must be a direction, got ${JSON.stringify(down)}`);
    }
    const middle = meanOf(points);
    const angle = (/** @type {Point} */ [x, y]) => Math.atan2(y - middle[1], x - middle[0]);
    const clockwise = [...points].sort((a, b) => angle(a) - angle(b));
    const unit = /** @type {Point} */ ([down[0] / length, down[1] / length]);
    const ways = clockwise.map((_, first) => {
        const [tl, tr, br, bl] = CORNERS.map((_corner, k) => clockwise[(first + k) % CORNERS.length]);
        return [tl, tr, bl, br];
    });
    return ways.reduce((best, way) => (straightness(way, unit) > straightness(best, unit) ? way : best));
}

/**
 * How well four corners agree with a spine that runs `down`.
 * @param {readonly Point[]} corners
 * @param {Point} down
 * @returns {number}
 */
function straightness([tl, tr, bl, br], down) {
    const axis = [bl[0] + br[0] - tl[0] - tr[0], bl[1] + br[1] - tl[1] - tr[1]];
    const across = [tr[0] + br[0] - tl[0] - bl[0], tr[1] + br[1] - tl[1] - bl[1]];
    const [height, width] = [Math.hypot(...axis), Math.hypot(...across)];
    if (height === 0 || width === 0) {
        return -Infinity;
    }
    return (axis[0] * down[0] + axis[1] * down[1]) / height + WIDE * Math.tanh(Math.log(width / height));
}

/**
 * Downward direction of the spine at a vertebra, by the other vertebrae.
 * @param {Float64Array} xy V x P x 2 pixels, NaN where absent; those of the vertebra itself are not used
 * @param {number} v
 * @param {Point} position of the vertebra
 * @returns {Point | null} from the nearest visible vertebra above to the nearest one below, with `position` for a
 *     missing one; null where no other vertebra is visible
 */
export function spineDirection(xy, v, position) {
    const middles = VERTEBRAE.map((_, i) => middleOf(xy, i));
    const above = middles.slice(0, v).filter((middle) => middle !== null).at(-1);
    const below = middles.slice(v + 1).find((middle) => middle !== null);
    if (!above && !below) {
        return null;
    }
    const [start, stop] = [above ?? position, below ?? position];
    const direction = /** @type {Point} */ ([stop[0] - start[0], stop[1] - start[1]]);
    return direction.some(Boolean) ? direction : null;
}

/**
 * Position of a vertebra: its center, or the mean of its four corners; null without either.
 * @param {Float64Array} xy
 * @param {number} v
 * @returns {Point | null}
 */
function middleOf(xy, v) {
    const center = pointIn(xy, v, CENTER_INDEX);
    const middle = isFinitePoint(center) ? center : meanOf(CORNER_INDICES.map((p) => pointIn(xy, v, p)));
    return isFinitePoint(middle) ? middle : null;
}

/**
 * @param {Float64Array} xy
 * @param {number} v
 * @param {number} p
 * @returns {Point}
 */
function pointIn(xy, v, p) {
    const i = 2 * at(v, p);
    return [xy[i], xy[i + 1]];
}
