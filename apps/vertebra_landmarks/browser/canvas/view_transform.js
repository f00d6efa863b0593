/**
 * Where the pixels of an image are on the screen: orientation, zoom and position.
 *
 * Stored pixels are those of the file, with pixel centers at whole numbers. The upright image is the stored raster,
 * mirrored left to right if its orientation says so, then turned clockwise; its pixels are square, of the same area
 * where the stored ones are not (`lib/spine/imaging/pixel_aspect.py`). Screen positions are CSS pixels from the
 * top left corner of the view.
 */

import { UPRIGHT, uprightMatrix } from "../editor/orientation.js";

/** @typedef {import("../api/types.js").Orientation} Orientation */

/** Room around a fitted image, relative to its size. */
export const FIT_MARGIN = 1.02;

const MAX_SCALE = 40;
const MIN_SCALE_OF_FIT = 0.5;
const MIN_SHOWN_PX = 48;

/** Zoom and position of one image in a view. */
export class ViewTransform {
    /**
     * @param {number} width columns of the stored raster
     * @param {number} height rows of the stored raster
     * @param {Orientation} orientation
     * @param {number} pixelAspect width over height of a stored pixel
     */
    constructor(width, height, orientation = UPRIGHT, pixelAspect = 1) {
        this.storedWidth = width;
        this.storedHeight = height;
        this._pixelAspect = pixelAspect;
        /** Upright pixels per stored one, to the right and down on the screen. @type {[number, number]} */
        this._stretch = [1, 1];
        /** Size of the view in CSS pixels. */
        this.viewWidth = 1;
        this.viewHeight = 1;
        /** CSS pixels per pixel of the image. */
        this.scale = 1;
        /** Position of the upright image's top left edge. */
        this.left = 0;
        this.top = 0;
        /** Whether the whole image is shown, and is to be after a change of size. */
        this.isFitted = true;
        /** Size of the upright image in pixels. */
        this.width = width;
        this.height = height;
        this._matrix = uprightMatrix(width, height, UPRIGHT);
        this.setOrientation(orientation);
    }

    /**
     * Turn the image; it is fitted anew.
     *
     * @param {Orientation} orientation
     */
    setOrientation(orientation) {
        const [a, b, c, d, e, f] = uprightMatrix(this.storedWidth, this.storedHeight, orientation);
        const isTurned = orientation.turn_deg % 180 !== 0;
        const across = Math.sqrt(isTurned ? 1 / this._pixelAspect : this._pixelAspect);
        const [s, t] = (this._stretch = [across, 1 / across]);
        this._matrix = [a * s, b * t, c * s, d * t, (e + 0.5) * s - 0.5, (f + 0.5) * t - 0.5];
        this.width = (isTurned ? this.storedHeight : this.storedWidth) * s;
        this.height = (isTurned ? this.storedWidth : this.storedHeight) * t;
        this.fit();
    }

    /** The scale at which the whole image is shown. */
    get fitScale() {
        return Math.min(this.viewWidth / this.width, this.viewHeight / this.height) / FIT_MARGIN;
    }

    /**
     * Change the size of the view; what is in its middle stays there.
     *
     * @param {number} width CSS pixels
     * @param {number} height CSS pixels
     */
    resize(width, height) {
        this.left += (width - this.viewWidth) / 2;
        this.top += (height - this.viewHeight) / 2;
        this.viewWidth = width;
        this.viewHeight = height;
        if (this.isFitted) {
            this.fit();
        } else {
            this._keepInView();
        }
    }

    /** Show the whole image. */
    fit() {
        this.scale = this.fitScale;
        this.left = (this.viewWidth - this.width * this.scale) / 2;
        this.top = (this.viewHeight - this.height * this.scale) / 2;
        this.isFitted = true;
    }

    /**
     * Zoom; the pixel at a position stays there.
     *
     * @param {number} factor more than 1 to magnify
     * @param {number} x CSS pixels
     * @param {number} y CSS pixels
     */
    zoomBy(factor, x, y) {
        const before = this.scale;
        this.scale = this._limited(before * factor);
        this.left = x - ((x - this.left) * this.scale) / before;
        this.top = y - ((y - this.top) * this.scale) / before;
        this.isFitted = false;
        this._keepInView();
    }

