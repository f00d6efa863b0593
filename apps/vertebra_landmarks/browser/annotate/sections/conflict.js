/** Two labels of one image: yours and one that somebody saved meanwhile, to be seen both and chosen between. */

import { maskOf } from "../../editor/schema.js";
import { originIn } from "../../editor/origin.js";
import { Spine } from "../../editor/spine.js";
import { SpineEditor } from "../../editor/spine_editor.js";
import { fill, h } from "../../shell/dom.js";
import { button, row } from "./controls.js";

/** @typedef {import("../../api/types.js").Measurement} Measurement */
/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */
/** @typedef {import("../submission.js").Conflict} Conflict */

/** Shows the other label in place of yours on demand; while it is shown, no point can be moved. */
export class ConflictSection {
    /** @type {Conflict | null} */
    #conflict = null;
    /** @type {SpineEditor | null} */
    #theirs = null;
    /** @type {Measurement | null} */
    #measured = null;
    /** Whether the other label is shown in the image. */
    isTheirsShown = false;

    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        this.element = h("section", { class: "conflict", role: "group", "aria-label": "Two labels",
            "data-testid": "conflict", hidden: true, tabindex: -1 });
    }

    /** Show or hide the choice. */
    refresh() {
        const { conflict } = this.page.submission;
        if (conflict === this.#conflict) return;
        this.#conflict = conflict;
        this.#theirs = this.#measured = null;
        this.#show(false);
        this.element.hidden = conflict === null;
        if (!conflict) return;
        this.#theirs = new SpineEditor();
        const { landmarks, touched, origin } = conflict.theirs;
        const mask = maskOf(touched);
        const spine = this.page.workspace.cutToImage(Spine.fromLandmarks(landmarks), mask);
        this.#theirs.load(spine, mask, originIn(origin), true);
        this.#render(conflict);
        this.element.focus();
        void this.#measure();
    }

    /** @param {Conflict} conflict */
    #render({ message, theirs }) {
        const { submission } = this.page;
        const who = theirs.info.user || "Somebody";
        this.showYours = button("Yours", "Show your points.", () => this.#show(false), { "data-testid": "show-yours" });
        this.showTheirs = button(`${who}'s`, "Show the points that are stored on the server.", () => this.#show(true),
            { "data-testid": "show-theirs" });
        this.comparison = h("table", { class: "angles comparison" });
        fill(this.element,
            h("h2", {}, "There is a newer label"), h("p", {}, message),
            row(h("span", { class: "caption" }, "Show:"), this.showYours, this.showTheirs),
            this.comparison,
            row(button("Keep mine (replaces theirs)", "Store your points in place of the newer label.",
                    () => void submission.keepMine(), { "data-testid": "keep-mine" }),
                button("Take theirs", "Show the newer label; your work is kept as unfinished work.",
                    () => void this.#take(), { "data-testid": "take-theirs" }),
                button("Cancel", "Decide later: nothing is stored.", () => submission.cancelConflict(),
                    { "data-testid": "cancel-conflict" })));
        this.#show(false);
    }

    async #take() {
        this.page.submission.cancelConflict();
        await this.page.startOver("This is the newer label. Your own work is kept under unfinished work.");
    }

    /** Show your points again where the other label is shown. */
    hideTheirs() {
        if (this.isTheirsShown) this.#show(false);
    }

    /** @param {boolean} isTheirs */
    #show(isTheirs) {
        this.isTheirsShown = isTheirs;
        this.showYours?.setAttribute("aria-pressed", String(!isTheirs));
        this.showTheirs?.setAttribute("aria-pressed", String(isTheirs));
        const { view, workspace } = this.page;
        view.setLocked(isTheirs || workspace.editor.locked);
        if (isTheirs && this.#theirs) view.setPoints(this.#theirs.xy);
        else if (workspace.image) this.page.showPoints();
        const measured = isTheirs ? this.#measured : workspace.measured;
        if (measured) this.page.showMeasurement(measured);
    }

    async #measure() {
        const { workspace } = this.page;
        const [theirs, conflict] = [this.#theirs, this.#conflict];
        if (!theirs || !conflict) return;
        const measured = await workspace.run("compare", "Measuring the newer label", ({ controller }) =>
            workspace.fetchMeasurement(controller.signal, theirs)
        );
        if (!measured || this.#conflict !== conflict || !this.comparison) return;
        this.#measured = measured;
        if (this.isTheirsShown) this.page.showMeasurement(measured);
        const rows = [["Yours", workspace.measured], [conflict.theirs.info.user || "Somebody", measured]];
        fill(this.comparison, ...rows.map(([who, one]) => h("tr", {}, h("th", { scope: "row" }, /** @type {string} */ (who)),
            h("td", {}, curvesText(/** @type {Measurement | null} */ (one))))));
    }
}

/** @param {Measurement | null} measured @returns {string} */
function curvesText(measured) {
    return measured?.curves.map((curve) => curve.text).join("; ") || "no curve";
}
