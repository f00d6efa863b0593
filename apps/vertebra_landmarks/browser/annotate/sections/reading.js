/** Section Reading: what the open image is to the user in a study with a plan, in plain words. */

import { readingTitle } from "../../shell/study.js";
import { fill, h } from "../../shell/dom.js";
import { button } from "./controls.js";

/** @typedef {import("../../api/types.js").Part} Part */
/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */
/**
 * @typedef {object} Banner
 * @property {string} title
 * @property {string[]} sentences
 * @property {"release" | "compare" | ""} action that the banner offers
 */

/** A banner above the panel; hidden without a plan. */
export class ReadingSection {
    /** What is shown, so that it is read out once. */
    #shown = "";

    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        this.element = h("section", { class: "reading-banner", "aria-label": "Reading", role: "status", hidden: true,
            "data-testid": "reading" });
    }

    /** Show what is the case now. */
    refresh() {
        const { context, image, session } = this.page.workspace;
        this.element.hidden = context.study.plan === null || image === null || session.part === null;
        if (this.element.hidden) return;
        const banner = this.#banner();
        const shown = JSON.stringify(banner);
        if (shown === this.#shown) return;
        this.#shown = shown;
        this.element.dataset.kind = session.isAdjudication ? "adjudication" : session.part?.reading?.kind ?? "none";
        fill(this.element, h("div", { class: "banner-head" }, h("h2", {}, banner.title), this.#action(banner.action)),
            h("p", {}, banner.sentences.join(" ")));
    }

    /** @returns {Banner} */
    #banner() {
        const { context, session } = this.page.workspace;
        const { study } = context;
        const part = /** @type {Part} */ (session.part);
        if (study.isAdjudicator) return adjudicationBanner(session);
        if (!study.isReader) return { title: "Only to look at", sentences: [study.noPartText], action: "" };
        if (!part.may_save) {
            const sentences = ["It is read as often as the plan wants for now: you may look at it, but not change it."];
            return { title: "Nothing to read here", sentences, action: "" };
        }
        if (part.reading) return readingBanner(part);
        const sentences = ["What you submit becomes your reading, where the plan has one of this image for you.",
            "“Your next image” keeps an image for you while you work on it."];
        return { title: "Not given to you yet", sentences, action: "" };
    }

    /** @param {Banner["action"]} action */
    #action(action) {
        const { context, session } = this.page.workspace;
        if (action === "compare") {
            return h("a", { class: "button small", href: context.router.href("adjudicate", session.imageId),
                "data-testid": "compare" }, "Compare the readings");
        }
        return action === "release" && button("Give it back", "You do not read it now: somebody else may read this image; your edits stay " +
            "in this browser.", () => void this.#release(), { "data-testid": "release" });
    }

    async #release() {
        const { workspace } = this.page;
        const { context, session } = workspace;
        const answer = await workspace.run("release", "Giving the image back", async () => ({
            isReleased: await context.study.release(session.imageId),
        }));
        if (!answer) return;
        if (!answer.isReleased) {
            context.messages.show(`You do not have ${session.imageId} under work: there is nothing to give back.`, "error");
            return;
        }
        context.messages.show(`${session.imageId} is given back.`);
        void context.study.load();
        context.router.go("overview");
    }
}

/** @param {Part} part with a reading @returns {Banner} */
export function readingBanner({ reading, model }) {
    const { kind, blind, submitted } = /** @type {NonNullable<Part["reading"]>} */ (reading);
    const hidden = kind === "repeat" ? "Nothing of other readings is shown, nor your own first one." : "Nothing of other readings is shown.";
    const offered = model ? "Points of the model are offered." : "No points of the model: place the points by hand.";
    const done = "You have submitted it, and may correct it until it is adjudicated.";
    return {
        title: readingTitle(/** @type {NonNullable<Part["reading"]>} */ (reading)),
        sentences: [...(blind ? [hidden] : []), submitted ? done : offered],
        action: submitted ? "" : "release",
    };
}

/** @param {import("../edit_session.js").EditSession} session of an adjudicator @returns {Banner} */
export function adjudicationBanner(session) {
    if (!session.isAdjudication) {
        const isSingle = session.part?.may_save ?? false;
        const sentences = [isSingle ? "It has one reading: what you submit becomes its final label."
            : "It is not read as often as the plan wants: there is nothing to choose from yet."];
        return { title: isSingle ? "One reading" : "Not read yet", sentences, action: "" };
    }
    if (session.source) {
        const what = session.source === "mean" ? "the mean of the readings" : `reading ${session.source}`;
        return { title: `Adjudication: edit ${what}`, sentences: ["Submit stores these points as the final label."], action: "compare" };
    }
    const isDecided = session.baseVersion > 0;
    return {
        title: isDecided ? "Final label" : "To adjudicate",
        sentences: [isDecided ? "What you submit replaces the final label." : "Choose one of its readings, their mean, or edit one of them."],
        action: "compare",
    };
}
