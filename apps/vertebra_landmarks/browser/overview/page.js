/** The overview: the images of the study, how far it is, and what comes next. */

import { messageOf } from "../api/errors.js";
import { fill, h, icon } from "../shell/dom.js";
import { AddImages } from "./add_images.js";
import { DraftList } from "./draft_list.js";
import { droppedFiles, MAX_DROPPED } from "./dropped_files.js";
import { ImagePages } from "./image_pages.js";
import { ImageRow, ROW_HEIGHT } from "./image_row.js";
import { ListHead } from "./list_head.js";
import { NextImage } from "./next_image.js";
import { PacsStatus } from "./pacs_status.js";
import { ReaderStrip, StudyProgress } from "./study_progress.js";
import { Thumbnails } from "./thumbnails.js";
import { Toolbar } from "./toolbar.js";
import { VirtualList } from "./virtual_list.js";

/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {import("./image_pages.js").Query} Query */
/** @typedef {import("../api/types.js").ImageRow} Image */

/** How often the rows in view are fetched again, in milliseconds: others work on the study, too. */
const REFRESH_INTERVAL_MS = 15000;
/** The list as it was left, for the way back. @type {{query: Query, scrollTop: number, selected: number}} */
const left = { query: { search: "", state: "all", sort: "name", descending: false }, scrollTop: 0, selected: 0 };

/**
 * Open the overview.
 * @param {HTMLElement} container empty
 * @param {Context} context
 * @returns {import("../shell/router.js").Page}
 */
export function openOverview(container, context) {
    const page = new OverviewPage(container, context);
    return { close: () => page.close() };
}

/** Where an image is opened. @param {import("../api/types.js").ImageRow} image @param {Context} context */
function pageOf({ reading }, { study }) {
    return study.isAdjudicator && reading === "to adjudicate" ? "adjudicate" : "image";
}

