/** Colors and sizes of what is drawn over the image; the colors are those of lib/spine/display.py. */

/** @typedef {readonly [number, number, number]} Color red, green and blue from 0 to 255 */

/** @type {Color} Of a vertebra that is as it should be. */
export const SURE = [110, 230, 140];
/** @type {Color} Of a vertebra that the model doubts. */
export const DOUBTFUL = [255, 95, 85];
/** @type {Color} Of Cobb lines and angles. */
export const MEASURED = [105, 195, 255];
/** @type {Color} Of corners that can be dragged. */
export const CORNER = [255, 217, 77];
/** @type {Color} Of the point under the mouse. */
export const HOVERED = [255, 255, 255];
/** @type {Color} Of names of vertebrae that are not doubtful. */
export const NAME = [219, 237, 224];

/**
 * Of the first and the second of two readings, and of their mean: told apart also by people who confuse red and green.
 * @type {readonly [Color, Color, Color]}
 */
export const READINGS = [[255, 176, 46], [86, 190, 255], [255, 255, 255]];

const PALE = 0.72;

/**
 * @param {Color} color
 * @returns {string} as CSS
 */
export function cssColor(color) {
    return `rgb(${color[0]}, ${color[1]}, ${color[2]})`;
}

/**
 * The color of pale lines: darker than the bright one.
 *
 * @param {string} color "#rrggbb"
 * @returns {string} as CSS
 * @throws {TypeError} it is none
 */
export function pale(color) {
    if (!/^#[0-9a-f]{6}$/i.test(color)) {
        throw new TypeError(`expected a color such as "#6ee68c", got ${JSON.stringify(color)}`);
    }
    const value = Number.parseInt(color.slice(1), 16);
    const parts = [value >> 16, (value >> 8) & 255, value & 255].map((part) => Math.round(PALE * part));
    return `rgb(${parts.join(", ")})`;
}

/**
 * @param {Color} color
 * @returns {string} "#rrggbb"
 */
export function hexColor(color) {
    return `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
