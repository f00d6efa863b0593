/** Section Place by hand: point by point, or four corners at a time. */

import { VERTEBRAE } from "../../editor/schema.js";
import { h } from "../../shell/dom.js";
import { FREE_MODE, GUIDED_MODE } from "../placement.js";
import { button, row, section, selectBox, setText } from "./controls.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

const MODES = [
    { value: GUIDED_MODE, text: "Guided, point by point" },
    { value: FREE_MODE, text: "Four corners, in any order" },
];

/** Starts, guides and ends manual placement. */
export class PlaceSection {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { placement } = page;
        this.mode = selectBox("Order", "Guided: one named corner after the other, from T1 to L5. Four corners: click the " +
            "corners of a vertebra in any order; they are sorted automatically.", MODES, () => {}, "place-mode");
        this.from = selectBox("Start at", "The vertebra whose corners come first.",
            [{ value: "", text: "first missing point" }, ...VERTEBRAE.map((text, v) => ({ value: String(v), text }))],
            () => {}, "place-from");
        this.place = button("Place points", "Place points with clicks in the image (G). Click again to stop.",
            () => this.toggle(), { "data-testid": "place" });
        this.back = button("Back", "Go back to the last placed point.", () => placement.back(),
            { "data-testid": "place-back" });
        this.skip = button("Skip", "Skip this point if it is not visible.", () => placement.skip(),
            { "data-testid": "place-skip" });
        this.text = h("p", { class: "hint", "aria-live": "polite", "data-testid": "place-text" }, "Not placing.");
        this.element = section(
            page.workspace.context.settings, "place", "Place by hand", false,
            row(this.mode, h("label", { class: "inline" }, "from", this.from)),
            row(this.place, this.back, this.skip), this.text
        );
    }

    /** Show which point comes next. */
    refresh() {
        const { placement, workspace } = this.page;
        const { step } = placement;
        this.place.disabled = !workspace.image || workspace.editor.locked;
        setText(this.place, step ? "Stop placing" : "Place points");
        this.place.setAttribute("aria-pressed", String(step !== null));
        this.back.disabled = this.skip.disabled = step === null;
        this.mode.disabled = this.from.disabled = step !== null;
        setText(this.text, step?.text ?? "Not placing.");
    }

    /** Start or stop placing. */
    toggle() {
        const { placement } = this.page;
        if (placement.step) {
            placement.stop();
        } else {
            this.element.open = true;
            placement.start(this.mode.value, this.from.value ? Number(this.from.value) : null);
            this.element.scrollIntoView({ block: "nearest" });
            this.page.view.element.focus();
        }
    }
}
