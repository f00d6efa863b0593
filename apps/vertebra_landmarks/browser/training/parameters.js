/** The parameters of a training: those that the server names, with its defaults. */

import { h } from "../shell/dom.js";

/** @typedef {Record<string, string|number|boolean>} Parameters */

/** Names and explanations of the parameters that this page knows; others are shown by their own names. */
const TEXTS = /** @type {Record<string, [string, string]>} */ ({
    max_epochs: ["Epochs", "How often every image with a new label is seen"],
    val_split: ["Held out", "Share of the patients to check the result on, 0 to 0.5"],
    publish: ["Publish", "When the result replaces the served model"],
    batch_size: ["Batch size", "Images per step"],
    learning_rate: ["Learning rate", "Of the network that finds the vertebrae"],
    corner_learning_rate: ["Corner learning rate", "Of the network that refines the corners"],
    rehearsal: ["Rehearsal", "Share of each batch that shows what the model knows already"],
    phantoms: ["Phantoms", "Generated radiographs among those that are rehearsed"],
    device: ["Device", "Where it is computed"],
    processes: ["Processes", "That share every batch, one per CUDA device; 0 for as many as there are devices"],
    pretrained: ["Go on from the served model", "Else from random weights"],
    seed: ["Seed", "Of all that is random"],
    patient_pattern: ["Patient pattern", "Regular expression that finds the patient in an image id; empty for the usual rule"],
    keep_versions: ["Versions to keep", "On the disk; the oldest go first"],
});
/** Parameters that are always shown; the others are folded. */
const FIRST = ["max_epochs", "val_split", "publish"];
/** Set by a button of its own. */
const HIDDEN = ["resume"];
const CHOICES = /** @type {Record<string, [string, string][]>} */ ({
    publish: [["gate", "if the error did not grow"], ["always", "in any case"], ["never", "not by itself"]],
    device: [["auto", "auto"], ["cpu", "cpu"], ["cuda", "cuda"]],
});

/** Fields for all parameters. */
export class ParameterFields {
    /** @param {Parameters} defaults of the server */
    constructor(defaults) {
        this.defaults = defaults;
        const names = Object.keys(defaults).filter((name) => !HIDDEN.includes(name));
        const first = names.filter((name) => FIRST.includes(name));
        const others = names.filter((name) => !FIRST.includes(name));
        /** @type {Map<string, HTMLInputElement|HTMLSelectElement>} */
        this.controls = new Map();
        const fields = (/** @type {string[]} */ some) => h("div", { class: "parameters" }, ...some.map((name) => this.#field(name)));
        this.element = h("div", { class: "form" }, fields(first),
            others.length > 0 && h("details", {}, h("summary", {}, "All settings"), fields(others)));
    }

    /** Parameters that differ from the defaults. @returns {Parameters} */
    get changed() {
        /** @type {Parameters} */
        const values = {};
        for (const [name, control] of this.controls) {
            const fallback = this.defaults[name];
            const value = valueOf(control, fallback);
            if (value !== fallback) values[name] = value;
        }
        return values;
    }

    /** @param {string} name */
    #field(name) {
        const value = this.defaults[name];
        const [label, hint] = TEXTS[name] ?? [name, ""];
        const attributes = { name, "data-testid": `parameter-${name}`, "aria-describedby": hint ? `hint-${name}` : null };
        const note = hint && h("span", { class: "hint small", id: `hint-${name}` }, hint);
        if (typeof value === "boolean") {
            const box = h("input", { type: "checkbox", checked: value, ...attributes });
            this.controls.set(name, box);
            return h("div", { class: "parameter" }, h("label", { class: "check" }, box, h("span", {}, label)), note);
        }
        const control = this.#control(name, value, attributes);
        this.controls.set(name, control);
        return h("div", { class: "parameter" }, h("label", { class: "field" }, h("span", {}, label), control), note);
    }

    /** @param {string} name @param {string|number} value @param {Record<string, string|null>} attributes */
    #control(name, value, attributes) {
        const choices = CHOICES[name];
        if (choices) {
            return h("select", attributes, ...choices.map(([choice, text]) =>
                h("option", { value: choice, selected: choice === value }, text)));
        }
        if (typeof value === "number") return h("input", { type: "number", step: "any", required: true, value, ...attributes });
        return h("input", { type: "text", value, maxlength: 200, ...attributes });
    }
}

/** @param {HTMLInputElement|HTMLSelectElement} control @param {string|number|boolean} fallback */
function valueOf(control, fallback) {
    if (typeof fallback === "boolean") return /** @type {HTMLInputElement} */ (control).checked;
    return typeof fallback === "number" ? Number(control.value) : control.value;
}
