/** One radiograph with its points: shows both, and reports what mouse, pen and fingers do. */

import { CENTER_INDEX, P, V, VERTEBRAE } from "../editor/schema.js";
import { Equalizer } from "./equalization.js";
import { Gestures } from "./gestures.js";
import { GrayValues, WINDOWS } from "./gray_window.js";
import { ImageLayer } from "./image_layer.js";
import { bodyAt, nearestPoint } from "./nearest_point.js";
import { PointsLayer, medianBodyHeight } from "./points_layer.js";
import { UPRIGHT, ViewTransform } from "./view_transform.js";

/** @typedef {import("./view_transform.js").Orientation} Orientation */
/** @typedef {import("./gray_window.js").GrayWindow} GrayWindow */
/** @typedef {import("./nearest_point.js").PointIndex} PointIndex */
/** @typedef {import("./points_layer.js").Selection} Selection */
/** @typedef {import("./points_layer.js").Measurement} Measurement */
/** @typedef {import("./points_layer.js").Layers} Layers */

/** @typedef {"point" | "vertebra" | "rotate" | "place"} Mode what dragging a point does; "place": clicks place points */
/** @typedef {PointIndex & {mode: Mode}} Target vertebra 0 (T1) to 16 (L5), point 0 (center) to 4 (BR) */
/** @typedef {import("./image_layer.js").Pixels & {orientation?: Orientation | null}} ShownImage */

/**
 * What the view reports; positions are stored pixels.
 *
 * @typedef {object} Handlers
 * @property {(target: Target) => void} [onDragStart]
 * @property {(target: Target, position: [number, number]) => void} [onDrag] where the dragged point belongs
 * @property {() => void} [onDragEnd]
 * @property {(target: Target | null) => void} [onSelect] by mouse or finger
 * @property {(target: Target | null) => void} [onHover]
 * @property {(position: [number, number]) => void} [onClickImage] only while placing
 * @property {(window: GrayWindow) => void} [onWindow] changed by the mouse or two fingers
 */

const MODES = ["point", "vertebra", "rotate", "place"];
const JUMP_BODIES = 7;
const FIT_MARGIN = 1.02;
const WINDOW_PX = 250; // of dragging that widen the gray window by e, or shift it by its width

/** Shows an image upright with the points of a spine, and lets the user zoom, pan, select and drag. */
export class RadiographView {
    /**
     * @param {HTMLElement} container is filled; its size is followed
     * @param {Handlers} handlers
     * @throws {Error} the browser has no WebGL 2
     */
    constructor(container, handlers = {}) {
        this._handlers = handlers;
        /** The part of the page that takes the keyboard's focus. */
        this.element = filling(document.createElement("div"));
        this._canvas = filling(document.createElement("canvas"));
        const overlay = filling(document.createElement("div"));
        this.element.className = "radiograph-view";
        this.element.tabIndex = 0;
        this.element.style.touchAction = "none";
        this.element.style.userSelect = "none";
        this._image = new ImageLayer(this._canvas, () => this._invalidate(true));
        this._points = new PointsLayer(overlay);
        this.element.append(this._canvas, overlay);
        container.append(this.element);
        this._transform = new ViewTransform(1, 1);
        /** @type {GrayValues | null} */
        this._grays = null;
        /** @type {GrayWindow} */
        this._windowAtGrab = { low: 0, high: 1 };
        /** @type {Mode} */
        this._mode = "point";
        this._isLocked = false;
        /** @type {PointIndex | null} */
        this._hovered = null;
        /** @type {Target | null} */
        this._dragged = null;
        this._frame = 0;
        this._isImageStale = false;
        this._equalizer = new Equalizer();
        this._isEqualized = false;
        this._gestures = new Gestures(this.element, this._actions());
        this._sizes = new ResizeObserver(() => this._resize());
        this._sizes.observe(this.element);
        this._onRatio = () => {
            this._ratios = this._watchRatio();
            this._resize();
        };
        this._ratios = this._watchRatio();
        this._resize();
    }

