/** The help sheet: keys and short explanations of the present page. */

import { fill, h, icon } from "./dom.js";

/**
 * @typedef {object} HelpSection
 * @property {string} title
 * @property {[string, string][]} rows keys, such as "Ctrl+Z", and what they do
 */

/** A dialog that lists the keys of the present page. */
export class HelpSheet {
    /** @param {HTMLElement} parent */
    constructor(parent) {
        this.body = h("div", { class: "help-sections" });
        /** @type {HTMLDialogElement} */
        this.dialog = h("dialog", { class: "dialog help", "aria-labelledby": "help-title", "data-testid": "help-sheet" },
            h("div", { class: "dialog-head" }, h("h2", { id: "help-title" }, "Keys"),
                h("button", {
                    type: "button", class: "icon-button", "aria-label": "Close", onclick: () => this.dialog.close(),
                }, icon("close"))),
            this.body,
            h("p", { class: "hint" }, "For research. Not a medical device. The API of this server: ",
                h("a", { href: "docs", target: "_blank", rel: "noopener" }, "docs"), "."));
        this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
        parent.append(this.dialog);
    }

    /** What to show on the present page. @param {HelpSection[]} sections */
    set(sections) {
        fill(this.body, ...sections.map(({ title, rows }) => h("section", {}, h("h3", {}, title),
            h("dl", { class: "keys" }, ...rows.flatMap(([keys, text]) => [
                h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, text),
            ])))));
    }

    /** Show or hide it. */
    toggle() {
        if (this.dialog.open) this.dialog.close();
        else this.dialog.showModal();
    }
}
