/**
 * Pages by the hash of the address: `#/`, `#/image/ID`, `#/image/ID?reading=2`, `#/adjudicate/ID`, `#/follow-up/ID`,
 * `#/training`, `#/study`, `#/agreement`.
 */

/** @typedef {"overview"|"image"|"adjudicate"|"follow-up"|"training"|"study"|"agreement"} PageName */
/**
 * @typedef {object} Route
 * @property {PageName} page
 * @property {string} id of an image; "" for pages without one
 * @property {string} [reading] that an adjudicator edits: its number, or "mean"
 */
/** @typedef {{close: () => Promise<boolean>}} Page close returns false where the page wants to stay */

/** @type {Record<PageName, string>} */
const SEGMENTS = { overview: "", image: "image", adjudicate: "adjudicate", "follow-up": "follow-up", training: "training",
    study: "study", agreement: "agreement" };
/** @type {PageName[]} */
const WITHOUT_IMAGE = ["training", "study", "agreement"];
/** @type {PageName[]} */
const WITH_IMAGE = ["image", "adjudicate", "follow-up"];

/**
 * The address of a page.
 * @param {PageName} page
 * @param {string} [id] of an image
 * @param {string} [reading] see `Route`
 * @returns {string} beginning with "#/"
 */
export function hrefOf(page, id = "", reading = "") {
    const wellFormed = id.replace(/\p{Surrogate}/gu, "\uFFFD"); // else encodeURIComponent throws
    return `#/${SEGMENTS[page]}${id ? `/${encodeURIComponent(wellFormed)}` : ""}${reading ? `?reading=${reading}` : ""}`;
}

/** The page of an address; the overview for unknown ones. @param {string} hash @returns {Route} */
export function routeOf(hash) {
    const [, segment = "", encoded = "", reading = ""] = /^#\/([^/]*?)(?:\/(.*?))?(?:\?reading=(\d+|mean))?$/s.exec(hash) ?? [];
    const id = decoded(encoded);
    const isOf = (/** @type {PageName[]} */ pages) => pages.find((page) => SEGMENTS[page] === segment);
    const withImage = id ? isOf(WITH_IMAGE) : undefined;
    if (withImage) return reading ? { page: withImage, id, reading } : { page: withImage, id };
    return { page: isOf(WITHOUT_IMAGE) ?? "overview", id: "" };
}

/** @param {string} text @returns {string} "" where it is malformed */
function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return "";
    }
}

/** Opens the page of the address, one at a time, after the one before has agreed to close. */
export class Router {
    /**
     * @param {Window} window
     * @param {(route: Route) => Promise<Page>} open opens a page
     */
    constructor(window, open) {
        this.window = window;
        this.openPage = open;
        /** @type {Page|null} */
        this.page = null;
        /** @type {Route|null} */
        this.route = null;
        this.shownHash = "";
        this.isBusy = false;
        this.isStale = false;
        window.addEventListener("hashchange", () => void this.follow());
    }

    /** Go to a page. @param {PageName} page @param {string} [id] of an image @param {string} [reading] see `Route` */
    go(page, id = "", reading = "") {
        this.window.location.hash = hrefOf(page, id, reading);
    }

    /** The address of a page, for links. @param {PageName} page @param {string} [id] @param {string} [reading] */
    href(page, id = "", reading = "") {
        return hrefOf(page, id, reading);
    }

    /** Close and open the present page again. @returns {Promise<void>} */
    async reload() {
        if (this.isBusy) return;
        this.isStale = true;
        await this.follow();
    }

    /** Open the page of the address; where the present one stays, the address goes back to it. */
    async follow() {
        if (this.isBusy) return;
        this.isBusy = true;
        try {
            while (this.page === null || this.isStale || this.window.location.hash !== this.shownHash) {
                const hash = this.window.location.hash;
                this.isStale = false;
                if (this.page !== null && !await this.page.close()) {
                    this.window.history.replaceState(null, "", this.shownHash);
                    return;
                }
                this.route = routeOf(hash);
                this.shownHash = hash;
                this.page = await this.openPage(this.route);
            }
        } finally {
            this.isBusy = false;
        }
    }
}
