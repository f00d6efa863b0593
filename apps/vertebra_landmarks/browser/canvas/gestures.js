/**
 * Mouse, pen and fingers on the view.
 *
 * Left button or one finger: a point, where one is in reach, else the image. Middle button: the image. Right button:
 * the gray window. Wheel and two fingers: zoom. Two quick clicks beside the points: the whole image.
 */

/** @typedef {import("./points/point_search.js").PointIndex} PointIndex */

/**
 * What gestures do. Positions are CSS pixels from the top left corner of the view.
 *
 * @typedef {object} Actions
 * @property {(x: number, y: number, reach: number) => PointIndex | null} find the point in reach
 * @property {(at: PointIndex) => [number, number]} positionOf a point
 * @property {(at: PointIndex) => void} grab a point is about to be dragged
 * @property {(x: number, y: number) => void} drag the grabbed point belongs here
 * @property {() => void} drop
 * @property {(at: PointIndex | null) => void} hover
 * @property {(x: number, y: number, at: PointIndex | null) => void} click pressed and released without moving
 * @property {() => void} doubleClick two clicks in a row beside the points
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom
 * @property {() => void} grabWindow
 * @property {(dx: number, dy: number) => void} dragWindow by the distance since `grabWindow`
 */

/** @typedef {{x: number, y: number}} Position */

const REACH_PX = { mouse: 14, touch: 24 };
const SLOP_PX = { mouse: 2, touch: 6 }; // a shorter movement is a click
const DOUBLE_CLICK_MS = 350;
const DOUBLE_CLICK_PX = 20;
const ZOOM_PER_PX = 1 / 500;
const PINCH_PER_PX = 1 / 100;
const LINE_PX = 16;
const MAX_WHEEL_PX = 240;
const LEFT = 0;
const MIDDLE = 1;
const RIGHT = 2;

/** Turns pointer events of an element into actions. */
export class Gestures {
    /**
     * @param {HTMLElement} element receives the focus when pressed
     * @param {Actions} actions
     */
    constructor(element, actions) {
        this._element = element;
        this._actions = actions;
        /** What two fingers change beside the zoom: position, or gray window. @type {"pan" | "window"} */
        this.twoFingers = "pan";
        /** @type {"press" | "point" | "pan" | "window" | "pinch" | "fingers" | null} */
        this._state = null;
        /** Pressed pointers by their id. @type {Map<number, Position>} */
        this._pointers = new Map();
        /** @type {Position} */
        this._start = { x: 0, y: 0 };
        /** From the pointer to the point when it was pressed. @type {Position} */
        this._offset = { x: 0, y: 0 };
        /** @type {PointIndex | null} */
        this._found = null;
        /** @type {PointIndex | null} */
        this._hovered = null;
        /** Position of the mouse while it is over the view. @type {Position | null} */
        this._mouse = null;
        this._lastClick = { x: 0, y: 0, time: -Infinity };
        this._corner = { x: 0, y: 0 };
        this._listening = new AbortController();
        this._listen();
    }

    /** End the gesture that goes on, and ignore all further events. */
    destroy() {
        this.cancel();
        this._listening.abort();
    }

    /** End the gesture that goes on; a point stays where it is. */
    cancel() {
        const wasDragging = this._state === "point";
        this._state = null;
        this._pointers.clear();
        if (wasDragging) {
            this._actions.drop();
        }
    }

    /** Look anew for the point under the mouse. */
    refreshHover() {
        if (this._state === null && this._mouse) {
            this._hover(this._mouse);
        }
    }

    _listen() {
        const { signal } = this._listening;
        const on = (/** @type {string} */ type, /** @type {(event: any) => void} */ listener) =>
            this._element.addEventListener(type, listener, { signal, passive: false });
        on("pointerdown", (event) => this._onDown(event));
        on("pointermove", (event) => this._onMove(event));
        on("pointerup", (event) => this._onUp(event));
        on("pointercancel", (event) => this._onCancel(event));
        on("lostpointercapture", (event) => this._onCancel(event));
        on("pointerenter", () => this._locate());
        on("pointerleave", () => this._onLeave());
        on("wheel", (event) => this._onWheel(event));
        on("contextmenu", (event) => event.preventDefault());
        on("mousedown", (event) => event.button === MIDDLE && event.preventDefault()); // no automatic scrolling
    }

    /** @param {PointerEvent} event */
    _onDown(event) {
        this._locate();
        this._element.focus({ preventScroll: true });
        const at = this._positionIn(event);
        const isFirst = this._pointers.size === 0;
        this._pointers.set(event.pointerId, at);
        this._element.setPointerCapture(event.pointerId);
        if (!isFirst) {
            this._onFurther(event);
            return;
        }
        this._start = at;
        this._found = null;
        if (event.button === RIGHT) {
            this._state = "window";
            this._actions.grabWindow();
        } else if (event.button === MIDDLE) {
            this._state = "pan";
        } else if (event.button === LEFT) {
            this._state = "press";
            this._found = this._actions.find(at.x, at.y, REACH_PX[deviceOf(event)]);
            if (this._found) {
                const [x, y] = this._actions.positionOf(this._found);
                this._offset = { x: x - at.x, y: y - at.y };
            }
        }
    }

    /**
     * Another finger: two zoom, unless one drags a point already.
     *
     * @param {PointerEvent} event
     */
    _onFurther(event) {
        const isTwo = this._pointers.size === 2 && event.pointerType === "touch";
        if (isTwo && (this._state === "press" || this._state === "pan")) {
            this._found = null;
            this._state = this.twoFingers === "window" ? "fingers" : "pinch";
            this._start = this._middle();
            if (this._state === "fingers") {
                this._actions.grabWindow();
            }
        }
    }

