/** Who labels how much and how fast. */

import { countText, durationText } from "../shell/format.js";
import { fill, h, nameElement } from "../shell/dom.js";

/** @typedef {import("../api/types.js").Statistics} Statistics */

/** A table of readers. */
export class ReadersCard {
    constructor() {
        this.body = h("tbody");
        this.element = h("section", { class: "card", "aria-label": "Readers", hidden: true },
            h("div", { class: "card-head" }, h("h2", {}, "Readers")),
            h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Readers" },
                h("table", { class: "table", "data-testid": "readers" },
                    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Reader"), h("th", { scope: "col", class: "number" }, "Labels"),
                        h("th", { scope: "col", class: "number" }, "Median time"))),
                    this.body)));
    }

    /** Show the readers. @param {Statistics["readers"]} readers */
    show(readers) {
        this.element.hidden = readers.length === 0;
        fill(this.body, ...readers.map(({ user, labels, median_seconds: seconds }) => h("tr", {},
            h("th", { scope: "row" }, user ? nameElement(user) : "no name"), h("td", { class: "number" }, countText(labels)),
            h("td", { class: "number" }, seconds === null ? "" : durationText(seconds)))));
    }
}
