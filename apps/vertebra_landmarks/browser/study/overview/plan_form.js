/** The study plan as a form, and as sentences for those who may not change it. */

import { fill, h } from "../../shell/dom.js";
import { plural } from "../../shell/format.js";
import { KIND_NAMES } from "../../shell/study.js";

/** @typedef {import("../../api/types.js").StudyPlan} StudyPlan */
/** @typedef {import("../../api/types.js").PlanEffect} PlanEffect */

/** Where there is none yet. @type {StudyPlan} */
export const NEW_PLAN = {
    readers: [], adjudicators: [], second_reading: { share: 0.5 }, repeat: { share: 0, after_days: 14 }, blind: true,
    model: { first: true, second: true, repeat: true }, hold_out: { share: 0, images: [] }, seed: 1,
};
const KINDS = /** @type {const} */ (["first", "second", "repeat"]).map((kind) => /** @type {const} */ ([kind, KIND_NAMES[kind][1]]));
const PERCENT_DIGITS = 8;
const SAVE = "Save the plan";

/** Names in a text, separated by commas or lines. @param {string} text @returns {string[]} */
export function namesIn(text) {
    return text.split(/[,\n]/).map((name) => name.trim()).filter(Boolean);
}

/** A share of a percentage, without the noise of dividing. @param {number} percent @returns {number} */
export function shareOf(percent) {
    return Number((percent / 100).toFixed(PERCENT_DIGITS));
}

/** @param {number} share @returns {number} percent */
function percentOf(share) {
    return Number((100 * share).toFixed(PERCENT_DIGITS));
}

/**
 * What a change of the plan does to images that were read, to be confirmed.
 * @param {PlanEffect} effect
 * @returns {string} sentences; "" where it does nothing to them
 */
export function effectText({ closes, opens }) {
    return [
        closes ? `${plural(closes, "image")} that ${closes === 1 ? "was" : "were"} read will be final and shown to everybody: later readings of ${closes === 1 ? "it" : "them"} are not blind.` : "",
        opens ? `${plural(opens, "final image")} will be read once more, and ${opens === 1 ? "is" : "are"} hidden from readers until then.` : "",
    ].filter(Boolean).join(" ");
}

/** Fields of a plan. */
export class PlanForm {
    /** The plan that is to be confirmed, as JSON. @type {string | null} */
    #asked = null;

