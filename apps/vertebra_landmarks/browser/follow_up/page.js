/** The follow-up of a patient: two images side by side, and what has changed between them. */

import { withQuery } from "../api/client.js";
import { messageOf } from "../api/errors.js";
import { fill, h, icon, nameElement } from "../shell/dom.js";
import { plural } from "../shell/format.js";
import { AnglePlot } from "./angle_plot.js";
import { CurveTable } from "./curve_table.js";
import { ImagePane } from "./image_pane.js";

/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {import("../api/types.js").FollowUp} FollowUp */

/**
 * Open the follow-up of the patient of an image.
 * @param {HTMLElement} container empty
 * @param {string} imageId
 * @param {Context} context
 * @returns {import("../shell/router.js").Page}
 */
export function openFollowUp(container, imageId, context) {
    const page = new FollowUpPage(container, imageId, context);
    void page.load();
    return { close: () => Promise.resolve(page.close()) };
}

class FollowUpPage {
    /** @param {HTMLElement} container @param {string} imageId @param {Context} context */
    constructor(container, imageId, context) {
        this.imageId = imageId;
        this.context = context;
        this.stops = new AbortController();
        /** @type {FollowUp|null} */
        this.followUp = null;
        /** Ids of the images at the left and at the right. */
        this.chosen = ["", ""];
        this.panes = [new ImagePane(context, "Earlier image", "before", (id) => this.#choose(0, id)),
            new ImagePane(context, "Later image", "after", (id) => this.#choose(1, id))];
        this.table = new CurveTable();
        this.plot = new AnglePlot();
        this.note = h("p", { class: "hint", role: "status", "data-testid": "follow-up-note", hidden: true });
        this.empty = h("div", { class: "empty", "data-testid": "empty" }, h("p", {}, "Looking for images of the same patient"));
        this.content = h("div", { class: "follow-up-content", hidden: true },
            h("div", { class: "panes" }, ...this.panes.map(({ element }) => element)),
            h("div", { class: "follow-up-figures" }, this.table.element, this.plot.element));
        container.classList.add("scrolling");
        fill(container, h("div", { class: "follow-up" },
            h("div", { class: "follow-up-head" },
                h("a", { class: "icon-button", href: context.router.href("image", imageId), "aria-label": "Back to the image" }, icon("back")),
                h("h1", {}, "Follow-up"), nameElement(imageId, "name faint")),
            this.note, this.empty, this.content));
    }

    /** Ask the server which images there are, and show two of them. */
    async load() {
        try {
            const path = withQuery("/follow_up", { image: this.imageId });
            const followUp = /** @type {FollowUp} */ (await this.context.client.get(path, { signal: this.stops.signal }));
            if (this.stops.signal.aborted) return;
            this.#showNote(followUp);
            if (followUp.images.length < 2) return this.#showEmpty(...reasonOf(followUp));
            this.#show(followUp);
        } catch (error) {
            if (!this.stops.signal.aborted) this.#showEmpty("The follow-up cannot be shown", messageOf(error));
        }
    }

    /** Leave the page. @returns {boolean} */
    close() {
        this.stops.abort();
        for (const pane of this.panes) pane.close();
        this.plot.close();
        return true;
    }

    /** @param {FollowUp} followUp */
    #showNote({ unread = 0, left_out: leftOut = 0 }) {
        const sentences = [
            unread && `The headers of ${plural(unread, "image")} of the study have not been read yet; open this page again to find more.`,
            leftOut && `${plural(leftOut, "more image")} of this patient ${leftOut === 1 ? "is" : "are"} left out.`,
        ].filter(Boolean);
        this.note.hidden = sentences.length === 0;
        this.note.textContent = sentences.join(" ");
    }

    /** @param {FollowUp} followUp */
    #show(followUp) {
        this.followUp = followUp;
        const { images } = followUp;
        const later = Math.max(1, images.findIndex(({ id }) => id === this.imageId));
        this.empty.hidden = true;
        this.content.hidden = false;
        for (const pane of this.panes) pane.setImages(images);
        this.plot.show(followUp);
        this.chosen = [images[later - 1].id, images[later].id];
        this.#showPane(0);
        this.#showPane(1);
        this.#showTable();
    }

    /** @param {number} side 0 left, 1 right @param {string} id */
    #choose(side, id) {
        this.chosen[side] = id;
        this.#showPane(side);
        this.#showTable();
    }

    /** @param {number} side */
    #showPane(side) {
        const image = this.followUp?.images.find(({ id }) => id === this.chosen[side]);
        if (image) void this.panes[side].show(image);
    }

    #showTable() {
        const [before, after] = this.chosen.map((id) => this.followUp?.images.find((image) => image.id === id));
        if (this.followUp && before && after) this.table.show(this.followUp, before, after);
    }

    /** @param {string} title @param {string} text */
    #showEmpty(title, text) {
        this.content.hidden = true;
        this.empty.hidden = false;
        fill(this.empty, h("h2", {}, title), h("p", {}, text),
            h("a", { class: "button", href: this.context.router.href("image", this.imageId) }, "Back to the image"));
    }
}

/** @param {FollowUp} followUp with fewer than two images @returns {[string, string]} title and sentence */
function reasonOf({ patient }) {
    if (patient === null) {
        return ["The patient is unknown", "Neither the header of the file nor the name of the image says whose it is, so no other image "
            + "of the same patient can be found."];
    }
    return ["There is only one image", "A second image of this patient is needed to compare it with."];
}
