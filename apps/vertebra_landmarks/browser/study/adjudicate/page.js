/** The page of an adjudicator: two readings of an image over each other, where they differ, and the choice between them. */

import { withQuery } from "../../api/client.js";
import { isCancelled, messageOf, ServerError } from "../../api/errors.js";
import { Heartbeat } from "../../api/heartbeat.js";
import { cssColor, READINGS } from "../../canvas/points/colors.js";
import { RadiographView } from "../../canvas/radiograph_view.js";
import { orientationOf, UPRIGHT } from "../../editor/orientation.js";
import { at, CENTER_INDEX, P, VERTEBRAE } from "../../editor/schema.js";
import { Spine } from "../../editor/spine.js";
import { fill, h, nameElement } from "../../shell/dom.js";
import { plural } from "../../shell/format.js";
import { versionsOf } from "../../shell/study.js";
import { AngleTable } from "./angle_table.js";
import { Choices } from "./choices.js";
import { DifferenceList } from "./difference_list.js";
import { finalText, sentence, shiftText, whyNot } from "./words.js";

/** @typedef {import("../../api/types.js").ImageReadings} ImageReadings */
/** @typedef {import("../../api/types.js").StudyReading} StudyReading */
/** @typedef {import("../../shell/context.js").Context} Context */

const COLORS = READINGS.map(cssColor);
const ZOOM = 1.25;
/** Keys that do nothing while a choice is being stored. */
const DECISIONS = new Set(["1", "2", "M", "E", "Enter", "N"]);
/** @type {import("../../shell/help_sheet.js").HelpSection} */
const HELP = { title: "Adjudicate", rows: [
    ["1 2", "Choose the first or the second reading"], ["M", "Choose the mean of both"], ["E", "Edit what is chosen"],
    ["Enter", "Confirm: it becomes the final label"], ["↑ ↓", "Next or previous difference"], ["N", "Another image"],
    ["L", "Show or hide the outlines"], ["+ -", "Zoom in or out"], ["0", "Show the whole image"],
] };

/**
 * Open the readings of an image.
 * @param {HTMLElement} container empty
 * @param {string} imageId
 * @param {Context} context
 * @returns {import("../../shell/router.js").Page}
 */
export function openAdjudicate(container, imageId, context) {
    const page = new AdjudicatePage(container, imageId, context);
    void page.open();
    return { close: () => Promise.resolve(page.close()) };
}

class AdjudicatePage {
    /** @type {ImageReadings | null} */
    #found = null;
    /** Both readings, and their mean where there is one. @type {Spine[]} */
    #spines = [];
    #areOutlinesShown = true;
    #isBusy = false;
    #ending = new AbortController();

