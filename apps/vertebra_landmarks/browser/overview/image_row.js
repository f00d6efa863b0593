/** One row of the list of images. */

import { agoText, angleText, dateText, dateTimeText, durationText, plural } from "../shell/format.js";
import { fill, h, nameElement } from "../shell/dom.js";
import { hrefOf } from "../shell/router.js";

/** @typedef {import("../api/types.js").ImageRow} Image */

/** Height of a row in CSS pixels; the style sheet says the same. */
export const ROW_HEIGHT = 64;
/**
 * Doubt from which it is called so. It is the entropy of the heatmaps plus the disagreement of views: of 20 radiographs of
 * the AASCE collection, the least had 0.43, half more than 0.49, a quarter more than 0.54 and two more than 0.62.
 * @type {[number, string][]}
 */
const DOUBT_WORDS = [[0.6, "high"], [0.5, "medium"], [0, "low"]];
/** Doubts at the ends of the bar. */
const [MIN_DOUBT, MAX_DOUBT] = [0.4, 0.8];
/** In a study: how far an image is for the user. @type {Record<NonNullable<Image["reading"]>, string>} */
const READING_TEXTS = { "to read": "To read", "yours, open": "Yours, open", read: "Read", "to adjudicate": "To adjudicate", final: "Final" };
const STATE_TEXTS = { unlabelled: "Unlabelled", predicted: "Predicted", labelled: "Labelled", unreadable: "Unreadable" };

/** Doubt in a word. @param {number} doubt see `ImageRow` of the types */
export function doubtWord(doubt) {
    return DOUBT_WORDS.find(([least]) => doubt >= least)?.[1] ?? "low";
}

/** Length of the bar. @param {number} doubt */
function doubtPercent(doubt) {
    return Math.max(6, Math.min(100, (100 * (doubt - MIN_DOUBT)) / (MAX_DOUBT - MIN_DOUBT)));
}

let rowsMade = 0;

/** A row whose elements are made once and show one image after the other. */
export class ImageRow {
    /**
     * @param {(image: Image) => import("../shell/router.js").PageName} pageOf where an image is opened
     * @param {(image: Image) => void} onOpen the row was clicked
     */
    constructor(pageOf, onOpen) {
        this.pageOf = pageOf;
        /** @type {Image|null} */
        this.image = null;
        this.thumbnail = h("img", { alt: "", class: "thumbnail", draggable: "false", hidden: true });
        this.link = h("a", { class: "list-name", tabindex: "-1", draggable: "false" });
        this.suffix = h("span", { class: "suffix" });
        this.details = h("span", { class: "row-details" });
        this.dot = h("span", { class: "dot" });
        this.state = h("span", { class: "state-text" });
        this.stateDetails = h("span", { class: "row-details sentence" });
        this.doubtFill = h("span", { class: "doubt-fill" });
        this.doubt = h("span", { class: "doubt-word" });
        this.angle = cell("number angle");
        this.added = cell("added faint");
        this.element = h("div", { role: "row", class: "image-row", id: `image-row-${rowsMade++}` },
            cell("thumb", this.thumbnail),
            cell("", h("span", { class: "name-line" }, this.link, this.suffix), this.details),
            cell("state", h("span", { class: "state-line" }, this.dot, this.state), this.stateDetails),
            cell("doubt", h("span", { class: "doubt-bar", "aria-hidden": "true" }, this.doubtFill), this.doubt),
            this.angle,
            this.added);
        this.element.addEventListener("click", (event) => {
            if (this.image && !(event.target instanceof Element && event.target.closest("a"))) onOpen(this.image);
        });
    }

    /**
     * Show an image.
     * @param {Image|undefined} image undefined while it is being fetched
     * @param {string|undefined} url of its thumbnail; undefined while it is being fetched, "" where there is none
     */
    show(image, url) {
        this.image = image ?? null;
        this.element.classList.toggle("loading", !image);
        this.#showThumbnail(image ? url : undefined);
        if (!image) return this.#clear();
        this.link.href = hrefOf(this.pageOf(image), image.id);
        this.link.dataset.testid = `open-${image.id}`;
        if (this.link.textContent !== image.id) fill(this.link, nameElement(image.id));
        this.suffix.textContent = hasOwnName(image) ? "" : image.file.slice(image.id.length);
        this.#showState(image);
        this.#showDoubt(image.doubt);
        this.angle.textContent = image.largest_angle_deg === null ? "" : angleText(image.largest_angle_deg);
        this.added.textContent = image.added_at === null ? "" : dateText(image.added_at);
        fill(this.details, ...detailsOf(image));
    }

    /** @param {string|undefined} url */
    #showThumbnail(url) {
        if (url === (this.thumbnail.getAttribute("src") ?? undefined)) return;
        if (url) this.thumbnail.src = url;
        else this.thumbnail.removeAttribute("src");
        this.thumbnail.hidden = !url;
    }

    #clear() {
        this.link.removeAttribute("href");
        delete this.link.dataset.testid;
        for (const element of [this.link, this.suffix, this.details, this.state, this.stateDetails, this.doubt, this.angle, this.added]) {
            fill(element);
        }
        this.dot.dataset.state = "";
        this.doubtFill.style.width = "0";
    }

    /** @param {Image} image */
    #showState(image) {
        const reading = image.state === "unreadable" ? undefined : image.reading;
        this.dot.dataset.state = reading ?? image.state;
        const word = reading ? READING_TEXTS[reading] : STATE_TEXTS[image.state];
        if (image.state === "labelled") {
            fill(this.state, word, image.user && " by ", image.user && nameElement(image.user));
            fill(this.stateDetails, [
                image.labelled_at === null ? "" : agoText(image.labelled_at),
                image.seconds === null ? "" : durationText(image.seconds),
                image.edits === null ? "" : plural(image.edits, "edit"),
            ].filter(Boolean).join(" · "));
            this.stateDetails.title = image.labelled_at === null ? "" : dateTimeText(image.labelled_at);
        } else {
            fill(this.state, word);
            fill(this.stateDetails, reading && image.state === "predicted" && "with the model's points");
            this.stateDetails.title = "";
        }
    }

    /** @param {number|null} doubt */
    #showDoubt(doubt) {
        this.doubtFill.style.width = doubt === null ? "0" : `${doubtPercent(doubt)}%`;
        this.doubtFill.dataset.doubt = doubt === null ? "" : doubtWord(doubt);
        this.doubt.textContent = doubt === null ? "" : doubtWord(doubt);
        this.doubt.title = doubt === null ? "" : `Doubt of the model: ${doubt.toFixed(2)}`;
    }
}

/** @param {Image} image */
function detailsOf(image) {
    const users = (image.opened_by ?? []).filter(Boolean);
    if (users.length) return [h("span", { class: "open-mark" }, "open: "), nameElement(users.join(", "))];
    if (image.opened_by?.length) return [h("span", { class: "open-mark" }, "open now")];
    return hasOwnName(image) ? [nameElement(image.file)] : [];
}

/** Whether the file is called otherwise than the image. @param {Image} image */
function hasOwnName(image) {
    return !image.file.startsWith(image.id);
}

/** @param {string} className @param {...import("../shell/dom.js").Child} children */
function cell(className, ...children) {
    return h("div", { role: "gridcell", class: `cell ${className}` }, ...children);
}
