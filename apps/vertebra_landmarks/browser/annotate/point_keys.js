/** Selecting, moving and placing points with the keyboard, while the image has the focus. */

import { isFinitePoint } from "../editor/geometry.js";
import { P, POINT_WORDS, V, VERTEBRAE } from "../editor/schema.js";
import { h } from "../shell/dom.js";
import { nameOfKey } from "./keys.js";

/** @typedef {import("../editor/geometry.js").Point} Point */
/** @typedef {import("./page.js").AnnotatePage} AnnotatePage */

/** Moves within this time are one step that can be undone. */
const NUDGE_TIMEOUT_MS = 600;
/** Until a move is read out. */
const ANNOUNCE_DELAY_MS = 400;
/** Pixels of the image, or degrees, per key press. */
const [NUDGE, FINE, COARSE] = [1, 0.25, 10];
/** CSS pixels of the cross per step of `NUDGE`, and of the image without a selected point. */
const [CROSS_PX, PAN_PX] = [8, 40];
/** CSS pixels from the edge within which a selected point is brought into view. */
const MARGIN_PX = 24;

/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The keyboard on the image, with announcements for screen readers. */
export class PointKeys {
    /** Whether Tab goes from point to point. */
    #isWalking = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #endTimer;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #announceTimer;
    /** Position of the cross in CSS pixels of the view; null while it is hidden. @type {Point | null} */
    #cross = null;

    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { element } = page.view;
        this.live = h("p", { class: "visually-hidden", "aria-live": "polite", "data-testid": "announcement" });
        this.crossElement = h("div", { class: "cross", hidden: true, "aria-hidden": "true" });
        element.parentElement?.append(this.live, this.crossElement);
        element.addEventListener("keydown", (event) => this.#onKey(event));
        element.addEventListener("focus", () => { this.#isWalking = true; });
        element.addEventListener("blur", () => this.end());
    }

    /** End the step of moves by keys, if there is one. */
    end() {
        clearTimeout(this.#endTimer);
        if (this.#endTimer !== undefined) this.page.workspace.editor.end();
        this.#endTimer = undefined;
    }

    /** Nothing is placed any more. */
    hideCross() {
        this.#cross = null;
        this.crossElement.hidden = true;
    }

    /** Read out a text. @param {string} text */
    announce(text) {
        clearTimeout(this.#announceTimer);
        this.live.textContent = text;
    }

    /** Read out the selected point. */
    announceSelected() {
        const { selected, workspace } = this.page;
        if (!selected) return;
        const { vertebra: v, point: p } = selected;
        const name = VERTEBRAE[v];
        const state = workspace.measured?.vertebrae[name]?.state;
        const doubt = state && state !== "sure" ? `, ${state}` : "";
        if (p === null) {
            this.announce(`${name}${doubt}`);
            return;
        }
        const point = workspace.editor.point(v, p);
        const where = isFinitePoint(point) ? `${point[0].toFixed(1)}, ${point[1].toFixed(1)} pixels` : "not visible";
        this.announce(`${name} ${POINT_WORDS[p]}, ${where}${doubt}`);
    }

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        const name = nameOfKey(event);
        const isHandled = event.key in ARROWS ? this.#onArrow(event) : this.#onOtherKey(name);
        if (isHandled) {
            event.preventDefault();
            event.stopPropagation();
        }
    }

    /** @param {string} name @returns {boolean} */
    #onOtherKey(name) {
        const { placement, workspace } = this.page;
        if (name === "Tab" || name === "Shift+Tab") return this.#isWalking && this.#walk(name === "Tab" ? 1 : -1);
        if (name === "Enter" && placement.step) {
            this.#placeAtCross();
            return true;
        }
        if (name !== "Escape") return false;
        if (placement.step) {
            placement.stop();
        } else if (!workspace.editor.cancel()) {
            this.#isWalking = false;
            this.page.select(null);
            this.announce("Left the points. Tab goes on to the panel.");
        }
        return true;
    }

    /**
     * Select the next visible point; after the last one, Tab goes on.
     * @param {number} by 1 or -1
     * @returns {boolean} whether there is one
     */
    #walk(by) {
        this.end();
        const { selected, workspace } = this.page;
        const start = selected ? selected.vertebra * P + (selected.point ?? 0) : by > 0 ? -1 : V * P;
        const isWhole = selected !== null && selected.point === null && by > 0;
        for (let i = isWhole ? start : start + by; i >= 0 && i < V * P; i += by) {
            const [v, p] = [Math.floor(i / P), i % P];
            if (isFinitePoint(workspace.editor.point(v, p))) {
                this.page.select(v, p);
                this.#bringIntoView(v, p);
                this.announceSelected();
                return true;
            }
        }
        this.page.select(null);
        return false;
    }

    /** @param {KeyboardEvent} event @returns {boolean} */
    #onArrow(event) {
        if (event.altKey) return false;
        const [x, y] = ARROWS[event.key];
        const step = event.shiftKey ? FINE : event.ctrlKey || event.metaKey ? COARSE : NUDGE;
        const { placement, selected, view } = this.page;
        if (placement.step) {
            this.#moveCross(x * step * CROSS_PX, y * step * CROSS_PX);
        } else if (selected) {
            this.#nudge(x * step, y * step);
        } else {
            view.panBy(-x * step * PAN_PX, -y * step * PAN_PX);
        }
        return true;
    }

    /**
     * @param {number} right pixels on the screen; degrees while rotating
     * @param {number} down
     */
    #nudge(right, down) {
        const { workspace, selected, dragMode } = this.page;
        const { editor, uprightMap } = workspace;
        if (!selected || editor.locked) return;
        const { vertebra: v, point: p } = selected;
        const [dx, dy] = uprightMap.shiftToStored([right, down]);
        if (p !== null && !isFinitePoint(editor.point(v, p))) return;
        editor.begin();
        if (dragMode === "rotate") {
            this.page.rotate(v, right || down);
        } else if (dragMode === "vertebra" || p === null) {
            editor.moveVertebra(v, [dx, dy]);
        } else {
            const [px, py] = editor.point(v, p);
            editor.movePoint(v, p, [px + dx, py + dy]);
        }
        clearTimeout(this.#endTimer);
        this.#endTimer = setTimeout(() => this.end(), NUDGE_TIMEOUT_MS);
        clearTimeout(this.#announceTimer);
        this.#announceTimer = setTimeout(() => this.announceSelected(), ANNOUNCE_DELAY_MS);
    }

    /** Pan until a point is in the view. @param {number} v @param {number} p */
    #bringIntoView(v, p) {
        const { view } = this.page;
        const { x, y } = view.screenPosition(v, p);
        const { left, top, right, bottom } = view.element.getBoundingClientRect();
        const into = (/** @type {number} */ at, /** @type {number} */ low, /** @type {number} */ high) =>
            Math.max(0, low + MARGIN_PX - at) + Math.min(0, high - MARGIN_PX - at);
        const [dx, dy] = [into(x, left, right), into(y, top, bottom)];
        if (dx || dy) view.panBy(dx, dy);
    }

    /** @param {number} dx CSS pixels @param {number} dy */
    #moveCross(dx, dy) {
        const { clientWidth: width, clientHeight: height } = this.page.view.element;
        const [x, y] = this.#cross ?? [width / 2, height / 2];
        this.#cross = [Math.min(Math.max(x + dx, 0), width), Math.min(Math.max(y + dy, 0), height)];
        this.crossElement.hidden = false;
        this.crossElement.style.translate = `${this.#cross[0]}px ${this.#cross[1]}px`;
    }

    #placeAtCross() {
        const { view, placement } = this.page;
        if (!this.#cross) {
            this.#moveCross(0, 0);
            return;
        }
        const { left, top } = view.element.getBoundingClientRect();
        placement.take(view.imagePosition(left + this.#cross[0], top + this.#cross[1]));
        this.announce(placement.step?.text ?? "All points are placed.");
    }
}
