/** A canvas that covers no more of the view than what is drawn on it. */

/** @typedef {{x0: number, y0: number, x1: number, y1: number}} Box in CSS pixels of the view */

const GRIDS = [40, 60, 120, 240]; // CSS pixels to which edges are rounded: the first that is whole pixels of the screen
const WHOLE = 0.01; // pixels of the screen by which a grid may miss them
const MAX_SPARE = 2; // area of the canvas, relative to what is needed, above which it shrinks

/**
 * Places and sizes a canvas.
 *
 * Without a graphics card the browser blends every pixel of the canvas with the image in each frame, which takes
 * longer than all drawing: hence the canvas is kept small.
 */
export class OverlayCanvas {
    /**
     * @param {HTMLCanvasElement} canvas absolutely positioned in the view
     * @param {boolean} isSoftware whether the browser draws without a graphics card
     */
    constructor(canvas, isSoftware) {
        this._canvas = canvas;
        const context = canvas.getContext("2d", { willReadFrequently: isSoftware }); // true: not by software WebGL
        this._context = /** @type {CanvasRenderingContext2D} */ (context);
        this._width = 1;
        this._height = 1;
        this._pixelRatio = 1;
        /** What is covered. @type {Box} */
        this._covered = { x0: 0, y0: 0, x1: 0, y1: 0 };
    }

    /**
     * @param {number} width of the view in CSS pixels
     * @param {number} height of the view in CSS pixels
     * @param {number} pixelRatio pixels of the screen per CSS pixel
     */
    resize(width, height, pixelRatio) {
        this._width = width;
        this._height = height;
        this._pixelRatio = pixelRatio;
        this._covered = { x0: 0, y0: 0, x1: 0, y1: 0 };
    }

    /**
     * Clear the canvas, and let it cover what is about to be drawn.
     *
     * @param {Box} wanted may reach beyond the view; empty where x1 <= x0
     * @returns {CanvasRenderingContext2D} with the coordinates of the view
     */
    begin(wanted) {
        const ratio = this._pixelRatio;
        const grid = GRIDS.find((step) => Math.abs(step * ratio - Math.round(step * ratio)) < WHOLE) ?? Infinity;
        const needed = {
            x0: Math.max(roundBy(Math.floor, wanted.x0, grid), 0),
            y0: Math.max(roundBy(Math.floor, wanted.y0, grid), 0),
            x1: Math.min(roundBy(Math.ceil, wanted.x1, grid), this._width),
            y1: Math.min(roundBy(Math.ceil, wanted.y1, grid), this._height),
        };
        if (!contains(this._covered, needed) || areaOf(this._covered) > MAX_SPARE * areaOf(needed)) {
            this._cover(needed);
        }
        const { x0, y0 } = this._covered;
        this._context.setTransform(ratio, 0, 0, ratio, -x0 * ratio, -y0 * ratio);
        this._context.clearRect(x0, y0, this._canvas.width / ratio, this._canvas.height / ratio);
        return this._context;
    }

    /** @param {Box} box */
    _cover(box) {
        const ratio = this._pixelRatio;
        this._covered = box;
        this._canvas.width = Math.round(Math.max(box.x1 - box.x0, 0) * ratio);
        this._canvas.height = Math.round(Math.max(box.y1 - box.y0, 0) * ratio);
        Object.assign(this._canvas.style, {
            left: `${box.x0}px`,
            top: `${box.y0}px`,
            width: `${this._canvas.width / ratio}px`,
            height: `${this._canvas.height / ratio}px`,
        });
    }
}

/**
 * @param {(value: number) => number} round
 * @param {number} value
 * @param {number} step Infinity: from the first to the last pixel of the view
 */
function roundBy(round, value, step) {
    return Number.isFinite(step) ? round(value / step) * step : round === Math.floor ? 0 : Infinity;
}

/**
 * @param {Box} outer
 * @param {Box} inner
 */
function contains(outer, inner) {
    const isInside =
        outer.x0 <= inner.x0 && outer.y0 <= inner.y0 && outer.x1 >= inner.x1 && outer.y1 >= inner.y1;
    return isInside || areaOf(inner) === 0;
}

/** @param {Box} box */
function areaOf({ x0, y0, x1, y1 }) {
    return Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
}