    /** @param {PointerEvent} event */
    _onMove(event) {
        const at = this._positionIn(event);
        const before = this._pointers.get(event.pointerId);
        const isMouse = event.pointerType !== "touch";
        if (isMouse) {
            this._mouse = at;
        }
        if (!before) {
            if (isMouse) {
                this._hover(at);
            }
            return;
        }
        if (this._state === "pinch" || this._state === "fingers") {
            this._moveFingers(event.pointerId, at);
            return;
        }
        this._pointers.set(event.pointerId, at);
        if (this._state === "press") {
            this._leavePress(at, SLOP_PX[deviceOf(event)]);
        } else if (this._state === "pan") {
            this._actions.pan(at.x - before.x, at.y - before.y);
        }
        if (this._state === "point") {
            this._actions.drag(at.x + this._offset.x, at.y + this._offset.y);
        } else if (this._state === "window") {
            this._actions.dragWindow(at.x - this._start.x, at.y - this._start.y);
        }
    }

    /**
     * Begin to drag the pressed point or the image, once the pointer moved far enough.
     *
     * @param {Position} at
     * @param {number} slop CSS pixels
     */
    _leavePress(at, slop) {
        const dx = at.x - this._start.x;
        const dy = at.y - this._start.y;
        if (Math.hypot(dx, dy) <= slop) {
            return;
        }
        this._state = this._found ? "point" : "pan";
        if (this._found) {
            this._actions.grab(this._found);
        } else {
            this._actions.pan(dx, dy);
        }
    }

    /**
     * @param {number} id of the finger that moved
     * @param {Position} at
     */
    _moveFingers(id, at) {
        const from = this._middle();
        const apart = this._distance();
        this._pointers.set(id, at);
        const to = this._middle();
        if (this._state === "fingers") {
            this._actions.dragWindow(to.x - this._start.x, to.y - this._start.y);
            return;
        }
        this._actions.pan(to.x - from.x, to.y - from.y);
        if (apart > 0) {
            this._actions.zoom(this._distance() / apart, to.x, to.y);
        }
    }

    /** @param {PointerEvent} event */
    _onUp(event) {
        if (!this._pointers.has(event.pointerId)) {
            return;
        }
        if (this._state === "point") {
            this._onMove(event);
        }
        const wasPressed = this._state === "press";
        this._release(event.pointerId);
        if (wasPressed) {
            this._click(this._start);
        }
    }

    /** @param {PointerEvent} event */
    _onCancel(event) {
        if (this._pointers.has(event.pointerId)) {
            this._release(event.pointerId);
        }
    }

    /** @param {number} id */
    _release(id) {
        this._pointers.delete(id);
        if (this._pointers.size === 0) {
            this.cancel();
        } else if (this._state === "pinch" || this._state === "fingers") {
            this._state = this._pointers.size > 1 ? this._state : "pan"; // the finger that is left
        }
    }

    /** @param {Position} at */
    _click(at) {
        const { x, y, time } = this._lastClick;
        const now = performance.now();
        const isDouble = now - time < DOUBLE_CLICK_MS && Math.hypot(at.x - x, at.y - y) < DOUBLE_CLICK_PX;
        this._lastClick = { ...at, time: isDouble || this._found ? -Infinity : now };
        this._actions.click(at.x, at.y, this._found);
        if (isDouble && !this._found) {
            this._actions.doubleClick();
        }
    }

    /** @param {Position} at */
    _hover(at) {
        const found = this._actions.find(at.x, at.y, REACH_PX.mouse);
        if (found?.vertebra !== this._hovered?.vertebra || found?.point !== this._hovered?.point) {
            this._hovered = found;
            this._actions.hover(found);
        }
    }

    _onLeave() {
        this._mouse = null;
        if (this._hovered && this._state === null) {
            this._hovered = null;
            this._actions.hover(null);
        }
    }

    /** @param {WheelEvent} event */
    _onWheel(event) {
        event.preventDefault();
        if (this._state === "point") {
            return;
        }
        this._locate();
        const unit = [1, LINE_PX, this._element.clientHeight][event.deltaMode];
        const moved = Math.min(Math.max(event.deltaY * unit, -MAX_WHEEL_PX), MAX_WHEEL_PX);
        const { x, y } = this._positionIn(event);
        this._actions.zoom(Math.exp(-moved * (event.ctrlKey ? PINCH_PER_PX : ZOOM_PER_PX)), x, y);
    }

    /** Find out where the view is on the page. */
    _locate() {
        const { left, top } = this._element.getBoundingClientRect();
        this._corner = { x: left, y: top };
    }

    /**
     * @param {MouseEvent} event
     * @returns {Position}
     */
    _positionIn(event) {
        return { x: event.clientX - this._corner.x, y: event.clientY - this._corner.y };
    }

    /** @returns {Position} between the two fingers */
    _middle() {
        const [one, two] = this._pointers.values();
        return { x: (one.x + two.x) / 2, y: (one.y + two.y) / 2 };
    }

    /** @returns {number} CSS pixels between the two fingers */
    _distance() {
        const [one, two] = this._pointers.values();
        return Math.hypot(one.x - two.x, one.y - two.y);
    }
}

/** @param {PointerEvent} event */
function deviceOf(event) {
    return event.pointerType === "touch" ? "touch" : "mouse";
}
