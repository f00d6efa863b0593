/** Where points and bodies of a spine are: under the pointer, around a vertebra, and how large. */

import { P, V } from "../../editor/schema.js";

const [TL, TR, BL, BR] = [1, 2, 3, 4];
const AROUND = [TL, TR, BR, BL];

/** @typedef {{vertebra: number, point: number}} PointIndex vertebra 0 (T1) to 16 (L5), point 0 (center) to 4 (BR) */

/**
 * The nearest point within reach.
 *
 * @param {Float64Array} screen x, y of all points in CSS pixels, NaN where absent
 * @param {number} x CSS pixels
 * @param {number} y CSS pixels
 * @param {number} reach CSS pixels
 * @param {(point: number) => boolean} isWanted whether points 0 (center) to 4 (BR) count
 * @returns {PointIndex | null}
 */
export function nearestPoint(screen, x, y, reach, isWanted) {
    let best = -1;
    let least = reach * reach;
    for (let i = 0; i < screen.length; i += 2) {
        const dx = screen[i] - x;
        const dy = screen[i + 1] - y;
        const distance = dx * dx + dy * dy;
        if (distance <= least && isWanted((i >> 1) % P)) {
            least = distance;
            best = i >> 1;
        }
    }
    return best < 0 ? null : { vertebra: Math.floor(best / P), point: best % P };
}

/**
 * The vertebra whose outline encloses a position, and the nearest of its points.
 *
 * @param {Float64Array} screen x, y of all points in CSS pixels, NaN where absent
 * @param {number} x CSS pixels
 * @param {number} y CSS pixels
 * @param {(point: number) => boolean} isWanted whether points 0 (center) to 4 (BR) count
 * @returns {PointIndex | null}
 */
export function bodyAt(screen, x, y, isWanted) {
    const stride = 2 * P;
    for (let start = 0; start < screen.length; start += stride) {
        const points = screen.subarray(start, start + stride);
        if (isInside(points, x, y)) {
            const found = nearestPoint(points, x, y, Infinity, isWanted);
            return found && { vertebra: start / stride, point: found.point };
        }
    }
    return null;
}

/**
 * @param {Float64Array} points of one vertebra
 * @param {number} x
 * @param {number} y
 */
function isInside(points, x, y) {
    let crossings = 0;
    for (let k = 0; k < AROUND.length; k++) {
        const a = 2 * AROUND[k];
        const b = 2 * AROUND[(k + 1) % AROUND.length];
        const isBelow = points[a + 1] > y;
        if (isBelow !== points[b + 1] > y) {
            const share = (y - points[a + 1]) / (points[b + 1] - points[a + 1]);
            crossings += Number(x < points[a] + share * (points[b] - points[a]));
        }
    }
    return crossings % 2 === 1;
}

const heights = new Float64Array(V);

/**
 * Median of the mean lengths of the two sides; 0 without a complete body.
 *
 * @param {Float64Array} xy points, NaN where absent
 */
export function medianBodyHeight(xy) {
    let count = 0;
    for (let v = 0; v < V; v++) {
        const at = 2 * P * v;
        const left = Math.hypot(xy[at + 2 * TL] - xy[at + 2 * BL], xy[at + 2 * TL + 1] - xy[at + 2 * BL + 1]);
        const right = Math.hypot(xy[at + 2 * TR] - xy[at + 2 * BR], xy[at + 2 * TR + 1] - xy[at + 2 * BR + 1]);
        if (!Number.isNaN(left + right)) {
            heights[count++] = (left + right) / 2;
        }
    }
    const sorted = heights.subarray(0, count).sort();
    return count === 0 ? 0 : (sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2;
}

/**
 * Mean of the points of the vertebrae that are some levels away; null where there is none.
 *
 * @param {Float64Array} xy
 * @param {number} v
 * @param {number} distance
 * @returns {[number, number] | null}
 */
export function middleAt(xy, v, distance) {
    let x = 0;
    let y = 0;
    let count = 0;
    for (const row of new Set([v - distance, v + distance])) {
        for (let i = 2 * P * row; row >= 0 && row < V && i < 2 * P * (row + 1); i += 2) {
            if (!Number.isNaN(xy[i])) {
                x += xy[i];
                y += xy[i + 1];
                count++;
            }
        }
    }
    return count ? [x / count, y / count] : null;
}
