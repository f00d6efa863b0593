/** The images whose final label is to be chosen, those whose readings differ most first. */

import { fill, h, nameElement } from "../../shell/dom.js";
import { plural } from "../../shell/format.js";

/** @typedef {import("../../api/types.js").QueuedImage} QueuedImage */

/** A card with a link per image. */
export class QueueCard {
    /** @param {import("../../shell/router.js").Router} router */
    constructor(router) {
        this.router = router;
        this.title = h("h2", {}, "To adjudicate");
        this.list = h("ol", { class: "queue", "data-testid": "queue", tabindex: "0", "aria-label": "Images to adjudicate" });
        this.element = h("section", { class: "card", "aria-label": "To adjudicate", hidden: true },
            h("div", { class: "card-head" }, h("div", {}, this.title,
                h("p", { class: "hint small" }, "Those whose readings differ most come first."))), this.list);
    }

    /** @param {{total: number, images: QueuedImage[]}} queue */
    show({ total, images }) {
        this.element.hidden = false;
        this.title.textContent = total ? `${plural(total, "image")} to adjudicate` : "To adjudicate";
        const more = total - images.length;
        fill(this.list, ...images.map((one) => this.#item(one)), more > 0 && h("li", { class: "faint" }, `and ${plural(more, "other")}`),
            total === 0 && h("li", { class: "hint" }, "Nothing waits: no image has two readings without a final label."));
    }

    /** @param {QueuedImage} queued */
    #item({ image, readings, adjudicator }) {
        const readers = readings.map(({ reader }) => reader || "no name").join(", ");
        return h("li", { class: "queued" },
            h("a", { href: this.router.href("adjudicate", image), "data-testid": `adjudicate-${image}` }, nameElement(image)),
            nameElement(readers, "name faint"),
            adjudicator && h("span", { class: "open-mark" }, "open: ", nameElement(adjudicator)));
    }
}
