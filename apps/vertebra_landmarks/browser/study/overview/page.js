/** The page of the study: what is next for the user, progress, images to adjudicate, and the plan. */

import { isCancelled, messageOf, ServerError } from "../../api/errors.js";
import { fill, h, icon } from "../../shell/dom.js";
import { effectText, NEW_PLAN, PlanForm, planSentences } from "./plan_form.js";
import { ProgressCard } from "./progress_card.js";
import { QueueCard } from "./queue_card.js";

/** @typedef {import("../../api/types.js").StudyPlan} StudyPlan */
/** @typedef {import("../../api/types.js").StudyStatus} StudyStatus */
/** @typedef {import("../../api/types.js").PlanEffect} PlanEffect */
/** @typedef {import("../../shell/context.js").Context} Context */

/** How often progress and queue are asked for again. */
export const REFRESH_INTERVAL_MS = 15_000;

/**
 * Open the page of the study.
 * @param {HTMLElement} container empty
 * @param {Context} context
 * @returns {import("../../shell/router.js").Page}
 */
export function openStudy(container, context) {
    const page = new StudyPage(container, context);
    void page.load();
    return { close: () => Promise.resolve(page.close()) };
}

class StudyPage {
    #stops = new AbortController();
    /** Version of the plan that the form began with; null before it is shown. @type {string | null} */
    #formVersion = null;

