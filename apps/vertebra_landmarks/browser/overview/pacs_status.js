/** What a server of PACS images says of the PACS: whether it answers, and what goes to it. */

import { h } from "../shell/dom.js";

/** @typedef {import("../api/types.js").PacsInfo} PacsInfo */

/** A line below the progress of the study; hidden where the images are not of a PACS. */
export class PacsStatus {
    constructor() {
        this.element = h("p", { class: "pacs-status", role: "status", "data-testid": "pacs", hidden: true });
    }

    /** Whether there is a PACS. */
    get isShown() {
        return !this.element.hidden;
    }

    /** @param {PacsInfo | undefined} pacs */
    show(pacs) {
        const text = pacs?.summary ?? "";
        this.element.hidden = !text;
        this.element.classList.toggle("failing", Boolean(pacs?.is_failing));
        if (text !== this.element.textContent) this.element.textContent = text; // else it would be read out again
    }
}
