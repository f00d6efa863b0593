/**
 * How stored pixels are turned so that the image is upright, as in `lib/spine/imaging/orientation.py`: mirrored left to
 * right if `mirrored`, then turned clockwise by `turn_deg`.
 */

import { isFinitePoint } from "./geometry.js";
import { CENTER_INDEX, CORNER_INDICES, VERTEBRAE, at } from "./schema.js";

/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./origin.js").Orientation} Orientation */

const [TL, TR, BL, BR] = CORNER_INDICES;

/** @type {Readonly<Orientation>} */
export const UPRIGHT = Object.freeze({ turn_deg: 0, mirrored: false });

/**
 * Affine map from stored to upright pixels: `[a, b, c, d, e, f]` with u = a x + c y + e, v = b x + d y + f.
 *
 * @param {number} width columns of the stored raster
 * @param {number} height rows of the stored raster
 * @param {Orientation} orientation
 * @returns {number[]}
 * @throws {RangeError} the turn is not 0, 90, 180 or 270 degrees
 */
export function uprightMatrix(width, height, orientation) {
    const { turn_deg: turn, mirrored } = orientation;
    if (![0, 90, 180, 270].includes(turn)) {
        throw new RangeError(`turn_deg must be 0, 90, 180 or 270, got ${turn}`);
    }
    let matrix = mirrored ? [-1, 0, 0, 1, width - 1, 0] : [1, 0, 0, 1, 0, 0];
    for (let turned = 0, h = height, w = width; turned < turn; turned += 90, [w, h] = [h, w]) {
        const [a, b, c, d, e, f] = matrix;
        matrix = [-b, a, -d, c, h - 1 - f, e];
    }
    return matrix;
}

/**
 * Whether two orientations are the same; null counts as upright.
 * @param {Orientation | null} a
 * @param {Orientation | null} b
 * @returns {boolean}
 */
export function isSameOrientation(a, b) {
    const [one, other] = [a ?? UPRIGHT, b ?? UPRIGHT];
    return one.turn_deg === other.turn_deg && one.mirrored === other.mirrored;
}

/** Maps between the pixels of a stored raster and those of the upright image. */
export class UprightMap {
    /**
     * @param {number} width columns of the stored raster
     * @param {number} height rows of the stored raster
     * @param {Orientation | null} orientation
     */
    constructor(width, height, orientation) {
        this.orientation = orientation ?? UPRIGHT;
        this.matrix = uprightMatrix(width, height, this.orientation);
        const isTurned = this.orientation.turn_deg % 180 !== 0;
        /** Columns of the upright image. */
        this.width = isTurned ? height : width;
        /** Rows of the upright image. */
        this.height = isTurned ? width : height;
    }

    /**
     * A position of the upright image.
     * @param {Point} stored
     * @returns {Point}
     */
    toUpright([x, y]) {
        const [a, b, c, d, e, f] = this.matrix;
        return [a * x + c * y + e, b * x + d * y + f];
    }

    /**
     * A position of the stored raster; the matrix is a rotation or mirror image, so its transpose is its inverse.
     * @param {Point} upright
     * @returns {Point}
     */
    toStored([x, y]) {
        const [, , , , e, f] = this.matrix;
        return this.shiftToStored([x - e, y - f]);
    }

    /**
     * A shift to the right and down on the screen as a shift of stored pixels.
     * @param {Point} shift
     * @returns {Point}
     */
    shiftToStored([x, y]) {
        const [a, b, c, d] = this.matrix;
        return [a * x + b * y, c * x + d * y];
    }
}

/**
 * The orientation in which points of a spine stand upright.
 *
 * That is the stated one, followed by quarter turns where the points run sideways or upwards in it although their
 * corners are not mirrored: in an upright image T1 is not labelled at the bottom with its top corners below.
 * @param {Float64Array} xy V x P x 2 stored pixels, NaN where absent
 * @param {number} width columns of the stored raster
 * @param {number} height rows of the stored raster
 * @param {Orientation | null} stated by the file; null where it states none
 * @returns {Orientation}
 */
export function orientationOf(xy, width, height, stated) {
    const map = new UprightMap(width, height, stated);
    const point = (/** @type {number} */ v, /** @type {number} */ p) => {
        const i = 2 * at(v, p);
        return map.toUpright([xy[i], xy[i + 1]]);
    };
    /** @type {[Point, Point]} */
    const [down, across] = [
        [0, 0],
        [0, 0],
    ];
    const add = (/** @type {Point} */ total, /** @type {Point} */ from, /** @type {Point} */ to) => {
        if (isFinitePoint(from) && isFinitePoint(to)) {
            total[0] += to[0] - from[0];
            total[1] += to[1] - from[1];
        }
    };
    VERTEBRAE.forEach((_, v) => {
        if (v + 1 < VERTEBRAE.length) {
            add(down, point(v, CENTER_INDEX), point(v + 1, CENTER_INDEX));
        }
        add(down, point(v, TL), point(v, BL));
        add(down, point(v, TR), point(v, BR));
        add(across, point(v, TL), point(v, TR));
        add(across, point(v, BL), point(v, BR));
    });
    if (across[0] * down[1] - across[1] * down[0] <= 0) {
        return map.orientation; // mirrored, or too few points to tell
    }
    if (Math.abs(down[1]) >= Math.abs(down[0])) {
        return turnedFurther(map.orientation, down[1] > 0 ? 0 : 180);
    }
    return turnedFurther(map.orientation, down[0] > 0 ? 90 : 270);
}

/**
 * @param {Orientation} orientation
 * @param {number} degrees clockwise
 * @returns {Orientation}
 */
function turnedFurther(orientation, degrees) {
    return { turn_deg: (orientation.turn_deg + degrees) % 360, mirrored: orientation.mirrored };
}
