/** One radiograph with its points: shows both, and reports what mouse, pen and fingers do. */

import { UPRIGHT } from "../editor/orientation.js";
import { P, V } from "../editor/schema.js";
import { Equalizer } from "./image/equalization.js";
import { GrayValues, WINDOWS } from "./image/gray_window.js";
import { ImageLayer } from "./image/image_layer.js";
import { Interaction } from "./interaction.js";
import { medianBodyHeight, middleAt } from "./points/point_search.js";
import { ComparisonLayer } from "./points/comparison_layer.js";
import { PointsLayer } from "./points/points_layer.js";
import { FIT_MARGIN, ViewTransform } from "./view_transform.js";

/** @typedef {import("./view_transform.js").Orientation} Orientation */
/** @typedef {import("./image/gray_window.js").GrayWindow} GrayWindow */
/** @typedef {import("./interaction.js").Handlers} Handlers */
/** @typedef {import("./interaction.js").Mode} Mode */
/** @typedef {import("./interaction.js").Target} Target */
/** @typedef {import("./points/point_search.js").PointIndex} PointIndex */
/** @typedef {import("./points/comparison_layer.js").ShownReading} ShownReading */
/** @typedef {import("./points/points_layer.js").Selection} Selection */
/** @typedef {import("./points/points_layer.js").Measurement} Measurement */
/** @typedef {import("./points/points_layer.js").Layers} Layers */
/** @typedef {import("./image/image_layer.js").Pixels & {orientation?: Orientation | null, pixelAspect?: number}} ShownImage */

const PRESETS = Object.freeze(Object.keys(WINDOWS));
const [AUTOMATIC] = PRESETS;
const JUMP_BODIES = 7;
const REST_MS = 200; // without a change, after which the image rests
const BURST = 2; // changes in a row from which it moves

/** Shows an image upright with the points of a spine, and lets the user zoom, pan, select and drag. */
export class RadiographView {
    /**
     * @param {HTMLElement} container is filled; its size is followed
     * @param {Handlers} handlers
     * @throws {Error} the browser has no WebGL 2
     */
    constructor(container, handlers = {}) {
        /** The part of the page that takes the keyboard's focus. */
        this.element = filling(document.createElement("div"));
        this._canvas = filling(document.createElement("canvas"));
        const overlay = document.createElement("canvas");
        Object.assign(overlay.style, { position: "absolute", zIndex: "-1" });
        this._canvas.style.zIndex = "-1"; // below the outline that shows the focus
        this.element.className = "radiograph-view";
        this.element.tabIndex = 0;
        Object.assign(this.element.style, { isolation: "isolate", touchAction: "none", userSelect: "none" });
        this._image = new ImageLayer(this._canvas, () => this.invalidate(true));
        this._points = new PointsLayer(overlay, this._image.isSoftware);
        this.element.append(this._canvas, overlay);
        container.append(this.element);
        /** Only where readings are compared. @type {ComparisonLayer | null} */
        this._comparison = null;
        this._transform = new ViewTransform(1, 1);
        /** @type {GrayValues | null} */
        this._grays = null;
        this._frame = 0;
        this._isImageStale = false;
        this._imageDrawnAt = -Infinity;
        this._burst = 0;
        this._isDraft = false;
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        this._resting = undefined;
        this._equalizer = new Equalizer();
        this._onError = handlers.onError;
        this._isEqualized = false;
        this._interaction = new Interaction(this, this._points, handlers);
        this._sizes = new ResizeObserver(() => this._resize());
        this._sizes.observe(this.element); // calls at once
        this._onRatio = () => {
            this._ratios = this._watchRatio();
            this._resize();
        };
        this._ratios = this._watchRatio();
    }

    /** Names of the presets of the gray window. */
    get presets() {
        return PRESETS;
    }

    /** Gray values that become black and white. @returns {GrayWindow} */
    get window() {
        return { ...this._image.window };
    }

    /** @returns {Selection | null} */
    get selected() {
        return this._points.selected && { ...this._points.selected };
    }

    /** The point under the mouse. @returns {PointIndex | null} */
    get hovered() {
        return this._points.hovered && { ...this._points.hovered };
    }

    /** CSS pixels per pixel of the image. */
    get scale() {
        return this._transform.scale;
    }

    /**
     * Show an image without points, whole, with the preset "Automatic".
     *
     * @param {ShownImage} image its pixels are kept, not copied
     * @throws {TypeError} the pixels are not of 8 or 16 bit, or not as many as width times height
     */
    show({ width, height, data, orientation, pixelAspect }) {
        this._image.setPixels({ width, height, data });
        this._transform = new ViewTransform(width, height, orientation ?? UPRIGHT, pixelAspect);
        this._grays = new GrayValues(width, height, data);
        this._image.window = this._grays.window(AUTOMATIC);
        this._points.xy.fill(NaN);
        this._points.setMeasurement(null);
        this._interaction.reset();
        this._resize();
        if (this._isEqualized) {
            this.setEqualized(true).catch((error) => this._onError?.(error));
        }
    }

