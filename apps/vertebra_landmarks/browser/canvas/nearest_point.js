/** Which point lies under the pointer. */

const POINTS_PER_VERTEBRA = 5;

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
        if (distance <= least && isWanted((i >> 1) % POINTS_PER_VERTEBRA)) {
            least = distance;
            best = i >> 1;
        }
    }
    return best < 0 ? null : { vertebra: Math.floor(best / POINTS_PER_VERTEBRA), point: best % POINTS_PER_VERTEBRA };
}

const AROUND = [1, 2, 4, 3]; // TL, TR, BR, BL

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
    const stride = 2 * POINTS_PER_VERTEBRA;
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
