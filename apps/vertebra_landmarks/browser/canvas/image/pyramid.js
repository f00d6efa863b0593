/**
 * Versions of an image at half, a quarter, ... of its size, and the tiles in which each becomes textures.
 */

/**
 * @typedef {object} Level
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint16Array} data row by row
 * @property {number} unit gray values of the image per unit of `data`
 */

/**
 * A rectangle of a level, and the texture that holds it with its neighbouring pixels.
 *
 * @typedef {object} Tile
 * @property {number} x0 first column that is drawn from this tile
 * @property {number} y0
 * @property {number} x1 column after the last
 * @property {number} y1
 * @property {number} left first column in the texture
 * @property {number} top
 * @property {number} width columns in the texture
 * @property {number} height
 */

const SMALLEST = 128;
const BYTE_PRECISION = 256;
const BORDER = 1;

/**
 * The image and its smaller versions, each pixel of which is the mean of up to four of the version before.
 *
 * Means of 8 bit are kept with 16, so that averages of averages stay exact to 1/256.
 *
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array | Uint16Array} data row by row
 * @returns {Generator<Level, void>} from the largest to one of at most 128 x 128 pixels
 */
export function* pyramid(width, height, data) {
    /** @type {Level} */
    let level = { width, height, data, unit: 1 };
    yield level;
    while (Math.max(level.width, level.height) > SMALLEST) {
        level = halved(level);
        yield level;
    }
}

/**
 * @param {Level} level
 * @returns {Level}
 */
function halved(level) {
    const { width, height, data } = level;
    const gain = data instanceof Uint8Array ? BYTE_PRECISION : 1;
    const columns = (width + 1) >> 1;
    const rows = (height + 1) >> 1;
    const means = new Uint16Array(columns * rows);
    const pairs = width >> 1;
    for (let row = 0, to = 0; row < rows; row++) {
        const upper = 2 * row * width;
        const lower = 2 * row + 1 < height ? upper + width : upper;
        let i = upper;
        let j = lower;
        for (const end = to + pairs; to < end; i += 2, j += 2) {
            means[to++] = ((data[i] + data[i + 1] + data[j] + data[j + 1]) * gain + 2) >> 2;
        }
        if (pairs < columns) {
            means[to++] = ((data[i] + data[j]) * gain + 1) >> 1;
        }
    }
    return { width: columns, height: rows, data: means, unit: level.unit / gain };
}

/**
 * Tiles of at most `largest` pixels a side, each with a border of its neighbours' pixels.
 *
 * @param {number} width
 * @param {number} height
 * @param {number} largest side of a texture
 * @returns {Tile[]}
 */
export function tilesOf(width, height, largest) {
    const tiles = [];
    for (const [y0, y1] of spans(height, largest)) {
        for (const [x0, x1] of spans(width, largest)) {
            const left = Math.max(x0 - BORDER, 0);
            const top = Math.max(y0 - BORDER, 0);
            const right = Math.min(x1 + BORDER, width);
            const bottom = Math.min(y1 + BORDER, height);
            tiles.push({ x0, y0, x1, y1, left, top, width: right - left, height: bottom - top });
        }
    }
    return tiles;
}

/**
 * @param {number} length
 * @param {number} largest
 * @returns {[number, number][]}
 */
function spans(length, largest) {
    if (length <= largest) {
        return [[0, length]];
    }
    /** @type {[number, number][]} */
    const found = [];
    const step = largest - 2 * BORDER;
    for (let start = 0; start < length; start += step) {
        found.push([start, Math.min(start + step, length)]);
    }
    return found;
}