    /**
     * Turn the image; the points stay in stored pixels.
     *
     * @param {Orientation | null} orientation
     */
    setOrientation(orientation) {
        this._transform.setOrientation(orientation ?? UPRIGHT);
        this.invalidate(true);
    }

    /**
     * @param {ArrayLike<number>} xy V x P x 2 stored pixels, NaN where a point is absent; copied
     * @throws {RangeError} these are not 170 numbers
     */
    setPoints(xy) {
        if (xy.length !== this._points.xy.length) {
            throw new RangeError(`expected ${this._points.xy.length} coordinates, got ${xy.length}`);
        }
        this._points.xy.set(xy);
        this.invalidate();
    }

    /** @param {Measurement | null} measurement answer of `POST /measure` */
    setMeasurement(measurement) {
        this._points.setMeasurement(measurement);
        this.invalidate();
    }

    /**
     * Show several readings over each other, beside the points.
     *
     * @param {ShownReading[]} readings their points are kept, not copied; none to show the points alone again
     * @param {number | null} selected vertebra whose names stand out
     */
    setComparison(readings, selected = null) {
        if (this._comparison === null) {
            const canvas = document.createElement("canvas");
            Object.assign(canvas.style, { position: "absolute", zIndex: "-1" });
            this.element.append(canvas);
            this._comparison = new ComparisonLayer(canvas, this._image.isSoftware);
            this._comparison.canvas.resize(this._transform.viewWidth, this._transform.viewHeight, devicePixelRatio);
        }
        this._comparison.readings = readings;
        this._comparison.selected = selected;
        this.invalidate();
    }

    /** @param {Partial<Layers>} layers which to show or hide; the others stay */
    setLayers(layers) {
        this._points.layers = { ...this._points.layers, ...layers };
        this._canvas.style.visibility = this._points.layers.image ? "" : "hidden";
        this.invalidate();
    }

    /**
     * @param {Mode} mode what dragging a point does
     * @throws {RangeError} there is no such mode
     */
    setMode(mode) {
        this._interaction.setMode(mode);
    }

    /** Protect the points against mouse and fingers. @param {boolean} isLocked */
    setLocked(isLocked) {
        this._interaction.setLocked(isLocked);
    }

    /** What moving two fingers changes beside the zoom. @param {"pan" | "window"} action */
    setTwoFingers(action) {
        this._interaction.setTwoFingers(action);
    }

    /**
     * @param {number} low gray value that becomes black
     * @param {number} high gray value that becomes white
     * @throws {RangeError} these are not two rising numbers
     */
    setWindow(low, high) {
        if (!(Number.isFinite(low) && Number.isFinite(high) && low < high)) {
            throw new RangeError(`a gray window needs two rising numbers, got ${low} and ${high}`);
        }
        this._image.window = { low, high };
        this.invalidate(true);
    }

    /**
     * @param {string} name one of `presets`
     * @returns {GrayWindow} its gray values in this image
     * @throws {RangeError} there is no such preset
     */
    setPreset(name) {
        const { low, high } = (this._grays ?? NO_GRAYS).window(name);
        this.setWindow(low, high);
        return this.window;
    }

    /** Show bone dark. @param {boolean} isInverted */
    setInverted(isInverted) {
        this._image.isInverted = isInverted;
        this.invalidate(true);
    }

    /**
     * Equalize the contrast, for this image and later ones.
     *
     * @param {boolean} isEqualized
     * @returns {Promise<void>} when it is shown
     * @throws {Error} the worker that equalizes failed
     */
    async setEqualized(isEqualized) {
        this._isEqualized = isEqualized;
        const sample = this._image.sample;
        let ranks = null;
        if (isEqualized && sample && this._grays) {
            ranks = await this._equalizer.ranks({ ...sample, ...this._grays.window(AUTOMATIC) });
        }
        if (this._isEqualized === isEqualized && this._image.sample === sample) {
            this._image.setRanks(ranks);
            this.invalidate(true);
        }
    }

    /** Show the whole image. */
    fit() {
        this._transform.fit();
        this.invalidate(true);
    }

    /**
     * Show a vertebra with its neighbours; one that is not visible is assumed between its nearest neighbours.
     *
     * @param {number} v
     * @param {Float64Array} xy of these points; of those that are shown when left out
     */
    zoomTo(v, xy = this._points.xy) {
        const height = medianBodyHeight(xy);
        for (let distance = 0; height > 0 && distance < V; distance++) {
            const center = middleAt(xy, v, distance);
            if (center) {
                this._transform.center(center, this._transform.viewHeight / (JUMP_BODIES * height * FIT_MARGIN));
                this.invalidate(true);
                return;
            }
        }
    }

