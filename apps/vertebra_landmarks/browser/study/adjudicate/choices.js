/** What becomes of two readings: one of them, the other, their mean, or an edited one; chosen and confirmed by keys. */

import { fill, h, nameElement } from "../../shell/dom.js";
import { durationText, plural } from "../../shell/format.js";
import { swatch } from "./angle_table.js";

/** @typedef {import("../../api/types.js").MeanReading} MeanReading */
/** @typedef {import("../../api/types.js").StudyReading} StudyReading */
/** @typedef {0 | 1 | "mean"} Choice index of the reading, or the mean of both */

/** The choices, and the button that confirms. */
export class Choices {
    /** @type {Choice | null} */
    chosen = null;
    /** @type {StudyReading[]} */
    #readings = [];

    /** @param {{onChoose: () => void, onConfirm: () => void, onEdit: () => void}} handlers */
    constructor(handlers) {
        this.handlers = handlers;
        this.group = h("div", { class: "choices", role: "group", "aria-label": "Final label" });
        this.confirm = h("button", { type: "button", class: "button primary", "data-testid": "confirm", onclick: handlers.onConfirm });
        this.edit = h("button", { type: "button", class: "button", "data-testid": "edit", onclick: handlers.onEdit,
            title: "Correct the chosen reading, and store that as the final label (E)." }, "Edit ", h("kbd", {}, "E"));
        this.element = h("div", { class: "choice-section" }, this.group, h("div", { class: "row" }, this.confirm, this.edit));
    }

    /**
     * Offer two readings and their mean.
     * @param {StudyReading[]} readings
     * @param {MeanReading | null} mean
     * @param {string[]} colors of both and of the mean
     */
    show(readings, mean, colors) {
        this.#readings = readings;
        this.chosen = null;
        const [first, second] = readings.map((one, index) => this.#choice(/** @type {0 | 1} */ (index), String(index + 1),
            [swatch(colors[index]), nameElement(one.reader || "no name")], effortOf(one)));
        const refused = mean?.sentence ?? "";
        const third = this.#choice("mean", "M", [swatch(colors[2]), "Mean of both"], refused ? "not possible, see above" : "", refused);
        fill(this.group, first, second, third);
        this.refresh(false);
    }

    /** Choose, where that can be chosen. @param {Choice} choice @returns {boolean} whether it can be */
    choose(choice) {
        if (this.#button(choice)?.disabled !== false) return false;
        this.chosen = choice;
        this.refresh(false);
        this.handlers.onChoose();
        return true;
    }

    /** What is chosen, in words. */
    get text() {
        if (this.chosen === null) return "";
        return this.chosen === "mean" ? "the mean of both" : `the reading of ${this.#readings[this.chosen].reader || "no name"}`;
    }

    /** Show what is chosen. @param {boolean} isBusy whether the choice is being stored */
    refresh(isBusy) {
        for (const button of this.group.querySelectorAll("button")) {
            button.setAttribute("aria-pressed", String(button.dataset.choice === String(this.chosen)));
            button.disabled = isBusy || "refused" in button.dataset;
        }
        this.confirm.disabled = this.chosen === null || isBusy;
        this.edit.disabled = isBusy || this.#readings.length < 2;
        fill(this.confirm, isBusy ? "Storing …" : this.chosen === null ? "Choose 1, 2 or M" : `Take ${this.text}`,
            this.chosen !== null && !isBusy && h("kbd", {}, "Enter"));
    }

    /** @param {Choice} choice */
    #button(choice) {
        return /** @type {HTMLButtonElement | null} */ (this.group.querySelector(`[data-choice="${choice}"]`));
    }

    /**
     * @param {Choice} choice
     * @param {string} key
     * @param {import("../../shell/dom.js").Child[]} name
     * @param {string} hint
     * @param {string} refused why it cannot be chosen; "" where it can
     */
    #choice(choice, key, name, hint, refused = "") {
        return h("button", { type: "button", class: "choice", "data-choice": choice, "data-testid": `take-${key.toLowerCase()}`,
            "data-refused": refused ? "" : null, disabled: refused !== "", title: refused || null, onclick: () => this.choose(choice) },
        h("kbd", {}, key), h("span", { class: "choice-name" }, ...name), h("span", { class: "hint" }, hint));
    }
}

/** @param {StudyReading} reading */
function effortOf({ seconds, edits }) {
    return [edits === null ? "" : plural(edits, "edit"), seconds === null ? "" : durationText(seconds)].filter(Boolean).join(", ");
}
