/** Section Correct: inference, undo and redo, moving vertebrae, shifting names, and vertebrae to be checked. */

import { h } from "../../shell/dom.js";
import { CheckList } from "./check_list.js";
import { button, checkBox, row, section, setText } from "./controls.js";
import { PointControls } from "./point_controls.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

const INFER_TITLE = "Find the landmarks with the model (I). Points that you have set stay exactly where they are; the " +
    "others are found around them.";

/** Buttons that change the points. */
export class CorrectSection {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { editor, context } = page.workspace;
        this.infer = button("Find landmarks", INFER_TITLE, () => void page.inference.infer(), { "data-testid": "infer" });
        this.follow = checkBox("after each move, the others follow",
            "After each move of a predicted point, find the others again around all points that you have set. One " +
            "undo reverts both.", context.settings.get("followMoves", true), (isOn) => this.#setFollow(isOn), "follow");
        page.inference.followMoves = this.follow.input.checked;
        this.undo = button("Undo", "Undo the last edit (Ctrl+Z).", () => page.undo(), { "data-testid": "undo" });
        this.redo = button("Redo", "Redo it (Ctrl+Y).", () => editor.redo(), { "data-testid": "redo" });
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
        this.controls = new PointControls(page);
        this.checks = new CheckList(page);
        this.element = section(
            context.settings, "correct", "Correct", true,
            row(this.undo, this.redo, this.infer),
            row(this.follow.element, this.startOver),
            this.checks.element,
            row(h("span", { class: "caption" }, "Names:"), this.up, this.down, this.namesRight),
            this.controls.element
        );
    }

    /** Enable what points and server allow. */
    refresh() {
        const { editor, session, image, jobs } = this.page.workspace;
        const isOpen = image !== null;
        this.undo.disabled = !editor.canUndo;
        this.redo.disabled = !editor.canRedo;
        const isOffered = session.part?.model !== false;
        this.infer.disabled = !isOpen || jobs.has("infer") || this.page.isLookOnly || !isOffered;
        this.infer.title = isOffered ? INFER_TITLE : "The study plan offers no points of the model in this reading.";
        setText(this.infer, editor.isTouched ? "Re-run around my corrections" : "Find landmarks");
        this.startOver.disabled = !isOpen || !session.isUnsaved;
        const right = editor.origin.names_right;
        setText(this.namesRight, right === null ? "" : `Names right: ${(100 * right).toFixed(0)} %`);
        this.up.disabled = this.down.disabled = !isOpen || editor.locked;
        this.controls.refresh();
    }

    /** @param {boolean} isOn */
    #setFollow(isOn) {
        this.page.inference.followMoves = isOn;
        this.page.workspace.context.settings.set("followMoves", isOn);
    }
}