    /**
     * @param {number} factor more than 1 to magnify
     * @param {{x: number, y: number}} [at] position on the page that stays; the middle of the view when left out
     */
    zoomBy(factor, at) {
        const { left, top } = this.element.getBoundingClientRect();
        const { viewWidth, viewHeight } = this._transform;
        this.zoomInView(factor, at ? at.x - left : viewWidth / 2, at ? at.y - top : viewHeight / 2);
    }

    /**
     * @param {number} factor more than 1 to magnify
     * @param {number} x CSS pixels from the top left corner of the view; what is there stays
     * @param {number} y
     */
    zoomInView(factor, x, y) {
        this._transform.zoomBy(factor, x, y);
        this.invalidate(true);
    }

    /**
     * @param {number} dx CSS pixels
     * @param {number} dy CSS pixels
     */
    panBy(dx, dy) {
        this._transform.panBy(dx, dy);
        this.invalidate(true);
    }

    /**
     * Highlight a point, a whole vertebra (`p` null) or nothing (`v` null).
     *
     * @param {number | null} v
     * @param {number | null} p
     */
    select(v, p = null) {
        this._points.selected = v === null ? null : { vertebra: v, point: p };
        this.invalidate();
    }

    /**
     * @param {number} v
     * @param {number} p
     * @returns {{x: number, y: number}} CSS pixels of the page, NaN where the point is absent
     */
    screenPosition(v, p) {
        const [x, y] = this.positionInView(v, p);
        const { left, top } = this.element.getBoundingClientRect();
        return { x: x + left, y: y + top };
    }

    /**
     * @param {number} v
     * @param {number} p
     * @returns {[number, number]} CSS pixels from the top left corner of the view, NaN where the point is absent
     */
    positionInView(v, p) {
        const at = 2 * (P * v + p);
        return this._transform.toScreen(this._points.xy.subarray(at, at + 2));
    }

    /**
     * @param {number} clientX CSS pixels of the page
     * @param {number} clientY
     * @returns {[number, number]} stored pixels
     */
    imagePosition(clientX, clientY) {
        const { left, top } = this.element.getBoundingClientRect();
        return this.storedPosition(clientX - left, clientY - top);
    }

    /**
     * @param {number} x CSS pixels from the top left corner of the view
     * @param {number} y
     * @returns {[number, number]} stored pixels
     */
    storedPosition(x, y) {
        return this._transform.toStored(x, y);
    }

    /**
     * Draw with the next frame.
     *
     * @param {boolean} withImage whether the image changes too
     */
    invalidate(withImage = false) {
        this._isImageStale ||= withImage;
        this._frame ||= requestAnimationFrame(() => this._draw(this._isImageStale));
    }

    /** Remove everything from the page. */
    destroy() {
        cancelAnimationFrame(this._frame);
        clearTimeout(this._resting);
        this._interaction.destroy();
        this._sizes.disconnect();
        this._ratios.removeEventListener("change", this._onRatio);
        this._equalizer.destroy();
        this._image.destroy();
        this.element.remove();
    }

    /** Follow the size of the container and the pixels of the screen. */
    _resize() {
        const { clientWidth, clientHeight } = this.element;
        const width = Math.max(clientWidth, 1);
        const height = Math.max(clientHeight, 1);
        const ratio = devicePixelRatio;
        this._transform.resize(width, height);
        this._image.resize(Math.round(width * ratio), Math.round(height * ratio));
        this._points.resize(width, height, ratio);
        this._comparison?.canvas.resize(width, height, ratio);
        this._imageDrawnAt = -Infinity; // nothing moves yet
        this._draw(true); // at once: a canvas is empty after its size changed
    }

    /** Notice when the page moves to a screen of other density. @returns {MediaQueryList} */
    _watchRatio() {
        const ratios = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
        ratios.addEventListener("change", this._onRatio, { once: true });
        return ratios;
    }

    /** Draw the image; while it moves and there is no graphics card, a draft, and the image when it rests. */
    _drawImage() {
        const now = performance.now();
        this._burst = now - this._imageDrawnAt < REST_MS ? this._burst + 1 : 0;
        this._imageDrawnAt = now;
        this._isDraft = this._image.isSoftware && this._burst >= BURST;
        this._image.draw(this._transform, this._isDraft);
        clearTimeout(this._resting);
        if (this._isDraft) {
            this._resting = setTimeout(() => this.invalidate(true), REST_MS);
        }
    }

    /** @param {boolean} withImage */
    _draw(withImage) {
        cancelAnimationFrame(this._frame);
        this._frame = 0;
        if (withImage) {
            this._isImageStale = false;
            this._drawImage();
        }
        this._comparison?.draw(this._transform);
        this._points.draw(this._transform);
        this._interaction.refresh();
    }
}

const NO_GRAYS = new GrayValues(1, 1, new Uint8Array(1));

/**
 * Let an element fill its parent.
 *
 * @template {HTMLElement} T
 * @param {T} element
 * @returns {T}
 */
function filling(element) {
    Object.assign(element.style, { position: "absolute", inset: "0", width: "100%", height: "100%" });
    return element;
}