    /** @param {HTMLElement} container @param {Context} context */
    constructor(container, context) {
        this.context = context;
        this.part = h("p", { class: "hint", "data-testid": "part" });
        this.next = h("button", { type: "button", class: "button primary", "data-testid": "next", title: "Open it (N)",
            onclick: () => void this.#openNext() });
        this.progress = new ProgressCard();
        this.queue = new QueueCard(context.router);
        this.form = new PlanForm((plan, isConfirmed) => this.#save(plan, isConfirmed));
        this.sentences = h("ul", { class: "plan-sentences", "data-testid": "plan" });
        this.warnings = h("ul", { class: "warnings", "aria-label": "Warnings of the plan", "data-testid": "plan-warnings" });
        this.planHint = h("p", { class: "hint small" });
        this.newer = h("div", { class: "row", hidden: true, "data-testid": "plan-newer" },
            h("p", { class: "hint" }, "The plan above is the new one. Save again to put yours in its place, or go on with it."),
            h("button", { type: "button", class: "button small", "data-testid": "plan-take", onclick: () => this.#showForm() }, "Go on with the new plan"));
        this.details = h("details", { hidden: true, "data-testid": "plan-edit" }, h("summary", {}, "Change the plan"), this.newer,
            this.form.element);
        this.plan = h("section", { class: "card", "aria-label": "Plan" },
            h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Plan"), this.planHint)), this.sentences, this.warnings, this.details);
        this.agreement = h("a", { class: "button", href: context.router.href("agreement"), "data-testid": "agreement" }, icon("training"), "Agreement");
        container.classList.add("scrolling");
        fill(container, h("div", { class: "study" },
            h("div", { class: "study-head" }, h("div", {}, h("h1", {}, "Study"), this.part),
                h("div", { class: "study-actions" }, this.agreement, this.next)),
            h("div", { class: "study-cards" }, h("div", { class: "column" }, this.progress.element, this.queue.element), this.plan)));
        context.setHelp([{ title: "Study", rows: [["N", "Your next image; for an adjudicator, the next one to decide"]] }]);
        const { signal } = this.#stops;
        context.study.onChange(() => this.#show(), signal);
        context.session.onChange(() => this.#show(), signal);
        document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
        const timer = setInterval(() => { if (document.visibilityState === "visible") void this.load(); }, REFRESH_INTERVAL_MS);
        signal.addEventListener("abort", () => clearInterval(timer));
        this.#show();
    }

    /** Ask the server for progress and queue. */
    async load() {
        const { study, client, messages } = this.context;
        await study.load();
        if (this.#stops.signal.aborted || !study.isAdjudicator) return;
        try {
            this.queue.show(await client.get("/readings/queue", { signal: this.#stops.signal }));
        } catch (error) {
            if (!isCancelled(error)) messages.show(messageOf(error), "error");
        }
    }

    /** Leave the page. @returns {boolean} */
    close() {
        this.#stops.abort();
        return true;
    }

    #show() {
        const { study, session } = this.context;
        const { plan } = study;
        const progress = study.status?.progress;
        const mayPlan = session.role === null || session.may("admin");
        this.part.textContent = partText(study);
        this.next.hidden = plan === null;
        this.next.disabled = !study.hasPart;
        fill(this.next, study.nextText, icon("next"));
        this.agreement.hidden = plan === null;
        this.progress.element.hidden = !progress;
        if (progress) this.progress.show(progress, study.status?.you.user ?? "");
        this.plan.hidden = study.status === null;
        fill(this.sentences, ...(plan ? planSentences(plan) : []).map((text) => h("li", {}, text)));
        fill(this.warnings, ...(study.status?.warnings ?? []).map((text) => h("li", {}, text)));
        this.planHint.textContent = plan ? "It may change at any time: readings that were made stay." : mayPlan
            ? "Several readers, some images read twice, blind, and one final label per image: enter who reads." : "There is none.";
        this.details.hidden = !mayPlan;
        if (study.status === null) return;
        const isFirst = this.#formVersion === null;
        const isFilledIn = !isFirst && this.details.open; // later answers change no form that somebody fills in
        if (!isFilledIn && this.#formVersion !== study.status.version) this.#showForm();
        if (isFirst) this.details.open = plan === null;
    }

    /** Show the present plan in the form, in place of what was entered. */
    #showForm() {
        const { plan, status } = this.context.study;
        this.form.show(plan ?? NEW_PLAN);
        this.#formVersion = status?.version ?? "";
        this.newer.hidden = true;
    }

    /**
     * Store a plan, after what it does to images that were read is confirmed.
     * @param {StudyPlan} plan
     * @param {boolean} isConfirmed
     * @returns {Promise<string>} what is to be confirmed; "" when the plan was stored
     */
    async #save(plan, isConfirmed) {
        const { client, study, messages } = this.context;
        const path = `/study?base_version=${encodeURIComponent(this.#formVersion ?? "")}`;
        try {
            if (!isConfirmed) {
                /** @type {{effect: PlanEffect}} */
                const { effect } = await client.put(`${path}&dry_run=true`, plan);
                const question = effectText(effect);
                if (question) return question;
            }
            /** @type {StudyStatus} */
            const stored = await client.put(path, plan);
            this.details.open = false;
            study.show(stored);
            const warnings = stored.warnings ?? [];
            messages.show(["The plan is stored.", ...warnings.map((text) => `${text}.`)].join(" "));
        } catch (error) {
            if (error instanceof ServerError && error.kind === "conflict") await this.#onNewerPlan();
            throw error; // the form says it
        }
        await this.load();
        return "";
    }

    /** Somebody else has changed the plan: it is shown, and may then be replaced. */
    async #onNewerPlan() {
        const { study } = this.context;
        await study.load();
        this.#formVersion = study.status?.version ?? "";
        this.newer.hidden = false;
    }

    async #openNext() {
        if (this.next.disabled || this.next.hidden) return;
        const { study, router, messages } = this.context;
        this.next.disabled = true;
        try {
            const found = await study.next("");
            if (found.image) router.go(found.adjudicate ? "adjudicate" : "image", found.image);
            else messages.show(found.sentence ?? "Nothing is left for you now.");
        } catch (error) {
            if (!isCancelled(error)) messages.show(messageOf(error), "error");
        } finally {
            this.next.disabled = false;
        }
    }

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey && !document.querySelector("dialog[open]");
        const isTyping = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
        if (isPlain && !isTyping && event.key.toLowerCase() === "n") void this.#openNext();
    }
}

/** What the user does in the study. @param {import("../../shell/study.js").Study} study */
function partText(study) {
    if (study.status === null) return "";
    if (study.plan === null) return "The images are labelled without a plan: each has one label.";
    const { user } = study.status.you;
    if (study.isAdjudicator) return `${user}, you are an adjudicator: you choose the final label where there are two readings.`;
    if (!study.isReader) return study.noPartText;
    const own = study.status.progress?.readers.find(({ reader }) => reader === user);
    return `${user}, you are a reader${own ? `: ${own.done} read, ${own.to_do} to do${own.open ? `, ${own.open} open` : ""}` : ""}.`;
}
