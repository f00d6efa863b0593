/** Unfinished work on this computer, which is offered to go on with. */

import { chooseDraft, discardDraft, listDrafts } from "../editor/drafts.js";
import { agoText, plural } from "../shell/format.js";
import { fill, h, icon, nameElement } from "../shell/dom.js";

/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {Awaited<ReturnType<typeof listDrafts>>[number]} Draft */

/** Drafts shown at most; the newest come first. */
const MAX_SHOWN = 5;

/**
 * Whether unfinished work is shown to a user: in a study nobody gets to see that of others, nor while it is not known
 * whether there is one.
 * @param {Pick<Draft, "user" | "isOfStudy">} draft
 * @param {Pick<import("../shell/study.js").Study, "plan" | "status">} study
 * @param {string} user
 */
export function isListed(draft, { plan, status }, user) {
    const isEverybodys = status !== null && plan === null && !draft.isOfStudy;
    return isEverybodys || draft.user === user;
}

/** A strip above the list; hidden without drafts. */
export class DraftList {
    /** @param {Context} context */
    constructor(context) {
        this.context = context;
        this.element = h("section", { class: "drafts", "aria-label": "Unfinished work", "data-testid": "drafts", hidden: true });
    }

    /** Look for drafts in this browser. */
    async load() {
        const { study, user } = this.context;
        await study.ready;
        const drafts = (await listDrafts()).filter((draft) => isListed(draft, study, user()));
        this.element.hidden = drafts.length === 0;
        const more = drafts.length - MAX_SHOWN;
        fill(this.element, h("p", { class: "drafts-title" }, icon("draft"), "Unfinished on this computer"),
            h("ul", {}, ...drafts.slice(0, MAX_SHOWN).map((draft) => this.#item(draft))),
            more > 0 && h("p", { class: "faint" }, `and ${plural(more, "other")}`));
    }

    /** @param {Draft} draft */
    #item(draft) {
        const { key, image, user, edits, saved_at: saved } = draft;
        const who = user && user !== this.context.user() ? [" by ", nameElement(user)] : [];
        return h("li", { class: "draft" },
            h("a", { href: this.context.router.href("image", image), "data-testid": `draft-${image}`, onclick: () => chooseDraft(key) },
                nameElement(image)),
            h("span", { class: "faint" }, `${plural(edits, "edit")}, ${agoText(saved)}`, ...who),
            h("button", {
                type: "button", class: "icon-button small", "aria-label": `Discard the work on ${image}`, title: "Discard",
                onclick: () => void this.#discard(draft),
            }, icon("close")));
    }

    /** @param {Draft} draft */
    async #discard(draft) {
        const { messages } = this.context;
        const answer = await messages.ask(`Discard ${plural(draft.edits, "edit")} of ${draft.image}? They cannot be restored.`, [
            { label: "Keep", value: "keep" }, { label: "Discard", value: "discard", kind: "danger" },
        ]);
        if (answer !== "discard") return;
        try {
            await discardDraft(draft.key);
        } catch (error) {
            messages.show(error instanceof Error ? error.message : String(error), "error");
        }
        await this.load();
    }
}
