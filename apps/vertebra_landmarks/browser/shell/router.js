/** Pages by the hash of the address: `#/`, `#/image/ID`, `#/follow-up/ID`, `#/training`. */

/** @typedef {"overview"|"image"|"follow-up"|"training"} PageName */
/** @typedef {{page: PageName, id: string}} Route id of an image; "" for pages without one */
/** @typedef {{close: () => Promise<boolean>}} Page close returns false where the page wants to stay */

/** @type {Record<PageName, string>} */
const SEGMENTS = { overview: "", image: "image", "follow-up": "follow-up", training: "training" };

/**
 * The address of a page.
 * @param {PageName} page
 * @param {string} [id] of an image
 * @returns {string} beginning with "#/"
 */
export function hrefOf(page, id = "") {
    const wellFormed = id.replace(/\p{Surrogate}/gu, "\uFFFD"); // else encodeURIComponent throws
    return `#/${SEGMENTS[page]}${id ? `/${encodeURIComponent(wellFormed)}` : ""}`;
}

/** The page of an address; the overview for unknown ones. @param {string} hash @returns {Route} */
export function routeOf(hash) {
    const [, segment = "", encoded = ""] = /^#\/([^/]*)(?:\/(.*))?$/s.exec(hash) ?? [];
    const id = decoded(encoded);
    if (segment === "training") return { page: "training", id: "" };
    if (id && (segment === "image" || segment === "follow-up")) return { page: segment, id };
    return { page: "overview", id: "" };
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

    /** Go to a page. @param {PageName} page @param {string} [id] of an image */
    go(page, id = "") {
        this.window.location.hash = hrefOf(page, id);
    }

    /** The address of a page, for links. @param {PageName} page @param {string} [id] */
    href(page, id = "") {
        return hrefOf(page, id);
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
