/** Section Correct: inference, undo and redo, moving vertebrae, shifting names, and vertebrae to be checked. */

import { POINT_WORDS, VERTEBRAE } from "../../editor/schema.js";
import { fill, h } from "../../shell/dom.js";
import { button, checkBox, numberBox, row, section, selectBox, setText } from "./controls.js";

/** @typedef {import("../../api/types.js").CheckItem} CheckItem */
/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

export const DRAG_MODES = /** @type {const} */ ([
    { value: "point", text: "moves the point (a center: its vertebra)" },
    { value: "vertebra", text: "moves the whole vertebra" },
    { value: "rotate", text: "rotates the vertebra about its center" },
]);
const WHOLE = "whole vertebra";
/** Least and most that a click moves or rotates. */
const [MIN_STEP, MAX_STEP_PX, MAX_STEP_DEG] = [0.25, 50, 45];

/** Buttons that change the points. */
export class CorrectSection {
    /** @type {CheckItem[]} */
    #checks = [];
    #checked = -1;

    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { editor, context } = page.workspace;
        this.infer = button("Find landmarks",
            "Find the landmarks with the model (I). Points that you have set stay exactly where they are; the others " +
            "are found around them.", () => void page.inference.infer(), { "data-testid": "infer" });
        this.follow = checkBox("after each move, the other points follow",
            "After each move of a predicted point, find the others again around all points that you have set. One " +
            "undo reverts both.", context.settings.get("followMoves", true), (isOn) => this.#setFollow(isOn), "follow");
        page.inference.followMoves = this.follow.input.checked;
        this.undo = button("Undo", "Undo the last edit (Ctrl+Z).", () => page.undo(), { "data-testid": "undo" });
        this.redo = button("Redo", "Redo it (Ctrl+Y).", () => editor.redo(), { "data-testid": "redo" });
        this.lock = checkBox("Lock", "Protect all points against accidental changes.", false,
            (isOn) => page.setLocked(isOn), "lock");
        this.startOver = button("Start over",
            "Reload this image as it is on the server. Your edits are kept as unfinished work.",
            () => void page.startOver("Your edits are kept under unfinished work."), { "data-testid": "start-over" });
        this.namesRight = h("span", { class: "hint", "data-testid": "names-right",
            title: "Probability, by the model, that all vertebra names are right. If it is low, count the vertebrae: " +
                "wrong names are usually off by one level, which these buttons correct." });
        this.up = button("One level up", "Every vertebra takes the name of the one above it: what was T6 becomes T5 " +
            "(Page Up).", () => page.shiftNames(-1), { "data-testid": "names-up" });
        this.down = button("One level down", "Every vertebra takes the name of the one below it: what was T6 becomes " +
            "T7 (Page Down).", () => page.shiftNames(1), { "data-testid": "names-down" });
        this.element = section(
            context.settings, "correct", "Correct", true,
            row(this.infer, this.undo, this.redo, this.startOver),
            this.follow.element,
            row(h("span", { class: "caption" }, "Names:"), this.up, this.down, this.namesRight),
            this.#pointRows(), this.#checkList()
        );
    }