    /** @param {HTMLElement} container @param {string} imageId @param {Context} context */
    constructor(container, imageId, context) {
        this.imageId = imageId;
        this.context = context;
        this.stage = h("div", { class: "stage" });
        this.notice = h("div", { class: "reading-banner", role: "status", "data-kind": "adjudication", "data-testid": "adjudication" });
        this.skip = h("button", { type: "button", class: "button small", "data-testid": "skip", onclick: () => void this.#skip(),
            title: "Leave this image for later, and open another one (N)." }, "Another image");
        this.shift = h("p", { class: "names-shift", role: "alert", hidden: true, "data-testid": "names-shift" });
        this.differences = new DifferenceList((vertebra) => this.#zoomTo(vertebra));
        this.angles = new AngleTable();
        this.choices = new Choices({ onChoose: () => this.#draw(), onConfirm: () => void this.#confirm(), onEdit: () => this.#edit() });
        this.dock = h("div", { class: "dock", hidden: true }, this.angles.element, this.choices.element);
        const panel = h("aside", { class: "panel", "aria-label": "Adjudication" }, this.notice, this.shift,
            h("div", { class: "sections" }, this.differences.element), this.dock);
        container.append(h("div", { class: "annotate adjudicate" }, this.stage, panel));
        this.view = new RadiographView(this.stage);
        this.view.setLocked(true);
        this.view.setLayers({ centers: false, corners: false, outlines: false, endplates: false, names: false });
        this.view.element.dataset.testid = "canvas";
        this.view.element.setAttribute("role", "img");
        this.view.element.setAttribute("aria-label", `Radiograph ${imageId} with the outlines of its readings`);
        this.heartbeat = new Heartbeat(context.client, imageId, () => ({ user: context.user(), edits: 0 }));
        context.setHelp([HELP]);
        document.addEventListener("keydown", (event) => this.#onKey(event), { signal: this.#ending.signal });
        this.#showNotice("Loading the readings", "");
    }

    /** Load and show the image with its readings. */
    async open() {
        this.heartbeat.start();
        const { client, study } = this.context;
        const { signal } = this.#ending;
        try {
            const [image, found] = await Promise.all([client.pixels(this.imageId, { signal }), this.#fetch(), study.ready]);
            if (signal.aborted) return;
            const { orientation, pixel_aspect: pixelAspect } = image.facts;
            this.view.show({ ...image, orientation: orientation ?? UPRIGHT, pixelAspect });
            this.image = image;
            this.#show(found);
        } catch (error) {
            if (!signal.aborted) this.#showFailure(messageOf(error));
        }
    }

    /** Leave the page. @returns {boolean} */
    close() {
        this.#ending.abort();
        this.heartbeat.stop();
        this.view.destroy();
        return true;
    }

    /** @returns {Promise<ImageReadings>} */
    #fetch() {
        return this.context.client.get(withQuery("/readings", { image: this.imageId }), { signal: this.#ending.signal });
    }

    /** @param {ImageReadings} found */
    #show(found) {
        const independent = found.readings.filter(({ kind }) => kind !== "repeat").slice(0, 2);
        const isChoice = this.context.study.isAdjudicator && independent.length === 2;
        this.#found = isChoice ? { ...found, readings: independent } : null;
        this.dock.hidden = !isChoice;
        this.differences.element.hidden = !isChoice;
        if (!this.#found || !this.image) return this.#showNotice("Nothing to choose from", whyNot(this.context.study, independent.length));
        const [first, second] = independent;
        const mean = found.mean?.landmarks.length ? [found.mean.landmarks] : [];
        this.#spines = [first.landmarks, second.landmarks, ...mean].map((landmarks) => Spine.fromLandmarks(landmarks));
        const { width, height, facts } = this.image;
        this.view.setOrientation(orientationOf(this.#spines[0].xy, width, height, facts.orientation ?? UPRIGHT));
        const shift = shiftText(this.#found);
        this.shift.hidden = !shift;
        this.shift.textContent = shift;
        this.angles.show(first, second, COLORS, found.angle_difference_deg);
        this.differences.show(found.differences, (vertebra) => this.#ownerOf(vertebra));
        this.choices.show(independent, found.mean, COLORS);
        const { to_adjudicate: left = 0 } = this.context.study.status?.progress ?? {};
        const before = found.final && `Its final label is ${finalText(found)}; a new choice replaces it.`;
        this.#showNotice("Adjudication", before || `Choose the final label. ${plural(left, "image")} to adjudicate.`);
        this.#draw();
    }

    /** @param {string} vertebra */
    #ownerOf(vertebra) {
        const has = (/** @type {Spine} */ spine) => {
            const first = at(VERTEBRAE.indexOf(vertebra), CENTER_INDEX);
            return spine.visible.subarray(first, first + P).some(Boolean);
        };
        const index = this.#spines.slice(0, 2).findIndex(has);
        return this.#found?.readings[index]?.reader || "nobody known";
    }

    #draw() {
        const { chosen } = this.choices;
        const found = this.#found;
        if (!found) return;
        const index = chosen === "mean" ? 2 : chosen;
        const shown = this.#areOutlinesShown ? this.#spines : [];
        const readings = shown.map((spine, i) => ({ xy: spine.visibleXy, color: COLORS[i], isDashed: i === 1,
            namesAt: /** @type {const} */ (["left", "right", ""])[i], isChosen: i === index }));
        const isShown = (/** @type {unknown} */ _, /** @type {number} */ i) => i < 2 || index === 2;
        const vertebra = found.differences[this.differences.selected]?.vertebra;
        this.view.setComparison(readings.filter(isShown), vertebra ? VERTEBRAE.indexOf(vertebra) : null);
        const measured = index === null ? null : index === 2 ? found.mean?.measured ?? null : found.readings[index].measured;
        this.view.setMeasurement(this.#areOutlinesShown ? measured : null);
    }

    /** @param {string} vertebra */
    #zoomTo(vertebra) {
        const v = VERTEBRAE.indexOf(vertebra);
        const spine = this.#spines.find(({ visible }) => visible.subarray(at(v, CENTER_INDEX), at(v, CENTER_INDEX) + P).some(Boolean));
        if (spine) this.view.zoomTo(v, spine.visibleXy);
        this.#draw();
    }

    async #confirm() {
        const { chosen } = this.choices;
        const found = this.#found;
        if (chosen === null || !found || this.#isBusy) return;
        const { client, messages } = this.context;
        const versions = versionsOf(found);
        const seen = found.final?.version ?? found.readings.find(({ tag }) => tag === "final")?.version ?? 0;
        const path = `${withQuery("/readings/adjudicate", { image: this.imageId })}&base_version=${seen}`;
        const { text } = this.choices;
        const take = chosen === "mean" ? "mean" : found.readings[chosen].number;
        await this.#busy(async () => {
            try {
                await client.post(path, { take, versions, user: this.context.user() });
            } catch (error) {
                return this.#onRefused(error);
            }
            const stored = `${this.imageId}: the final label is ${text}.`;
            messages.show(stored);
            try {
                await this.#next();
            } catch (error) {
                if (isCancelled(error)) return;
                messages.show(`${stored} But the next image cannot be opened. ${messageOf(error)}`, "error");
                await this.#showAgain();
            }
        });
    }

    /** Another adjudicator or a reader was faster: show what is there now. @param {unknown} error */
    async #onRefused(error) {
        this.context.messages.show(messageOf(error), "error");
        if (error instanceof ServerError && error.kind === "conflict") await this.#showAgain();
    }

    /** Show what is there now; where the server does not answer, what was said before stays. */
    async #showAgain() {
        if (this.#ending.signal.aborted) return;
        try {
            this.#show(await this.#fetch());
        } catch { /* the message stays */ }
    }

    /** Do something during which nothing else is chosen. @param {() => Promise<unknown>} work */
    async #busy(work) {
        if (this.#isBusy) return;
        this.#setBusy(true);
        try {
            await work();
        } finally {
            this.#setBusy(false);
        }
    }

    /** @param {boolean} isBusy */
    #setBusy(isBusy) {
        this.#isBusy = isBusy;
        if (this.#ending.signal.aborted) return;
        this.choices.refresh(isBusy);
        this.skip.disabled = isBusy;
    }

    /** Open the next image to adjudicate; where none is left, show what became of this one. */
    async #next() {
        const { study, router, messages } = this.context;
        const found = await study.next("", this.#ending.signal);
        if (found.image && found.image !== this.imageId) return router.go("adjudicate", found.image);
        if (!found.image) messages.show(found.sentence ?? "There is nothing left to adjudicate now.");
        await study.load();
        if (!this.#ending.signal.aborted) this.#show(await this.#fetch());
    }

    /** Leave this image to somebody else, or for later. */
    async #skip() {
        const { study, router, messages } = this.context;
        await this.#busy(async () => {
            try {
                await study.release(this.imageId);
                const found = await study.next("", this.#ending.signal);
                if (found.image && found.image !== this.imageId) router.go("adjudicate", found.image);
                else messages.show(found.image ? "No other image waits." : found.sentence ?? "There is nothing left to adjudicate now.");
            } catch (error) {
                if (!isCancelled(error)) messages.show(messageOf(error), "error");
            }
        });
    }

    #edit() {
        const { chosen } = this.choices;
        if (!this.#found) return;
        if (chosen === null) return this.context.messages.show("Choose the reading to edit first: 1, 2 or M.");
        this.context.router.go("image", this.imageId, chosen === "mean" ? "mean" : String(this.#found.readings[chosen].number));
    }

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
        const target = event.target instanceof Element ? event.target : document.body;
        if (event.key === "Enter" && target.matches("a, button:not(.choice, .difference)")) return; // the control's own
        const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
        const action = this.#actions()[key];
        if (!action) return;
        event.preventDefault();
        if (!(this.#isBusy && DECISIONS.has(key))) action();
    }

    /** @returns {Record<string, () => unknown>} */
    #actions() {
        const { choices, differences, view } = this;
        return {
            1: () => choices.choose(0),
            2: () => choices.choose(1),
            M: () => choices.choose("mean") || (this.#found?.mean?.sentence && this.context.messages.show(sentence(this.#found.mean.sentence))),
            E: () => this.#edit(),
            Enter: () => void this.#confirm(),
            ArrowDown: () => differences.move(1),
            ArrowUp: () => differences.move(-1),
            N: () => void this.#skip(),
            L: () => {
                this.#areOutlinesShown = !this.#areOutlinesShown;
                this.#draw();
            },
            "+": () => view.zoomBy(ZOOM),
            "=": () => view.zoomBy(ZOOM),
            "-": () => view.zoomBy(1 / ZOOM),
            0: () => view.fit(),
        };
    }

    /** @param {string} title @param {string} text */
    #showNotice(title, text) {
        fill(this.notice, h("div", { class: "banner-head" }, h("h1", {}, title), this.#found && this.skip), nameElement(this.imageId),
            text && h("p", {}, text), h("a", { href: this.context.router.href("study") }, "All images to adjudicate"));
    }

    /** @param {string} text */
    #showFailure(text) {
        fill(this.stage, h("div", { class: "empty", role: "alert" }, h("p", {}, text),
            h("button", { type: "button", class: "button", onclick: () => void this.context.router.reload() }, "Try again")));
        this.#showNotice("This image cannot be shown", "");
    }
}
