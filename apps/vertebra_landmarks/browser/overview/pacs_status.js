/** What a server of PACS images says of the PACS: whether it answers, and what goes to it. */

import { plural } from "../shell/format.js";
import { h } from "../shell/dom.js";

/** @typedef {import("../api/types.js").PacsInfo} PacsInfo */

const REASONS = {
    paused: "Nothing is sent to the PACS now",
    retrying: "The PACS does not take results now; they are sent again",
};

/**
 * The state as a sentence.
 * @param {PacsInfo | undefined} pacs
 * @returns {{text: string, isFailing: boolean} | null} null where the images are not of a PACS
 */
export function pacsSentence(pacs) {
    if (!pacs || pacs.state === "off") return null;
    if (pacs.state === "unavailable") return { text: `The PACS does not answer. ${pacs.message ?? ""}`.trim(), isFailing: true };
    const { sending, waiting = 0, sent = 0, refused = 0 } = pacs;
    const counts = [`${plural(waiting, "result")} to send`, `${sent} sent`, ...(refused ? [`${refused} refused`] : [])].join(", ");
    if (sending === "paused" || sending === "retrying") {
        const why = pacs.last_error ? `: ${pacs.last_error}` : ".";
        return { text: `${REASONS[sending]}${why} ${counts}.`, isFailing: true };
    }
    if (sending === undefined || sending === "off") return { text: "Images of a PACS", isFailing: false };
    return { text: `PACS: ${counts}`, isFailing: refused > 0 };
}

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
        const sentence = pacsSentence(pacs);
        this.element.hidden = sentence === null;
        if (sentence === null || sentence.text === this.element.textContent) return;
        this.element.textContent = sentence.text;
        this.element.classList.toggle("failing", sentence.isFailing);
    }
}
