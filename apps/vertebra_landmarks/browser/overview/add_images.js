/** Adding images: several files at once, with their progress, one sentence per refusal, and a way to cancel. */

import { isCancelled, messageOf } from "../api/errors.js";
import { plural } from "../shell/format.js";
import { fill, h, icon, nameElement } from "../shell/dom.js";

/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {"waiting"|"sending"|"added"|"refused"|"cancelled"} UploadState */
/**
 * @typedef {object} Upload
 * @property {File} file
 * @property {UploadState} state
 * @property {AbortController} abort
 * @property {HTMLElement} element
 * @property {HTMLProgressElement} progress
 * @property {HTMLElement} note
 * @property {HTMLButtonElement} cancel
 */

/** Files that are sent at once. */
const MAX_UPLOADS = 2;
/** What the file dialog offers; DICOM files may have any name, so that it offers all files, too. */
export const ACCEPT = ".png,.jpg,.jpeg,.tif,.tiff,.bmp,.dcm,.dicom,.nrrd,.nii,.gz,application/dicom,*/*";

/** The panel of uploads, which appears with the first one. */
export class AddImages {
    /**
     * @param {Context} context
     * @param {() => void} onAdded images were added
     */
    constructor(context, onAdded) {
        this.context = context;
        this.onAdded = onAdded;
        /** @type {Upload[]} */
        this.uploads = [];
        this.sending = 0;
        this.input = h("input", {
            type: "file", multiple: true, accept: ACCEPT, class: "visually-hidden", tabindex: "-1", "aria-hidden": "true",
            "data-testid": "files", onchange: () => this.#onChosen(),
        });
        this.button = h("button", {
            type: "button", class: "button", "data-testid": "add-images", onclick: () => this.input.click(),
        }, icon("add"), "Add images");
        this.title = h("h2", { "aria-live": "polite" });
        this.list = h("ul", { class: "uploads", tabindex: "0", "aria-label": "Files" });
        this.closeButton = h("button", { type: "button", class: "button small", onclick: () => this.#close() });
        this.panel = h("section", { class: "upload-panel", "aria-label": "Added images", "data-testid": "uploads", hidden: true },
            h("div", { class: "dialog-head" }, this.title, this.closeButton), this.list);
    }

    /** Whether the user may add images. @returns {boolean} */
    get isAllowed() {
        const { session } = this.context;
        return session.role === null || session.may("annotator");
    }

    /** Show whether the user may add images. */
    refresh() {
        this.button.disabled = !this.isAllowed;
        this.button.title = this.isAllowed ? "Add image files, or drop them on the page" : "Adding images needs the role annotator.";
    }

    /** Whether files wait or are being sent. @returns {boolean} */
    get isBusy() {
        return this.uploads.some(({ state }) => state === "waiting" || state === "sending");
    }

    /** Send files, each under its own name. @param {File[]} files */
    add(files) {
        if (!this.isAllowed) {
            this.context.messages.show("Adding images needs the role annotator.", "error");
            return;
        }
        for (const file of files) {
            const upload = this.#upload(file);
            this.uploads.push(upload);
            this.list.append(upload.element);
        }
        this.panel.hidden = this.uploads.length === 0;
        this.#next();
    }

    /** Cancel what is not yet on the server. */
    cancelAll() {
        for (const upload of this.uploads) this.#cancel(upload);
    }

    #onChosen() {
        this.add([...(this.input.files ?? [])]);
        this.input.value = "";
    }

    #close() {
        if (this.isBusy) {
            this.cancelAll();
            return;
        }
        this.uploads = [];
        fill(this.list);
        this.panel.hidden = true;
        this.button.focus();
    }

    /** @param {File} file @returns {Upload} */
    #upload(file) {
        const progress = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${file.name}` });
        const note = h("p", { class: "upload-note" }, "waiting");
        const cancel = h("button", {
            type: "button", class: "icon-button", "aria-label": `Cancel ${file.name}`, onclick: () => this.#cancel(upload),
        }, icon("close"));
        const element = h("li", { class: "upload" },
            h("div", { class: "upload-text" }, nameElement(file.name), progress, note), cancel);
        /** @type {Upload} */
        const upload = { file, state: "waiting", abort: new AbortController(), element, progress, note, cancel };
        return upload;
    }

    /** @param {Upload} upload */
    #cancel(upload) {
        if (upload.state === "waiting") this.#finish(upload, "cancelled", "Cancelled.");
        else upload.abort.abort();
        this.#showTitle();
    }

    #next() {
        this.#showTitle();
        while (this.sending < MAX_UPLOADS) {
            const upload = this.uploads.find(({ state }) => state === "waiting");
            if (!upload) return;
            void this.#send(upload);
        }
    }

    /** @param {Upload} upload */
    async #send(upload) {
        this.sending += 1;
        upload.state = "sending";
        upload.note.textContent = "sending";
        try {
            const fields = { file: upload.file, params: JSON.stringify({ user: this.context.user() }) };
            const answer = await this.context.client.form("/datastore/image", fields, (done, total) => {
                upload.progress.value = total ? done / total : 0;
                if (total && done >= total) upload.note.textContent = "being checked by the server";
            }, { method: "PUT", signal: upload.abort.signal });
            this.#finish(upload, "added", answer?.image === upload.file.name ? "Added." : `Added as ${answer?.image}.`);
        } catch (error) {
            this.#finish(upload, isCancelled(error) ? "cancelled" : "refused", messageOf(error));
        } finally {
            this.sending -= 1;
            this.#next();
            if (!this.isBusy) this.#onEnd();
        }
    }

    /** @param {Upload} upload @param {UploadState} state @param {string} note */
    #finish(upload, state, note) {
        upload.state = state;
        upload.note.textContent = note;
        upload.element.dataset.state = state;
        upload.progress.hidden = state !== "added";
        upload.progress.value = 1;
        upload.progress.classList.toggle("done", state === "added");
        upload.cancel.hidden = true;
    }

    #onEnd() {
        const counts = this.#counts();
        if (counts.added) this.onAdded();
        const parts = [`${plural(counts.added, "image was", "images were")} added`];
        if (counts.refused) parts.push(`${plural(counts.refused, "was", "were")} refused`);
        if (counts.cancelled) parts.push(`${plural(counts.cancelled, "was", "were")} cancelled`);
        const refused = this.uploads.filter(({ state }) => state === "refused");
        const reason = refused.length === 1 ? ` ${refused[0].file.name}: ${refused[0].note.textContent}` : "";
        this.context.messages.show(`${parts.join(", ")}.${reason}`, counts.refused ? "error" : "info");
    }

    #counts() {
        /** @type {Record<UploadState, number>} */
        const counts = { waiting: 0, sending: 0, added: 0, refused: 0, cancelled: 0 };
        for (const { state } of this.uploads) counts[state] += 1;
        return counts;
    }

    #showTitle() {
        const left = this.#counts().waiting + this.#counts().sending;
        fill(this.title, left ? `Adding ${plural(left, "image")}` : plural(this.uploads.length, "file"));
        fill(this.closeButton, left ? "Cancel all" : "Close");
    }
}
