/** Elements that all sections are made of. */

import { h } from "../../shell/dom.js";

/** @typedef {import("../../shell/dom.js").Child} Child */
/** @typedef {import("../../shell/settings.js").Settings} Settings */

/**
 * A section that can be collapsed; whether it is, is remembered.
 * @param {Settings} settings
 * @param {string} name of the setting and of the test id
 * @param {string} title
 * @param {boolean} isOpen at first
 * @param {...Child} children
 * @returns {HTMLDetailsElement}
 */
export function section(settings, name, title, isOpen, ...children) {
    const key = `section.${name}`;
    return h(
        "details",
        {
            class: `section ${name}-section`,
            "data-testid": `section-${name}`,
            open: settings.get(key, isOpen),
            ontoggle: (/** @type {Event} */ event) => {
                settings.set(key, /** @type {HTMLDetailsElement} */ (event.currentTarget).open);
            },
        },
        h("summary", {}, h("h2", {}, title)),
        h("div", { class: "section-body" }, ...children)
    );
}

/**
 * @param {string} text
 * @param {string} title what it does, with its key
 * @param {() => unknown} onClick
 * @param {Record<string, string>} attributes
 * @returns {HTMLButtonElement}
 */
export function button(text, title, onClick, attributes = {}) {
    return h("button", { type: "button", class: "button small", title, onclick: onClick, ...attributes }, text);
}

/**
 * A row of elements that belong together.
 * @param {...Child} children
 */
export function row(...children) {
    return h("div", { class: "row" }, ...children);
}

/**
 * @param {string} text
 * @param {string} title
 * @param {boolean} isChecked
 * @param {(isChecked: boolean) => unknown} onChange
 * @param {string} testId
 * @returns {{element: HTMLLabelElement, input: HTMLInputElement}}
 */
export function checkBox(text, title, isChecked, onChange, testId) {
    /** @type {HTMLInputElement} */
    const input = h("input", {
        type: "checkbox", "data-testid": testId, onchange: () => onChange(input.checked),
    });
    input.checked = isChecked;
    return { element: h("label", { class: "check", title }, input, text), input };
}

/**
 * A list to choose from.
 * @param {string} name for screen readers
 * @param {string} title
 * @param {readonly {value: string, text: string}[]} options
 * @param {(value: string) => unknown} onChange
 * @param {string} testId
 * @returns {HTMLSelectElement}
 */
export function selectBox(name, title, options, onChange, testId) {
    /** @type {HTMLSelectElement} */
    const select = h("select", {
        class: "select", "aria-label": name, title, "data-testid": testId, onchange: () => onChange(select.value),
    });
    setOptions(select, options);
    return select;
}

/**
 * Replace the options; the chosen one stays where it is still there.
 * @param {HTMLSelectElement} select
 * @param {readonly {value: string, text: string}[]} options
 */
export function setOptions(select, options) {
    const { value } = select;
    select.replaceChildren(...options.map((option) => h("option", { value: option.value }, option.text)));
    if (options.some((option) => option.value === value)) select.value = value;
}

/**
 * A number to type, with what precedes and follows it.
 * @param {string} name for screen readers
 * @param {{value: number, min: number, max: number, step: number}} range
 * @param {string} unit
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function numberBox(name, { value, min, max, step }, unit) {
    const input = h("input", { class: "input number-input", type: "number", "aria-label": name, min, max, step });
    input.valueAsNumber = value;
    return { element: h("span", { class: "unit" }, input, unit), input };
}

/**
 * Show a text only if it is another one: less work, and screen readers do not repeat it.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}
