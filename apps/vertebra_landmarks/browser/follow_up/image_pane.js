/** One of the two images: shown with points and lines, which cannot be changed here. */

import { isCancelled, messageOf } from "../api/errors.js";
import { withQuery } from "../api/client.js";
import { fill, h, nameElement } from "../shell/dom.js";
import { measureBody, pointsOf } from "./stored_points.js";

/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {import("../api/types.js").FollowUpImage} FollowUpImage */
/** @typedef {import("./stored_points.js").StoredLandmarks} StoredLandmarks */

const STATES = { unlabelled: "not labelled", predicted: "predicted, not confirmed by a person", labelled: "labelled", unreadable: "unreadable" };

/** A view with a choice of the patient's images. */
export class ImagePane {
    /**
     * @param {Context} context
     * @param {string} name of the pane, such as "Earlier image"
     * @param {string} testId
     * @param {(id: string) => void} onChoose another image was chosen
     */
    constructor(context, name, testId, onChoose) {
        this.context = context;
        this.select = h("select", { class: "select", "aria-label": name, "data-testid": `${testId}-choice` });
        this.select.addEventListener("change", () => onChoose(this.select.value));
        this.note = h("p", { class: "pane-note" });
        this.frame = h("div", { class: "pane-view", "data-testid": `${testId}-view` });
        this.status = h("p", { class: "pane-status", role: "status" });
        this.openLink = h("a", { class: "button small" }, "Open");
        this.element = h("section", { class: "pane", "aria-label": name, "data-testid": testId },
            h("div", { class: "pane-head" }, this.select, this.openLink), this.note,
            h("div", { class: "pane-frame" }, this.frame, this.status));
        /** @type {import("../canvas/radiograph_view.js").RadiographView|null} */
        this.view = null;
        this.request = new AbortController();
    }

    /** Offer the images. @param {FollowUpImage[]} images by date */
    setImages(images) {
        fill(this.select, ...images.map((image) => h("option", { value: image.id, dir: "auto" },
            image.date ? `${image.date} · ${image.id}` : image.id)));
    }

    /** Show an image. @param {FollowUpImage} image */
    async show(image) {
        this.request.abort();
        this.request = new AbortController();
        const { signal } = this.request;
        this.select.value = image.id;
        this.openLink.href = this.context.router.href("image", image.id);
        this.openLink.setAttribute("aria-label", `Open ${image.id}`);
        fill(this.note, nameElement(image.id), h("span", { class: "faint" }, [
            STATES[image.state], image.date && image.date_source ? `date from ${image.date_source}` : ""].filter(Boolean).join(" · ")));
        this.status.textContent = "Loading the image";
        try {
            await this.#load(image.id, signal);
            if (!signal.aborted) this.status.textContent = "";
        } catch (error) {
            if (!isCancelled(error) && !signal.aborted) this.status.textContent = messageOf(error);
        }
    }

    /** Release everything. */
    close() {
        this.request.abort();
        this.view?.destroy();
    }

    /** @param {string} id @param {AbortSignal} signal */
    async #load(id, signal) {
        const { client } = this.context;
        const [{ RadiographView }, radiograph, stored] = await Promise.all([
            import("../canvas/radiograph_view.js"), client.pixels(id, { signal }), this.#landmarks(id, signal),
        ]);
        if (signal.aborted) return;
        if (this.view === null) {
            this.view = new RadiographView(this.frame);
            this.view.setLocked(true);
            this.view.setLayers({ corners: false, centers: false });
        }
        const { width, height, data, facts } = radiograph;
        const orientation = stored?.origin?.orientation ?? facts.orientation;
        this.view.show({ width, height, data, orientation, pixelAspect: facts.pixel_aspect });
        this.view.element.setAttribute("aria-label", `Radiograph ${id} with outlines and Cobb lines`);
        this.view.element.setAttribute("role", "img");
        if (stored === null) return;
        this.view.setPoints(pointsOf(stored.landmarks));
        const measured = await client.post("/measure", measureBody(stored, facts), { signal });
        if (!signal.aborted) this.view.setMeasurement(measured);
    }

    /** The label, else the stored prediction. @param {string} id @param {AbortSignal} signal @returns {Promise<StoredLandmarks|null>} */
    async #landmarks(id, signal) {
        for (const tag of ["final", "original"]) {
            const query = withQuery("/landmarks", { image: id, tag, missing_ok: true });
            const stored = await this.context.client.get(query, { signal });
            if (stored) return stored;
        }
        return null;
    }
}
