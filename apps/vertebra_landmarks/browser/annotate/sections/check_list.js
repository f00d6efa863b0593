/** Vertebrae to be checked: those that the model is unsure of, or that are anatomically implausible. */

import { VERTEBRAE } from "../../editor/schema.js";
import { fill, h } from "../../shell/dom.js";
import { button, row, setText } from "./controls.js";

/** @typedef {import("../../api/types.js").CheckItem} CheckItem */
/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

/** The list, and the way through it. */
export class CheckList {
    /** @type {CheckItem[]} */
    #checks = [];
    #shown = -1;

    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        this.title = h("h3", {}, "To check: nothing");
        this.next = button("Next to check", "Show the next vertebra to check (D).", () => this.showNext(),
            { "data-testid": "next-check" });
        this.next.disabled = true;
        this.list = h("ul", { class: "checks", "data-testid": "to-check" });
        this.element = h("div", { class: "to-check" }, row(this.title, this.next), this.list);
    }

    /** List checks; fast, as it runs with every measurement. @param {CheckItem[]} checks */
    show(checks) {
        if (JSON.stringify(checks) === JSON.stringify(this.#checks)) return;
        this.#checks = checks;
        this.#shown = Math.min(this.#shown, checks.length - 1);
        setText(this.title, `To check: ${checks.length || "nothing"}`);
        this.next.disabled = !checks.length;
        fill(this.list, ...checks.map(({ vertebra, kind, text }, index) => h("li", {}, h("button", {
            type: "button", class: `check-item ${kind}`, title: "Click to show the vertebra.",
            onclick: () => this.#jump(index),
        }, h("b", {}, vertebra), " ", text))));
    }

    /** Show the next vertebra to be checked; after the last, the first. */
    showNext() {
        if (this.#checks.length) this.#jump((this.#shown + 1) % this.#checks.length);
    }

    /** @param {number} index */
    #jump(index) {
        this.#shown = index;
        [...this.list.children].forEach((item, i) => {
            const element = item.firstElementChild;
            if (i === index) element?.setAttribute("aria-current", "true");
            else element?.removeAttribute("aria-current");
        });
        this.page.jumpTo(VERTEBRAE.indexOf(this.#checks[index].vertebra));
    }
}
