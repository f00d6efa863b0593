/** The selected vertebra and point, and what moves them. */

import { POINT_WORDS, VERTEBRAE } from "../../editor/schema.js";
import { h } from "../../shell/dom.js";
import { button, checkBox, numberBox, row, selectBox } from "./controls.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */
/** @typedef {import("../page.js").DragMode} DragMode */

/** @type {readonly {value: DragMode, text: string}[]} */
const DRAG_MODES = [
    { value: "point", text: "moves the point (a center: its vertebra)" },
    { value: "vertebra", text: "moves the whole vertebra" },
    { value: "rotate", text: "rotates the vertebra about its center" },
];
const WHOLE = "whole vertebra";
/** Least and most that a click moves or rotates. */
const [MIN_STEP, MAX_STEP_PX, MAX_STEP_DEG] = [0.25, 50, 45];

/** Drag mode, lock, choice of a point, and buttons that move it. */
export class PointControls {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        this.drag = selectBox("Dragging", "What dragging a point in the image does (M).", DRAG_MODES,
            (mode) => page.setDragMode(/** @type {DragMode} */ (mode)), "drag-mode");
        this.lock = checkBox("Lock", "Protect all points against accidental changes.", false,
            (isOn) => {
                this.isLockChosen = isOn;
                page.setLocked(isOn);
            }, "lock");
        /** Whether the user has protected the points, rather than may not change them. */
        this.isLockChosen = false;
        this.vertebra = selectBox("Vertebra", "The vertebra that the buttons below apply to. Selecting one shows it.",
            VERTEBRAE.map((name, v) => ({ value: String(v), text: name })), () => this.#onVertebra(), "vertebra");
        this.point = selectBox("Point", "The whole vertebra, its center or one of its corners.",
            [{ value: "", text: WHOLE }, ...POINT_WORDS.map((text, p) => ({ value: String(p), text }))],
            () => page.select(this.#v, this.#p), "point");
        this.hidden = button("Not visible", "Mark the selected vertebra or point as not visible in this image. The key " +
            "X does so for the point under the mouse.", () => this.hide(), { "data-testid": "hide" });
        this.pixels = numberBox("Pixels per click", { value: 1, min: MIN_STEP, max: MAX_STEP_PX, step: MIN_STEP }, "px");
        this.degrees = numberBox("Degrees per click", { value: 1, min: MIN_STEP, max: MAX_STEP_DEG, step: MIN_STEP }, "°");
        this.movers = [
            this.#mover("←", "to the left", -1, 0), this.#mover("→", "to the right", 1, 0),
            this.#mover("↑", "up", 0, -1), this.#mover("↓", "down", 0, 1),
        ];
        this.turners = [this.#turner("⟲", "anticlockwise", -1), this.#turner("⟳", "clockwise", 1)];
        this.element = h("div", { class: "point-rows" },
            row(h("span", { class: "caption" }, "Dragging:"), this.drag),
            row(h("span", { class: "caption" }, "Point:"), this.vertebra, this.point, this.hidden),
            row(h("span", { class: "caption" }, "Move:"), ...this.movers, this.pixels.element),
            row(h("span", { class: "caption" }, "Rotate:"), ...this.turners, this.degrees.element, this.lock.element));
    }

    /** Show the selection, and enable what can be done. */
    refresh() {
        const { workspace, selected, dragMode } = this.page;
        const isChangeable = workspace.image !== null && !workspace.editor.locked;
        this.lock.input.checked = workspace.editor.locked;
        this.lock.input.disabled = this.page.isLookOnly;
        for (const control of [this.hidden, ...this.movers, ...this.turners]) control.disabled = !isChangeable;
        if (selected) {
            this.vertebra.value = String(selected.vertebra);
            this.point.value = selected.point === null ? "" : String(selected.point);
        }
        this.drag.value = dragMode;
    }

    /** Mark the selected vertebra or point as not visible. */
    hide() {
        if (this.page.workspace.image) this.page.hide(this.#v, this.#p);
    }

    /** Go to the next way of dragging. */
    nextDragMode() {
        const index = DRAG_MODES.findIndex(({ value }) => value === this.page.dragMode);
        const { value, text } = DRAG_MODES[(index + 1) % DRAG_MODES.length];
        this.page.setDragMode(value);
        this.page.workspace.context.messages.show(`Dragging ${text}.`);
    }

    get #v() {
        return Number(this.vertebra.value);
    }

    get #p() {
        return this.point.value === "" ? null : Number(this.point.value);
    }

    #onVertebra() {
        const [v, p] = [this.#v, this.#p];
        this.page.jumpTo(v);
        this.page.select(v, p);
    }

    /** @type {(sign: string, where: string, x: number, y: number) => HTMLButtonElement} */
    #mover(sign, where, x, y) {
        const text = `Move the vertebra ${where}`;
        return button(sign, `${text}.`, () => {
            const step = stepOf(this.pixels.input);
            this.page.move(this.#v, x * step, y * step);
        }, { "aria-label": text, class: "button small square" });
    }

    /** @type {(sign: string, where: string, by: number) => HTMLButtonElement} */
    #turner(sign, where, by) {
        const text = `Rotate the vertebra ${where} about its center`;
        return button(sign, `${text} (${by > 0 ? "]" : "["}).`, () => {
            this.page.rotate(this.#v, by * stepOf(this.degrees.input));
        }, { "aria-label": text, class: "button small square" });
    }
}

/** What was typed, 1 where that is no valid number. @param {HTMLInputElement} input */
function stepOf(input) {
    return input.checkValidity() && input.value ? input.valueAsNumber : 1;
}