    /**
     * @param {number} dx CSS pixels
     * @param {number} dy CSS pixels
     */
    panBy(dx, dy) {
        this.left += dx;
        this.top += dy;
        this.isFitted = false;
        this._keepInView();
    }

    /**
     * Show a position in the middle.
     *
     * @param {number[]} stored (x, y) stored pixels
     * @param {number} scale CSS pixels per pixel of the image
     */
    center(stored, scale) {
        this.scale = this._limited(scale);
        const [u, v] = this.toUpright(stored);
        this.left = this.viewWidth / 2 - (u + 0.5) * this.scale;
        this.top = this.viewHeight / 2 - (v + 0.5) * this.scale;
        this.isFitted = false;
        this._keepInView();
    }

    /**
     * @param {ArrayLike<number>} stored (x, y) stored pixels
     * @returns {[number, number]} upright pixels
     */
    toUpright(stored) {
        const [a, b, c, d, e, f] = this._matrix;
        return [a * stored[0] + c * stored[1] + e, b * stored[0] + d * stored[1] + f];
    }

    /**
     * @param {ArrayLike<number>} stored (x, y) stored pixels
     * @returns {[number, number]} CSS pixels
     */
    toScreen(stored) {
        const [u, v] = this.toUpright(stored);
        return [(u + 0.5) * this.scale + this.left, (v + 0.5) * this.scale + this.top];
    }

    /**
     * `toScreen` of many points, without allocating anything.
     *
     * @param {Float64Array} stored x, y, x, y, ... stored pixels
     * @param {Float64Array} screen of the same length; receives CSS pixels, NaN where a point is
     */
    allToScreen(stored, screen) {
        const m = this._matrix;
        for (let i = 0; i < stored.length; i += 2) {
            const x = stored[i];
            const y = stored[i + 1];
            screen[i] = (m[0] * x + m[2] * y + m[4] + 0.5) * this.scale + this.left;
            screen[i + 1] = (m[1] * x + m[3] * y + m[5] + 0.5) * this.scale + this.top;
        }
    }

    /**
     * @param {number} x CSS pixels
     * @param {number} y CSS pixels
     * @returns {[number, number]} stored pixels
     */
    toStored(x, y) {
        const [a, b, c, d, e, f] = this._matrix;
        const [s, t] = this._stretch;
        const u = ((x - this.left) / this.scale - 0.5 - e) / (s * s);
        const v = ((y - this.top) / this.scale - 0.5 - f) / (t * t);
        return [a * u + b * v, c * u + d * v]; // the inverse of a quarter turn is its transpose
    }

    /**
     * Affine map from CSS pixels to stored positions that count from the corner of the first pixel:
     * `[a, b, c, d, e, f]` as in `uprightMatrix`.
     *
     * @returns {number[]}
     */
    screenToEdges() {
        const [x0, y0] = this.toStored(0, 0);
        const [a, b, c, d] = this._matrix;
        const [across, down] = this._stretch.map((stretch) => this.scale * stretch * stretch);
        return [a / across, c / across, b / down, d / down, x0 + 0.5, y0 + 0.5];
    }

    /** @param {number} scale */
    _limited(scale) {
        return Math.min(Math.max(scale, this.fitScale * MIN_SCALE_OF_FIT), Math.max(MAX_SCALE, this.fitScale));
    }

    /** Move back an image that is about to leave the view. */
    _keepInView() {
        const width = this.width * this.scale;
        const height = this.height * this.scale;
        const x = Math.min(MIN_SHOWN_PX, width);
        const y = Math.min(MIN_SHOWN_PX, height);
        this.left = Math.min(Math.max(this.left, x - width), this.viewWidth - x);
        this.top = Math.min(Math.max(this.top, y - height), this.viewHeight - y);
    }
}
