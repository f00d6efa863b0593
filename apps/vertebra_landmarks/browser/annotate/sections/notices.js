/** What the user should know above all sections: running requests, a lost server, others on the same image. */

import { fill, h } from "../../shell/dom.js";
import { button, setText } from "./controls.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */
/** @typedef {import("../workspace.js").Job} Job */

/** Jobs that are too short to be shown. */
const UNSHOWN = ["next"];

/** Notices at the top of the panel. */
export class Notices {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { workspace } = page;
        this.jobText = h("span", { class: "job-text" });
        this.progress = h("progress", { "aria-label": "Progress" });
        this.job = h("div", { class: "notice job", hidden: true, role: "status" }, this.jobText, this.progress,
            button("Cancel", "Cancel the job. Your work is kept.", () => this.#cancel(), { "data-testid": "cancel-job" }));
        this.lost = h("div", { class: "notice lost", hidden: true, role: "status", "data-testid": "connection" },
            h("span", {}, "The server does not respond. Your work is kept; it is tried again every few seconds."),
            button("Try again", "Ask the server now.", () => void workspace.reconnect(), { "data-testid": "retry" }));
        this.others = h("div", { class: "notice others", hidden: true, role: "status", dir: "auto",
            "data-testid": "presence" });
        this.element = h("div", { class: "notices" }, this.lost, this.others, this.job);
    }

    /** Show what is the case now. */
    refresh() {
        const { workspace, presence } = this.page;
        this.lost.hidden = !workspace.isLost;
        this.others.hidden = !presence.text;
        setText(this.others, presence.text);
        const job = [...workspace.jobs].filter(([name]) => !UNSHOWN.includes(name)).at(-1)?.[1];
        this.job.hidden = !job;
        if (!job) return;
        setText(this.jobText, `${job.description} …`);
        if (job.total) {
            this.progress.max = job.total;
            this.progress.value = job.done;
        } else {
            this.progress.removeAttribute("value");
        }
    }

    #cancel() {
        this.page.workspace.cancel();
        this.page.workspace.refresh();
    }
}

/**
 * A sentence in place of the image, such as why it cannot be shown.
 * @param {HTMLElement} parent
 * @param {string} text
 * @param {() => void} onRetry
 */
export function showInstead(parent, text, onRetry) {
    fill(parent, h("div", { class: "empty", role: "alert" }, h("p", {}, text),
        button("Try again", "Open the image again.", onRetry, { "data-testid": "reopen" })));
}
