/**
 * Landmark schema: names and order of the points of a spine, as in `lib/spine/schema.py`.
 *
 * Arrays of a whole spine are flat, with the axes V (17 vertebrae, T1 first), P (5 points: the center, then the
 * corners) and, for positions, 2 (x, y). Positions are stored pixels, pixel centers at whole numbers.
 */

export const VERTEBRAE = Object.freeze([
    ...Array.from({ length: 12 }, (_, i) => `T${i + 1}`),
    ...Array.from({ length: 5 }, (_, i) => `L${i + 1}`),
]);

/** Corner order of every array: top left, top right, bottom left, bottom right (left and right of the image). */
export const CORNERS = Object.freeze(["TL", "TR", "BL", "BR"]);

export const CENTER = "center";

/** Point order along the axis P. */
export const POINTS = Object.freeze([CENTER, ...CORNERS]);

/** Names of the points in words. */
export const POINT_WORDS = Object.freeze(["center", "top left", "top right", "bottom left", "bottom right"]);

export const V = VERTEBRAE.length;
export const P = POINTS.length;

/** Index of the center along the axis P. */
export const CENTER_INDEX = 0;

/** Indices of the corners along the axis P. */
export const CORNER_INDICES = Object.freeze([1, 2, 3, 4]);

/**
 * Index of a point in arrays of V x P; twice that in those of V x P x 2.
 * @param {number} v index of the vertebra
 * @param {number} p index of the point
 * @returns {number}
 */
export function at(v, p) {
    return v * P + p;
}

/**
 * Name of a point, as "T7" (its center) or "T7 TL".
 * @param {number} v index of the vertebra
 * @param {number} p index of the point
 * @returns {string}
 */
export function labelOf(v, p) {
    return p === CENTER_INDEX ? VERTEBRAE[v] : `${VERTEBRAE[v]} ${POINTS[p]}`;
}

/** @type {ReadonlyMap<string, readonly [number, number]>} */
const INDICES = new Map(
    VERTEBRAE.flatMap((_vertebra, v) => POINTS.map((_point, p) => /** @type {const} */ ([labelOf(v, p), [v, p]])))
);

/**
 * Indices (vertebra, point) of a name such as "T7" or "T7 TL"; null where there is no such point.
 * @param {string} name
 * @returns {readonly [number, number] | null}
 */
export function indexOf(name) {
    return INDICES.get(name) ?? null;
}

/**
 * Names of the points where a mask is set.
 * @param {ArrayLike<number>} mask V x P
 * @returns {string[]}
 */
export function namesOf(mask) {
    return [...INDICES.keys()].filter((_, i) => Boolean(mask[i]));
}

/**
 * Mask of V x P that is 1 at the points of these names; other names are ignored.
 * @param {Iterable<string>} names
 * @returns {Uint8Array}
 */
export function maskOf(names) {
    const mask = new Uint8Array(V * P);
    for (const name of names) {
        const index = indexOf(name);
        if (index !== null) {
            mask[at(index[0], index[1])] = 1;
        }
    }
    return mask;
}
