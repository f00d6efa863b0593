/** What mouse, pen and fingers do to points, image and gray window, by the drag mode. */

import { CENTER_INDEX } from "../editor/schema.js";
import { Gestures } from "./gestures.js";
import { bodyAt, nearestPoint } from "./points/point_search.js";

/** @typedef {import("./points/point_search.js").PointIndex} PointIndex */
/** @typedef {import("./image/gray_window.js").GrayWindow} GrayWindow */

/** @typedef {"point" | "vertebra" | "rotate" | "place"} Mode what dragging a point does; "place": clicks place points */
/** @typedef {PointIndex & {mode: Mode}} Target vertebra 0 (T1) to 16 (L5), point 0 (center) to 4 (BR) */

/**
 * What is reported; positions are stored pixels.
 *
 * @typedef {object} Handlers
 * @property {(target: Target) => void} [onDragStart]
 * @property {(target: Target, position: [number, number]) => void} [onDrag] where the dragged point belongs
 * @property {() => void} [onDragEnd]
 * @property {(target: Target | null) => void} [onSelect] by mouse or finger
 * @property {(target: Target | null) => void} [onHover]
 * @property {(position: [number, number]) => void} [onClickImage] only while placing
 * @property {(window: GrayWindow) => void} [onWindow] changed by the mouse or two fingers
 * @property {(error: Error) => void} [onError] the contrast of a new image could not be equalized
 */

const MODES = ["point", "vertebra", "rotate", "place"];
const WINDOW_PX = 250; // of dragging that widen the gray window by the factor e, or shift it by its width

/** Decides what each gesture on a view means. */
export class Interaction {
    /**
     * @param {import("./radiograph_view.js").RadiographView} view
     * @param {import("./points/points_layer.js").PointsLayer} points of the view
     * @param {Handlers} handlers
     */
    constructor(view, points, handlers) {
        this._view = view;
        this._points = points;
        this._handlers = handlers;
        /** @type {Mode} */
        this._mode = "point";
        this._isLocked = false;
        /** @type {PointIndex | null} */
        this._hovered = null;
        /** @type {Target | null} */
        this._dragged = null;
        /** @type {GrayWindow} */
        this._windowAtGrab = { low: 0, high: 1 };
        this._gestures = new Gestures(view.element, this._actions());
    }

    /**
     * @param {Mode} mode
     * @throws {RangeError} there is no such mode
     */
    setMode(mode) {
        if (!MODES.includes(mode)) {
            throw new RangeError(`mode ${JSON.stringify(mode)} is not one of ${MODES.join(", ")}`);
        }
        this._gestures.cancel();
        this._mode = mode;
        this._updateCursor();
    }

    /** Protect the points. @param {boolean} isLocked */
    setLocked(isLocked) {
        this._gestures.cancel();
        this._isLocked = isLocked;
    }

    /** What moving two fingers changes beside the zoom. @param {"pan" | "window"} action */
    setTwoFingers(action) {
        this._gestures.twoFingers = action;
    }

    /** Begin with other points: end what goes on, and forget what is under the mouse. */
    reset() {
        this._gestures.cancel();
        this._hovered = this._points.hovered = this._points.selected = null;
        this._updateCursor();
    }

    /** Look anew for the point under the mouse, after points or image moved. */
    refresh() {
        this._gestures.refreshHover();
    }

    destroy() {
        this._handlers = {};
        this._gestures.destroy();
    }

    /** @returns {import("./gestures.js").Actions} */
    _actions() {
        return {
            find: (x, y, reach) => this._find(x, y, reach),
            positionOf: (at) => this._view.positionInView(at.vertebra, at.point),
            grab: (at) => this._grab(at),
            drag: (x, y) => this._drag(x, y),
            drop: () => this._drop(),
            hover: (at) => this._hover(at),
            click: (x, y, at) => this._click(x, y, at),
            doubleClick: () => this._mode !== "place" && this._view.fit(),
            pan: (dx, dy) => this._view.panBy(dx, dy),
            zoom: (factor, x, y) => this._view.zoomInView(factor, x, y),
            grabWindow: () => (this._windowAtGrab = this._view.window),
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
        this._points.hovered = at;
        this._updateCursor();
        this._select(at);
        this._handlers.onDragStart?.(this._dragged);
    }

    /**
     * @param {number} x CSS pixels
     * @param {number} y
     */
    _drag(x, y) {
        if (this._dragged) {
            this._handlers.onDrag?.(this._dragged, this._view.storedPosition(x, y));
        }
    }

    _drop() {
        if (this._dragged) {
            this._dragged = null;
            this._points.hovered = this._hovered;
            this._updateCursor();
            this._view.invalidate();
            this._handlers.onDragEnd?.();
        }
    }

    /** @param {PointIndex | null} at */
    _hover(at) {
        this._hovered = this._points.hovered = at;
        this._updateCursor();
        this._view.invalidate();
        this._handlers.onHover?.(at && { ...at, mode: this._mode });
    }

    /**
     * @param {number} x CSS pixels
     * @param {number} y
     * @param {PointIndex | null} at
     */
    _click(x, y, at) {
        if (this._mode === "place") {
            this._handlers.onClickImage?.(this._view.storedPosition(x, y));
        } else {
            this._select(at);
        }
    }

    /** @param {PointIndex | null} at */
    _select(at) {
        this._points.selected = at && { vertebra: at.vertebra, point: at.point };
        this._view.invalidate();
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
        this._view.setWindow(middle - half, middle + half);
        this._handlers.onWindow?.(this._view.window);
    }

    _updateCursor() {
        const overPoint = this._dragged ? "grabbing" : "grab";
        const free = this._mode === "place" ? "crosshair" : "default";
        this._view.element.style.cursor = this._points.hovered ? overPoint : free;
    }
}