class OverviewPage {
    /** @param {HTMLElement} container @param {Context} context */
    constructor(container, context) {
        this.context = context;
        this.container = container;
        this.isClosed = false;
        this.stops = new AbortController();
        /** @type {[number, number]} */
        this.view = [0, 0];
        this.images = new ImagePages(context.client, { onChange: () => this.#onRows(), onError: (error) => this.#onError(error) });
        this.thumbnails = new Thumbnails(context.client, () => this.list.refresh());
        this.progress = new StudyProgress();
        this.pacs = new PacsStatus();
        this.progress.element.append(this.pacs.element);
        this.readers = new ReaderStrip();
        this.next = new NextImage(context);
        this.add = new AddImages(context, () => this.#reload());
        this.drafts = new DraftList(context);
        this.toolbar = new Toolbar(left.query, (change) => this.#setQuery(change));
        this.head = new ListHead(left.query, (order) => this.#setQuery(order));
        this.body = h("div", { role: "rowgroup", class: "list-body" });
        this.empty = h("div", { class: "empty", hidden: true, "data-testid": "empty" });
        this.grid = h("div", {
            role: "grid", class: "image-list", tabindex: "0", "aria-label": "Images", "aria-rowcount": "1", "data-testid": "image-list",
        }, this.head.element, this.body);
        fill(container, h("div", { class: "overview" },
            h("div", { class: "overview-head" },
                h("h1", { class: "visually-hidden" }, "Images"),
                this.progress.element,
                h("div", { class: "overview-actions" }, this.add.button, this.add.input, this.next.element)),
            this.readers.element, this.drafts.element, this.toolbar.element,
            h("div", { class: "list-frame" }, this.grid, this.empty)),
        this.add.panel, h("div", { class: "drop-hint", "aria-hidden": "true" }, icon("upload"), "Drop image files to add them"));
        this.list = new VirtualList(this.grid, this.body, ROW_HEIGHT, {
            create: () => new ImageRow((image) => pageOf(image, context), (image) => context.router.go(pageOf(image, context), image.id)),
            update: (row, index) => this.#showRow(row, index),
            onView: (first, last) => this.#onView(first, last),
            onOpen: (index) => this.#open(index),
        });
        this.#start();
        if (context.router.page !== null) this.grid.focus({ preventScroll: true }); // on the way back
    }

    /** Leave the page, unless uploads run and the user wants to wait for them. @returns {Promise<boolean>} */
    async close() {
        if (this.add.isBusy) {
            const answer = await this.context.messages.ask("Images are still being added. Leaving this page cancels them.", [
                { label: "Stay", value: "stay", kind: "primary" }, { label: "Cancel them and leave", value: "leave", kind: "danger" },
            ]);
            if (answer !== "leave") return false;
        }
        this.isClosed = true;
        left.scrollTop = this.grid.scrollTop;
        left.selected = this.list.selected;
        this.stops.abort();
        this.add.cancelAll();
        this.images.cancel();
        this.toolbar.close();
        this.list.close();
        this.thumbnails.close();
        return true;
    }

    #start() {
        const { context } = this;
        this.isRestoring = true;
        this.images.setQuery(left.query);
        context.setHelp([{ title: "Images", rows: [
            ["↑ ↓", "Move in the list"], ["PgUp PgDn", "Move by a page"], ["Home End", "First and last image"],
            ["Enter", "Open the image"], ["/", "Search"], ["N", "Next image to label; in a study, your next one"], ["A", "Add images"],
        ] }]);
        const options = { signal: this.stops.signal };
        context.session.onChange(() => this.#onSession(), options.signal);
        context.study.onChange(() => {
            this.#onSession();
            void this.drafts.load(); // whose drafts are shown depends on the plan
        }, options.signal);
        if (context.router.page !== null) void context.study.load(); // on the way back: others work on it, too
        this.#onSession();
        void context.session.loadInfo().catch(() => {}); // the list says it where the server does not respond
        void this.drafts.load();
        const timer = setInterval(() => this.#refreshView(), REFRESH_INTERVAL_MS);
        options.signal.addEventListener("abort", () => clearInterval(timer));
        window.addEventListener("online", () => { if (this.images.total === null) this.#retry(); }, options);
        document.addEventListener("keydown", (event) => this.#onKey(event), options);
        this.container.addEventListener("dragover", (event) => this.#onDrag(event), options);
        this.container.addEventListener("dragleave", (event) => {
            if (event.target === event.currentTarget || !event.relatedTarget) delete this.container.dataset.dropping;
        }, options);
        this.container.addEventListener("drop", (event) => void this.#onDrop(event), options);
    }

    #onSession() {
        this.pacs.show(this.context.session.info?.pacs);
        this.readers.show(this.context.study);
        this.next.refresh();
        this.add.refresh();
    }

    /** @param {Partial<Query>} change */
    #setQuery(change) {
        left.query = { ...left.query, ...change };
        left.scrollTop = 0;
        left.selected = 0;
        this.isRestoring = true;
        this.head.show(left.query);
        this.images.setQuery(left.query);
    }

    #reload() {
        if (!this.isClosed) this.images.setQuery(left.query);
    }

    #refreshView() {
        if (document.visibilityState === "visible" && this.pacs.isShown) void this.context.session.loadInfo().catch(() => {});
        if (document.visibilityState === "visible" && this.images.total !== null) void this.images.refresh(...this.view);
    }

    #onRows() {
        const { total, counts } = this.images;
        if (counts) {
            this.progress.show(counts);
            this.toolbar.setCounts(counts);
        }
        if (total === null || this.isClosed) return;
        this.grid.setAttribute("aria-rowcount", String(total + 1));
        this.list.setCount(total);
        if (this.isRestoring) {
            this.isRestoring = false;
            this.grid.scrollTop = left.scrollTop;
            this.list.select(Math.min(left.selected, total - 1));
            this.grid.scrollTop = left.scrollTop;
        }
        this.#showEmpty(total === 0);
    }

    /** @param {boolean} isEmpty */
    #showEmpty(isEmpty) {
        this.empty.hidden = !isEmpty;
        this.grid.hidden = isEmpty;
        if (!isEmpty) return;
        const isFiltered = left.query.search !== "" || left.query.state !== "all";
        fill(this.empty, h("h2", {}, isFiltered ? "No image matches" : "There are no images yet"),
            h("p", {}, isFiltered
                ? "Change the search or the filter above."
                : "Drop radiographs on this page: DICOM, PNG, JPEG, TIFF, BMP, NRRD or NIfTI. Images that are copied into the "
                    + "studies folder of the server appear here, too."));
    }

    /** @param {unknown} error */
    #onError(error) {
        if (this.isClosed) return;
        const { messages } = this.context;
        if (this.images.total !== null) return messages.show(messageOf(error), "error");
        this.grid.hidden = true;
        this.empty.hidden = false;
        fill(this.empty, h("h2", {}, "The images cannot be shown"), h("p", {}, messageOf(error)),
            h("button", { type: "button", class: "button primary", onclick: () => this.#retry() }, "Try again"));
    }

    #retry() {
        this.empty.hidden = true;
        this.#reload();
    }

    /** @param {ImageRow} row @param {number} index */
    #showRow(row, index) {
        const image = this.images.row(index);
        row.show(image, image && image.state !== "unreadable" ? this.thumbnails.url(image.id) : "");
    }

    /** @param {number} first @param {number} last */
    #onView(first, last) {
        this.view = [first, last];
        if (last < first) return;
        this.images.want(first, last);
        const shown = Array.from({ length: last - first + 1 }, (_, index) => this.images.row(first + index));
        this.thumbnails.want(shown.flatMap((image) => image && image.state !== "unreadable" ? [image.id] : []));
    }

    /** @param {number} index */
    #open(index) {
        const image = this.images.row(index);
        if (image) this.context.router.go(pageOf(image, this.context), image.id);
    }

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
        const isTyping = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
        if (document.querySelector("dialog[open]") || !isPlain) return;
        if (event.key === "Escape" && event.target === this.toolbar.search) this.grid.focus();
        if (event.key === "Enter" && event.target === this.toolbar.search) this.grid.focus();
        if (isTyping) return;
        if (event.target === document.body && /^(Arrow(Up|Down)|Page(Up|Down)|Home|End|Enter)$/.test(event.key)) {
            event.preventDefault();
            this.grid.focus();
        } else if (event.key === "/") {
            event.preventDefault();
            this.toolbar.search.focus();
        } else if (event.key === "n" || event.key === "N") void this.next.open();
        else if (event.key === "a" || event.key === "A") this.add.button.click();
    }

    /** @param {DragEvent} event */
    #onDrag(event) {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = this.add.isAllowed ? "copy" : "none";
        this.container.dataset.dropping = "";
    }

    /** @param {DragEvent} event */
    async #onDrop(event) {
        delete this.container.dataset.dropping;
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        const files = await droppedFiles(event.dataTransfer);
        this.add.add(files);
        if (files.length === MAX_DROPPED) {
            this.context.messages.show(`Only the first ${MAX_DROPPED} files are added; copy more into the studies folder.`, "error");
        }
    }
}