    /**
     * @param {(plan: StudyPlan, isConfirmed: boolean) => Promise<string>} onSave gives a text to be confirmed before
     *     the plan is saved, or "" when it was; rejects with what the server does not accept
     */
    constructor(onSave) {
        this.onSave = onSave;
        this.readers = h("input", { class: "input", name: "readers", "data-testid": "plan-readers", placeholder: "ada, ben", autocomplete: "off" });
        this.adjudicators = h("input", { class: "input", name: "adjudicators", "data-testid": "plan-adjudicators", placeholder: "cleo", autocomplete: "off" });
        this.second = number("second", 0, 100, "any", "plan-second");
        this.repeat = number("repeat", 0, 100, "any", "plan-repeat");
        this.afterDays = number("after-days", 0, 100_000, "any", "plan-after-days");
        this.blind = h("input", { type: "checkbox", name: "blind", "data-testid": "plan-blind" });
        this.models = new Map(KINDS.map(([kind]) => [kind, h("input", { type: "checkbox", name: `model-${kind}`, "data-testid": `plan-model-${kind}` })]));
        this.holdOut = number("hold-out", 0, 100, "any", "plan-hold-out");
        this.heldOut = h("textarea", { class: "input", rows: 2, name: "held-out", "data-testid": "plan-held-out", spellcheck: "false" });
        this.seed = number("seed", 0, 2 ** 31 - 1, 1, "plan-seed");
        this.error = h("p", { class: "form-error", role: "alert", "data-testid": "plan-error" });
        this.question = h("p", { class: "plan-question", role: "alert", "data-testid": "plan-question" });
        this.save = h("button", { type: "submit", class: "button primary", "data-testid": "plan-save" }, SAVE);
        this.element = h("form", { class: "form plan-form", novalidate: true }, ...this.#fields(), this.error, this.question, h("div", { class: "form-end" }, this.save));
        this.element.addEventListener("submit", (event) => {
            event.preventDefault();
            void this.#submit();
        });
        this.element.addEventListener("input", () => this.#ask(null, ""));
    }

    /** Show a plan. @param {StudyPlan} plan */
    show(plan) {
        this.readers.value = plan.readers.join(", ");
        this.adjudicators.value = plan.adjudicators.join(", ");
        this.second.value = String(percentOf(plan.second_reading.share));
        this.repeat.value = String(percentOf(plan.repeat.share));
        this.afterDays.value = String(plan.repeat.after_days);
        this.blind.checked = plan.blind;
        for (const [kind, box] of this.models) box.checked = plan.model[kind];
        this.holdOut.value = String(percentOf(plan.hold_out.share));
        this.heldOut.value = plan.hold_out.images.join("\n");
        this.seed.value = String(plan.seed);
        fill(this.error);
        this.#ask(null, "");
    }

    /** The plan as it is entered. @returns {StudyPlan} */
    get plan() {
        const [first, second, repeat] = KINDS.map(([kind]) => this.models.get(kind)?.checked ?? true);
        return {
            readers: namesIn(this.readers.value),
            adjudicators: namesIn(this.adjudicators.value),
            second_reading: { share: shareOf(Number(this.second.value)) },
            repeat: { share: shareOf(Number(this.repeat.value)), after_days: Number(this.afterDays.value) },
            blind: this.blind.checked,
            model: { first, second, repeat },
            hold_out: { share: shareOf(Number(this.holdOut.value)), images: this.heldOut.value.split("\n").map((id) => id.trim()).filter(Boolean) },
            seed: Number(this.seed.value),
        };
    }

    async #submit() {
        this.save.disabled = true;
        fill(this.error);
        const { plan } = this;
        const text = JSON.stringify(plan);
        try {
            const question = await this.onSave(plan, text === this.#asked);
            this.#ask(question ? text : null, question);
        } catch (error) {
            this.#ask(null, "");
            fill(this.error, error instanceof Error ? error.message : String(error));
        } finally {
            this.save.disabled = false;
        }
    }

    /** Ask for a confirmation, or for none. @param {string | null} plan as JSON @param {string} question */
    #ask(plan, question) {
        this.#asked = plan;
        fill(this.question, question);
        this.save.textContent = question ? "Save it all the same" : SAVE;
    }

    #fields() {
        const models = KINDS.map(([kind, text]) => check(/** @type {HTMLInputElement} */ (this.models.get(kind)), text));
        return [
            field("Readers", this.readers, "User names, separated by commas; those of the login where there is one."),
            field("Adjudicators", this.adjudicators, "They choose the final label of an image with two readings, and may not be readers."),
            h("div", { class: "parameters" },
                field("Read by two readers, % of images", this.second), field("Read again by the same reader, %", this.repeat),
                field("… after days", this.afterDays)),
            check(this.blind, "Blind: nothing of other readings reaches a reader"),
            h("fieldset", { class: "boxes" }, h("legend", {}, "The model's points are offered in"), ...models),
            h("div", { class: "parameters" }, field("Held out from training, % of images", this.holdOut), field("Seed of the draws", this.seed)),
            field("Further images that no model learns from, one a line", this.heldOut),
        ];
    }
}

/**
 * A plan in plain words.
 * @param {StudyPlan} plan
 * @returns {string[]} sentences
 */
export function planSentences(plan) {
    const percent = (/** @type {number} */ share) => `${percentOf(share)} % of the images`;
    const offered = KINDS.filter(([kind]) => plan.model[kind]).map(([, text]) => text);
    const { share, images } = plan.hold_out;
    const heldOut = [share ? percent(share) : "", images.length ? plural(images.length, "named image") : ""].filter(Boolean);
    return [
        `${plan.readers.join(", ")} ${plan.readers.length === 1 ? "reads" : "read"}.`,
        plan.second_reading.share ? `${percent(plan.second_reading.share)} are read by two readers.` : "Every image is read once.",
        plan.adjudicators.length ? `${plan.adjudicators.join(", ")} ${plan.adjudicators.length === 1 ? "chooses" : "choose"} the final label where there are two readings.` : "",
        plan.repeat.share ? `${percent(plan.repeat.share)} are read once more by the same reader, ${plan.repeat.after_days} days later.` : "",
        plan.blind ? "Nothing of other readings reaches a reader before the image is closed." : "Readers see each other's readings.",
        offered.length ? `The model's points are offered in ${offered.join(", ")}.` : "The model's points are not offered.",
        heldOut.length ? `No model learns from ${heldOut.join(", nor from ")}.` : "",
    ].filter(Boolean);
}

/** @param {string} name @param {number} min @param {number} max @param {number|"any"} step @param {string} testId */
function number(name, min, max, step, testId) {
    return h("input", { class: "input", type: "number", name, min, max, step, "data-testid": testId });
}

/** @param {string} text @param {HTMLElement} control @param {string} [hint] */
function field(text, control, hint = "") {
    return h("label", { class: "field" }, h("span", {}, text), control, hint && h("span", { class: "hint small" }, hint));
}

/** @param {HTMLInputElement} box @param {string} text */
function check(box, text) {
    return h("label", { class: "check" }, box, text);
}
