/** The next image to label, by a strategy of the server; in a study, the one that the plan has for the user. */

import { isCancelled, messageOf } from "../api/errors.js";
import { fill, h, icon } from "../shell/dom.js";

/** @typedef {import("../shell/context.js").Context} Context */

/** Setting: name of the strategy that chooses the next image. */
export const STRATEGY = "strategy";

/** A choice of strategies and a button that opens the image that the server picks. */
export class NextImage {
    /** @param {Context} context */
    constructor(context) {
        this.context = context;
        this.select = h("select", {
            class: "select strategy", "aria-label": "How the next image is chosen", "data-testid": "strategy",
        });
        this.select.addEventListener("change", () => context.settings.set(STRATEGY, this.select.value));
        this.button = h("button", {
            type: "button", class: "button primary", "data-testid": "next", title: "Next image (N)",
            onclick: () => void this.open(),
        }, "Next image", icon("next"));
        this.element = h("div", { class: "next-image" }, this.select, this.button);
        this.refresh();
    }

    /** Show the strategies of the server, and whether the user may label. */
    refresh() {
        const { session, settings, study } = this.context;
        const strategies = Object.entries(session.info?.strategies ?? {});
        if (strategies.length !== this.select.options.length) {
            fill(this.select, ...strategies.map(([name, { description }]) => h("option", { value: name }, description || name)));
        }
        const chosen = settings.get(STRATEGY, "");
        if (strategies.some(([name]) => name === chosen)) this.select.value = chosen;
        this.select.hidden = strategies.length === 0;
        const mayLabel = session.role === null || session.may("annotator");
        fill(this.button, study.nextText, icon("next"));
        this.select.hidden ||= study.isAdjudicator;
        this.button.disabled = !mayLabel || !study.hasPart;
        this.button.title = !mayLabel ? "Choosing the next image needs the role annotator."
            : study.hasPart ? `${study.nextText} (N)` : study.noPartText;
    }

    /** Ask the server for the next image and open it. */
    async open() {
        if (this.button.disabled) return;
        const { client, messages, router, session, study } = this.context;
        this.button.disabled = true;
        try {
            if (study.plan !== null) {
                const found = await study.next(this.select.value);
                if (found.image) router.go(found.adjudicate ? "adjudicate" : "image", found.image);
                else messages.show(found.sentence ?? "Nothing is left for you now.");
                return;
            }
            const strategy = this.select.value || Object.keys((session.info ?? await session.loadInfo()).strategies)[0];
            const sample = await client.post(`/activelearning/${encodeURIComponent(strategy ?? "")}`, {});
            if (sample?.id) router.go("image", sample.id);
            else messages.show("No image is left to label: all are labelled, or open at somebody else.");
        } catch (error) {
            if (!isCancelled(error)) messages.show(messageOf(error), "error");
        } finally {
            this.refresh();
        }
    }
}