    /** Selected vertebra and point, and what moves them. */
    #pointRows() {
        const { page } = this;
        this.drag = selectBox("Dragging", "What dragging a point in the image does (M).", DRAG_MODES,
            (mode) => page.setDragMode(/** @type {typeof DRAG_MODES[number]["value"]} */ (mode)), "drag-mode");
        this.vertebra = selectBox("Vertebra", "The vertebra that the buttons below apply to. Selecting one shows it.",
            VERTEBRAE.map((name, v) => ({ value: String(v), text: name })), () => this.#select(true), "vertebra");
        this.point = selectBox("Point", "The whole vertebra, its center or one of its corners.",
            [{ value: "", text: WHOLE }, ...POINT_WORDS.map((text, p) => ({ value: String(p), text }))],
            () => this.#select(false), "point");
        this.hidden = button("Not visible", "Mark the selected vertebra or point as not visible in this image. The key " +
            "X does so for the point under the mouse.", () => this.hide(), { "data-testid": "hide" });
        const pixels = numberBox("Pixels per click", { value: 1, min: MIN_STEP, max: MAX_STEP_PX, step: MIN_STEP }, "px");
        const degrees = numberBox("Degrees per click", { value: 1, min: MIN_STEP, max: MAX_STEP_DEG, step: MIN_STEP }, "°");
        const step = ({ input } = pixels) => (input.checkValidity() && input.value ? input.valueAsNumber : 1);
        const move = (/** @type {string} */ sign, /** @type {string} */ where, /** @type {[number, number]} */ [x, y]) =>
            button(sign, `Move the vertebra ${where}.`, () => page.move(this.#v, x * step(), y * step()),
                { "aria-label": `Move the vertebra ${where}`, class: "button small square" });
        const turn = (/** @type {string} */ sign, /** @type {string} */ where, /** @type {number} */ by) =>
            button(sign, `Rotate the vertebra ${where} about its center (${by > 0 ? "]" : "["}).`,
                () => page.rotate(this.#v, by * step(degrees)),
                { "aria-label": `Rotate the vertebra ${where}`, class: "button small square" });
        this.movers = [
            move("←", "to the left", [-1, 0]), move("→", "to the right", [1, 0]),
            move("↑", "up", [0, -1]), move("↓", "down", [0, 1]),
        ];
        this.turners = [turn("⟲", "anticlockwise", -1), turn("⟳", "clockwise", 1)];
        return h("div", { class: "point-rows" },
            row(h("span", { class: "caption" }, "Dragging:"), this.drag, this.lock.element),
            row(h("span", { class: "caption" }, "Point:"), this.vertebra, this.point, this.hidden),
            row(h("span", { class: "caption" }, "Move:"), ...this.movers, pixels.element),
            row(h("span", { class: "caption" }, "Rotate:"), ...this.turners, degrees.element));
    }

    /** Vertebrae to be checked. */
    #checkList() {
        this.checkTitle = h("h3", {}, "To check: nothing");
        this.nextCheck = button("Next to check", "Show the next vertebra to check (D).", () => this.showNextCheck(),
            { "data-testid": "next-check" });
        this.checkList = h("ul", { class: "checks", "data-testid": "to-check" });
        return h("div", { class: "to-check" }, row(this.checkTitle, this.nextCheck), this.checkList);
    }

    get #v() {
        return Number(this.vertebra?.value ?? 0);
    }

    /** Enable what points and server allow. */
    refresh() {
        const { workspace, selected } = this.page;
        const { editor, session, image, jobs } = workspace;
        const isOpen = image !== null;
        this.undo.disabled = !editor.canUndo;
        this.redo.disabled = !editor.canRedo;
        this.infer.disabled = !isOpen || jobs.has("infer");
        setText(this.infer, editor.isTouched ? "Re-run around my corrections" : "Find landmarks");
        this.startOver.disabled = !isOpen || !session.isUnsaved;
        const right = editor.origin.names_right;
        setText(this.namesRight, right === null ? "" : `Names right: ${(100 * right).toFixed(0)} %`);
        for (const control of [this.up, this.down, this.hidden, ...(this.movers ?? []), ...(this.turners ?? [])]) {
            if (control) control.disabled = !isOpen || editor.locked;
        }
        if (selected && this.vertebra && this.point) {
            this.vertebra.value = String(selected.vertebra);
            this.point.value = selected.point === null ? "" : String(selected.point);
        }
        if (this.drag) this.drag.value = this.page.dragMode;
    }

    /** List vertebrae to be checked; fast, as it runs with every measurement. @param {CheckItem[]} checks */
    showChecks(checks) {
        if (JSON.stringify(checks) === JSON.stringify(this.#checks)) return;
        this.#checks = checks;
        this.#checked = Math.min(this.#checked, checks.length - 1);
        if (this.checkTitle) setText(this.checkTitle, `To check: ${checks.length || "nothing"}`);
        if (this.nextCheck) this.nextCheck.disabled = !checks.length;
        if (!this.checkList) return;
        fill(this.checkList, ...checks.map(({ vertebra, kind, text }, index) => h("li", {}, h("button", {
            type: "button", class: `check-item ${kind}`, title: "Click to show the vertebra.",
            onclick: () => this.#showCheck(index),
        }, h("b", {}, vertebra), " ", text))));
    }

    /** Show the next vertebra to be checked; after the last, the first. */
    showNextCheck() {
        if (this.#checks.length) this.#showCheck((this.#checked + 1) % this.#checks.length);
    }

    /** Mark the selected vertebra or point as not visible. */
    hide() {
        const { point } = this;
        if (this.page.workspace.image) this.page.hide(this.#v, point?.value ? Number(point.value) : null);
    }

    /** Go to the next way of dragging. */
    nextDragMode() {
        const index = DRAG_MODES.findIndex(({ value }) => value === this.page.dragMode);
        const { value, text } = DRAG_MODES[(index + 1) % DRAG_MODES.length];
        this.page.setDragMode(value);
        this.page.workspace.context.messages.show(`Dragging ${text}.`);
    }

    /** @param {number} index */
    #showCheck(index) {
        this.#checked = index;
        const v = VERTEBRAE.indexOf(this.#checks[index].vertebra);
        this.page.jumpTo(v);
        for (const [i, item] of [...(this.checkList?.children ?? [])].entries()) {
            item.firstElementChild?.toggleAttribute("aria-current", i === index);
        }
    }

    /** @param {boolean} isShown whether to show the vertebra */
    #select(isShown) {
        const { page, point } = this;
        if (isShown) page.jumpTo(this.#v);
        page.select(this.#v, point?.value ? Number(point.value) : null);
    }

    /** @param {boolean} isOn */
    #setFollow(isOn) {
        this.page.inference.followMoves = isOn;
        this.page.workspace.context.settings.set("followMoves", isOn);
    }
}
