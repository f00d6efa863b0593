/** Messages to the user and questions of the page; neither blocks the browser as its own dialogs do. */

import { fill, h, icon } from "./dom.js";

/** How long a message that is no error stays, in milliseconds. */
export const INFO_TIMEOUT_MS = 8000;

/** @typedef {{label: string, value: string, kind?: "primary"|"danger"|"plain"}} Choice */

/** The message bar and the question dialog. */
export class Messages {
    /** @param {HTMLElement} parent where both are added */
    constructor(parent) {
        this.text = h("p", { class: "message-text" });
        const close = h("button", {
            type: "button", class: "icon-button", "aria-label": "Close the message", onclick: () => this.hide(),
        }, icon("close"));
        this.bar = h("div", { class: "message", "data-testid": "message", role: "status", "aria-live": "polite" });
        this.content = h("div", { class: "message-body" }, this.text, close);
        parent.append(this.bar);
        /** @type {ReturnType<typeof setTimeout>|undefined} */
        this.timer = undefined;
        this.parent = parent;
        this.bar.addEventListener("pointerenter", () => clearTimeout(this.timer));
    }

    /**
     * Show a message in place of the one before.
     * @param {string} text one or two sentences
     * @param {"info"|"error"} [kind] errors stay until they are closed or replaced
     */
    show(text, kind = "info") {
        clearTimeout(this.timer);
        this.text.textContent = text;
        this.bar.dataset.kind = kind;
        this.bar.setAttribute("aria-live", kind === "error" ? "assertive" : "polite");
        fill(this.bar, this.content);
        if (kind === "info") this.timer = setTimeout(() => this.hide(), INFO_TIMEOUT_MS);
    }

    /** Show a message unless there is one already. @param {string} text */
    offer(text) {
        if (!this.bar.hasChildNodes()) this.show(text);
    }

    /** Hide the message, if any. */
    hide() {
        clearTimeout(this.timer);
        fill(this.bar);
    }

    /** Hide the message if it is an error, which is about the page that is left. */
    hideError() {
        if (this.bar.dataset.kind === "error") this.hide();
    }

    /**
     * Ask a question.
     * @param {string} text
     * @param {Choice[]} choices from the safest to the boldest; the first has the focus
     * @param {Node|null} [details] shown below the text, such as a comparison
     * @returns {Promise<string|null>} value of the choice; null where the user escaped
     */
    ask(text, choices, details = null) {
        return new Promise((resolve) => {
            const dialog = h("dialog", { class: "dialog", "aria-labelledby": "question", "data-testid": "question" });
            const buttons = choices.map(({ label, value, kind = "plain" }) => h("button", {
                type: "button", class: `button ${kind}`, "data-value": value, onclick: () => dialog.close(value),
            }, label));
            dialog.append(h("p", { id: "question", class: "question" }, text));
            if (details) dialog.append(details);
            dialog.append(h("div", { class: "dialog-buttons" }, ...buttons));
            dialog.addEventListener("cancel", () => { dialog.returnValue = ""; });
            dialog.addEventListener("close", () => {
                const value = dialog.returnValue;
                dialog.remove();
                resolve(choices.some((choice) => choice.value === value) ? value : null);
            });
            this.parent.append(dialog);
            dialog.showModal();
            buttons[0]?.focus();
        });
    }
}
