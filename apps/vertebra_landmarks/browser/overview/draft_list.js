/** Unfinished work on this computer, which is offered to go on with. */

import { agoText, plural } from "../shell/format.js";
import { fill, h, icon, nameElement } from "../shell/dom.js";

/** @typedef {import("../shell/context.js").Context} Context */

/** Drafts shown at most; the newest come first. */
const MAX_SHOWN = 5;

/** A strip above the list; hidden without drafts. */
export class DraftList {
    /** @param {Context} context */
    constructor(context) {
        this.context = context;
        this.element = h("section", { class: "drafts", "aria-label": "Unfinished work", "data-testid": "drafts", hidden: true });
    }

    /** Look for drafts in this browser. */
    async load() {
        try {
            const { listDrafts } = await import("../editor/drafts.js");
            this.#show(await listDrafts());
        } catch { /* the browser forbids storage: there are no drafts in it */ }
    }

    /** @param {{image: string, edits: number, saved_at: number}[]} drafts */
    #show(drafts) {
        const newest = [...drafts].sort((a, b) => b.saved_at - a.saved_at);
        this.element.hidden = newest.length === 0;
        const more = newest.length - MAX_SHOWN;
        fill(this.element, h("p", { class: "drafts-title" }, icon("draft"), "Unfinished on this computer"),
            h("ul", {}, ...newest.slice(0, MAX_SHOWN).map(({ image, edits, saved_at }) => h("li", {},
                h("a", { class: "draft", href: this.context.router.href("image", image) }, nameElement(image),
                    h("span", { class: "faint" }, `${plural(edits, "edit")}, ${agoText(saved_at)}`))))),
            more > 0 && h("p", { class: "faint" }, `and ${plural(more, "other")}`));
    }
}