    /** Names of the presets of the gray window. @returns {string[]} */
    get presets() {
        return Object.keys(WINDOWS);
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
    show({ width, height, data, orientation }) {
        checkPixels(width, height, data);
        this._gestures.cancel();
        this._transform = new ViewTransform(width, height, orientation ?? UPRIGHT);
        this._grays = new GrayValues(width, height, data);
        this._image.setPixels({ width, height, data });
        this._image.window = this._grays.window(this.presets[0]);
        this._points.xy.fill(NaN);
        this._points.setMeasurement(null);
        this._hovered = this._points.hovered = this._points.selected = null;
        this._resize();
        void this.setEqualized(this._isEqualized);
    }

    /**
     * Turn the image; the points stay in stored pixels.
     *
     * @param {Orientation | null} orientation
     */
    setOrientation(orientation) {
        this._transform.setOrientation(orientation ?? UPRIGHT);
        this._invalidate(true);
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
        this._invalidate();
    }

    /** @param {Measurement | null} measurement answer of `POST /measure` */
    setMeasurement(measurement) {
        this._points.setMeasurement(measurement);
        this._invalidate();
    }

    /** @param {Partial<Layers>} layers which to show or hide; the others stay */
    setLayers(layers) {
        this._points.layers = { ...this._points.layers, ...layers };
        this._canvas.style.visibility = this._points.layers.image ? "" : "hidden";
        this._invalidate();
    }

    /**
     * @param {Mode} mode
     * @throws {RangeError} there is no such mode
     */
    setMode(mode) {
        if (!MODES.includes(mode)) {
            throw new RangeError(`mode ${JSON.stringify(mode)} is not one of ${MODES.join(", ")}`);
        }
        this._mode = mode;
        this._gestures.cancel();
        this._updateCursor();
    }

    /** Protect the points against the mouse. @param {boolean} isLocked */
    setLocked(isLocked) {
        this._isLocked = isLocked;
        this._gestures.cancel();
    }

    /** What moving two fingers changes beside the zoom. @param {"pan" | "window"} action */
    setTwoFingers(action) {
        this._gestures.twoFingers = action;
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
        this._invalidate(true);
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
        this._invalidate(true);
    }

    /**
     * Equalize the contrast, for this image and later ones.
     *
     * @param {boolean} isEqualized
     * @returns {Promise<void>} when it is shown
     */
    async setEqualized(isEqualized) {
        this._isEqualized = isEqualized;
        const sample = this._image.sample;
        let ranks = null;
        if (isEqualized && sample && this._grays) {
            ranks = await this._equalizer.ranks({ ...sample, ...this._grays.window(this.presets[0]) });
        }
        if (this._isEqualized === isEqualized && this._image.sample === sample) {
            this._image.setRanks(ranks);
            this._invalidate(true);
        }
    }

    /** Show the whole image. */
    fit() {
        this._transform.fit();
        this._invalidate(true);
    }

    /**
     * Show a vertebra with its neighbours; one that is not visible is assumed between its nearest neighbours.
     *
     * @param {number} v
     */
    zoomTo(v) {
        const height = medianBodyHeight(this._points.xy);
        for (let distance = 0; height > 0 && distance < V; distance++) {
            const center = middleAt(this._points.xy, v, distance);
            if (center) {
                this._transform.center(center, this._transform.viewHeight / (JUMP_BODIES * height * FIT_MARGIN));
                this._invalidate(true);
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
        const x = at ? at.x - left : this._transform.viewWidth / 2;
        const y = at ? at.y - top : this._transform.viewHeight / 2;
        this._transform.zoomBy(factor, x, y);
        this._invalidate(true);
    }

    /**
     * @param {number} dx CSS pixels
     * @param {number} dy CSS pixels
     */
    panBy(dx, dy) {
        this._transform.panBy(dx, dy);
        this._invalidate(true);
    }

    /**
     * Highlight a point, a whole vertebra (`p` null) or nothing (`v` null).
     *
     * @param {number | null} v
     * @param {number | null} p
     */
    select(v, p = null) {
        this._points.selected = v === null ? null : { vertebra: v, point: p };
        this._invalidate();
    }

    /**
     * @param {number} v
     * @param {number} p
     * @returns {{x: number, y: number}} CSS pixels of the page, NaN where the point is absent
     */
    screenPosition(v, p) {
        const at = 2 * (P * v + p);
        const [x, y] = this._transform.toScreen(this._points.xy.subarray(at, at + 2));
        const { left, top } = this.element.getBoundingClientRect();
        return { x: x + left, y: y + top };
    }

    /**
     * @param {number} clientX CSS pixels of the page
     * @param {number} clientY
     * @returns {[number, number]} stored pixels
     */
    imagePosition(clientX, clientY) {
        const { left, top } = this.element.getBoundingClientRect();
        return this._transform.toStored(clientX - left, clientY - top);
    }

    /** Remove everything from the page. */
    destroy() {
        cancelAnimationFrame(this._frame);
        this._handlers = {};
        this._gestures.destroy();
        this._sizes.disconnect();
        this._ratios.removeEventListener("change", this._onRatio);
        this._equalizer.destroy();
        this._points.destroy();
        this._image.destroy();
        this.element.remove();
    }

    /** @returns {import("./gestures.js").Actions} */
    _actions() {
        return {
            find: (x, y, reach) => this._find(x, y, reach),
            positionOf: ({ vertebra, point }) => {
                const at = 2 * (P * vertebra + point);
                return this._transform.toScreen(this._points.xy.subarray(at, at + 2));
            },
            grab: (at) => this._grab(at),
            drag: (x, y) => this._dragged && this._handlers.onDrag?.(this._dragged, this._transform.toStored(x, y)),
            drop: () => this._drop(),
            hover: (at) => this._hover(at),
            click: (x, y, at) => this._click(x, y, at),
            doubleClick: () => this._mode !== "place" && this.fit(),
            pan: (dx, dy) => this.panBy(dx, dy),
            zoom: (factor, x, y) => {
                this._transform.zoomBy(factor, x, y);
                this._invalidate(true);
            },
            grabWindow: () => (this._windowAtGrab = this.window),
            dragWindow: (dx, dy) => this._dragWindow(dx, dy),
        };
    }

    /**
     * The point in reach; while whole vertebrae are moved, also one of the body that lies there.
     *
     * @param {number} x CSS pixels
     * @param {number} y
     * @param {number} reach
     */
    _find(x, y, reach) {
        const points = this._points;
        if (this._mode === "place" || this._isLocked) {
            return null;
        }
        const near = nearestPoint(points.screen, x, y, reach, (p) => points.isShown(p));
        if (near || this._mode === "point" || !(points.layers.outlines || points.layers.endplates)) {
            return near;
        }
        return bodyAt(points.screen, x, y, (p) => p !== CENTER_INDEX || this._mode === "vertebra");
    }

    /** @param {PointIndex} at */
    _grab(at) {
        this._dragged = { ...at, mode: this._mode };
        this._selectByHand(at);
        this._points.hovered = at;
        this._updateCursor();
        this._handlers.onDragStart?.(this._dragged);
    }

    _drop() {
        if (this._dragged) {
            this._dragged = null;
            this._points.hovered = this._hovered;
            this._updateCursor();
            this._invalidate();
            this._handlers.onDragEnd?.();
        }
    }

    /** @param {PointIndex | null} at */
    _hover(at) {
        this._hovered = this._points.hovered = at;
        this._updateCursor();
        this._invalidate();
        this._handlers.onHover?.(at && { ...at, mode: this._mode });
    }

    /**
     * @param {number} x CSS pixels
     * @param {number} y
     * @param {PointIndex | null} at
     */
    _click(x, y, at) {
        if (this._mode === "place") {
            this._handlers.onClickImage?.(this._transform.toStored(x, y));
        } else {
            this._selectByHand(at);
        }
    }

    /** @param {PointIndex | null} at */
    _selectByHand(at) {
        this._points.selected = at && { vertebra: at.vertebra, point: at.point };
        this._invalidate();
        this._handlers.onSelect?.(at && { ...at, mode: this._mode });
    }

    /**
     * Widen the gray window to the right, brighten the image upwards.
     *
     * @param {number} dx CSS pixels since the button was pressed
     * @param {number} dy
     */
    _dragWindow(dx, dy) {
        const { low, high } = this._windowAtGrab;
        const half = ((high - low) / 2) * Math.exp(dx / WINDOW_PX);
        const middle = (low + high) / 2 + ((high - low) * dy) / WINDOW_PX;
        this.setWindow(middle - half, middle + half);
        this._handlers.onWindow?.(this.window);
    }

    _updateCursor() {
        const isOver = this._points.hovered !== null;
        const overPoint = this._dragged ? "grabbing" : "grab";
        this.element.style.cursor = this._mode === "place" ? "crosshair" : isOver ? overPoint : "default";
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
        this._draw(true); // at once: a canvas is empty after its size changed
    }

    /** Notice when the page moves to a screen of other density. @returns {MediaQueryList} */
    _watchRatio() {
        const ratios = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
        ratios.addEventListener("change", this._onRatio, { once: true });
        return ratios;
    }

    /**
     * Draw with the next frame.
     *
     * @param {boolean} withImage whether the image changes too
     */
    _invalidate(withImage = false) {
        this._isImageStale ||= withImage;
        this._frame ||= requestAnimationFrame(() => this._draw(this._isImageStale));
    }

    /** @param {boolean} withImage */
    _draw(withImage) {
        cancelAnimationFrame(this._frame);
        this._frame = 0;
        if (withImage) {
            this._isImageStale = false;
            this._image.draw(this._transform);
        }
        this._points.draw(this._transform);
        this._gestures.refreshHover();
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

/**
 * @param {number} width
 * @param {number} height
 * @param {unknown} data
 */
function checkPixels(width, height, data) {
    if (!(data instanceof Uint8Array || data instanceof Uint16Array)) {
        throw new TypeError("the pixels of an image must be a Uint8Array or a Uint16Array");
    }
    if (!(width >= 1 && height >= 1 && data.length === width * height)) {
        throw new TypeError(`an image of ${width} x ${height} has other than ${data.length} pixels`);
    }
}

/**
 * Mean of the points of the vertebrae that are some levels away; null where there is none.
 *
 * @param {Float64Array} xy
 * @param {number} v
 * @param {number} distance
 * @returns {[number, number] | null}
 */
function middleAt(xy, v, distance) {
    let x = 0;
    let y = 0;
    let count = 0;
    for (const row of new Set([v - distance, v + distance])) {
        for (let i = 2 * P * row; row >= 0 && row < VERTEBRAE.length && i < 2 * P * (row + 1); i += 2) {
            if (!Number.isNaN(xy[i])) {
                x += xy[i];
                y += xy[i + 1];
                count++;
            }
        }
    }
    return count ? [x / count, y / count] : null;
}
