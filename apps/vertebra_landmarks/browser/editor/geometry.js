/** Geometry of points: rotations, and affine maps that follow dragged points; as in `lib/spine/geometry.py`. */

/** @typedef {[number, number]} Point (x, y) pixels; NaN where absent */

/** Smallest over largest extent below which points count as lying in a line. */
const COLLINEAR = 0.05;

/**
 * Whether both coordinates are finite.
 * @param {ArrayLike<number>} point
 * @returns {boolean}
 */
export function isFinitePoint(point) {
    return Number.isFinite(point[0]) && Number.isFinite(point[1]);
}

/**
 * Mean of points.
 * @param {readonly Point[]} points at least one
 * @returns {Point}
 */
export function meanOf(points) {
    let [x, y] = [0, 0];
    for (const point of points) {
        x += point[0];
        y += point[1];
    }
    return [x / points.length, y / points.length];
}

/**
 * A point rotated about another one.
 * @param {Point} point
 * @param {Point} pivot
 * @param {number} degrees clockwise on the screen for positive angles
 * @param {number} pixelAspect width over height of a pixel; bodies keep their shape in the patient
 * @returns {Point}
 */
export function rotated(point, pivot, degrees, pixelAspect = 1) {
    const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    const [x, y] = [point[0] - pivot[0], point[1] - pivot[1]];
    return [x * c - (y * s) / pixelAspect + pivot[0], x * s * pixelAspect + y * c + pivot[1]];
}

/**
 * Move all points by the affine map that brings some of them to their targets with the least change of shape.
 *
 * One target shifts all points. Two also stretch or shear them along the line through both, three determine the map;
 * more, and three in a line, are met in the least-squares sense.
 *
 * @param {readonly Point[]} points
 * @param {readonly Point[]} targets positions of the dragged points, NaN for those that follow
 * @returns {Point[]}
 * @throws {RangeError} the lengths differ, or no point has a target
 */
export function dragAlong(points, targets) {
    if (points.length !== targets.length) {
        throw new RangeError(`points and targets must be as many, got ${points.length} and ${targets.length}`);
    }
    const dragged = points.map((_, i) => i).filter((i) => isFinitePoint(targets[i]));
    if (!dragged.length) {
        throw new RangeError("targets must hold the position of at least one point, got none");
    }
    const middle = meanOf(dragged.map((i) => points[i]));
    const moves = dragged.map((i) => /** @type {Point} */ ([targets[i][0] - points[i][0], targets[i][1] - points[i][1]]));
    const shift = meanOf(moves);
    const linear = leastSquares(
        dragged.map((i) => [points[i][0] - middle[0], points[i][1] - middle[1]]),
        moves.map((move) => [move[0] - shift[0], move[1] - shift[1]])
    );
    return points.map(([x, y]) => {
        const [dx, dy] = [x - middle[0], y - middle[1]];
        return [x + shift[0] + dx * linear[0] + dy * linear[2], y + shift[1] + dx * linear[1] + dy * linear[3]];
    });
}

/**
 * The smallest 2 x 2 matrix M with rows @ M = results in the least-squares sense: the pseudoinverse of the rows, in
 * which singular values below `COLLINEAR` of the largest count as 0, times the results.
 * @param {Point[]} rows
 * @param {Point[]} results
 * @returns {[number, number, number, number]} row by row
 */
function leastSquares(rows, results) {
    let [a, b, d] = [0, 0, 0];
    const right = [0, 0, 0, 0];
    rows.forEach(([x, y], i) => {
        const [u, w] = results[i];
        a += x * x;
        b += x * y;
        d += y * y;
        right[0] += x * u;
        right[1] += x * w;
        right[2] += y * u;
        right[3] += y * w;
    });
    const angle = 0.5 * Math.atan2(2 * b, a - d);
    const axes = [
        [Math.cos(angle), Math.sin(angle)],
        [-Math.sin(angle), Math.cos(angle)],
    ];
    const squares = axes.map(([x, y]) => Math.max(0, a * x * x + 2 * b * x * y + d * y * y));
    const limit = COLLINEAR * Math.sqrt(Math.max(...squares));
    /** @type {[number, number, number, number]} */
    const matrix = [0, 0, 0, 0];
    axes.forEach(([x, y], k) => {
        if (Math.sqrt(squares[k]) > limit) {
            const [u, w] = [(x * right[0] + y * right[2]) / squares[k], (x * right[1] + y * right[3]) / squares[k]];
            matrix[0] += x * u;
            matrix[1] += x * w;
            matrix[2] += y * u;
            matrix[3] += y * w;
        }
    });
    return matrix;
}
