/** The rows of the list, fetched page by page as they are looked at. */

import { withQuery } from "../api/client.js";
import { isCancelled } from "../api/errors.js";

/** @typedef {import("../api/types.js").ImageRow} ImageRow */
/** @typedef {import("../api/types.js").ImagePage} ImagePage */
/** @typedef {import("../api/types.js").ImageCounts} ImageCounts */
/** @typedef {"name"|"date"|"doubt"|"labelled"} SortKey */
/** @typedef {{search: string, state: "all"|import("../api/types.js").ImageState, sort: SortKey, descending: boolean}} Query */

/** Images of a request. */
export const PAGE_SIZE = 200;
/** Pages to keep: those looked at longest ago go first. */
export const MAX_PAGES = 100;
/** Requests at once. */
const MAX_REQUESTS = 3;

/** Rows by index for one query at a time. */
export class ImagePages {
    /**
     * @param {import("../api/client.js").Client} client
     * @param {{onChange: () => void, onError: (error: unknown) => void}} handlers onChange: rows, total or counts came
     */
    constructor(client, handlers) {
        this.client = client;
        this.handlers = handlers;
        /** Images that match the query; null until the server has said. @type {number|null} */
        this.total = null;
        /** @type {ImageCounts|null} */
        this.counts = null;
        /** @type {Query} */
        this.query = { search: "", state: "all", sort: "name", descending: false };
        /** @type {Map<number, ImageRow[]>} */
        this.pages = new Map();
        /** @type {Map<number, AbortController>} */
        this.requests = new Map();
    }

    /** Start over with a query. @param {Query} query */
    setQuery(query) {
        this.cancel();
        this.query = query;
        this.pages.clear();
        this.total = null;
        void this.#fetch(0);
    }

    /** Cancel all requests. */
    cancel() {
        for (const request of this.requests.values()) request.abort();
        this.requests.clear();
    }

    /** A row, undefined until it has come. @param {number} index @returns {ImageRow|undefined} */
    row(index) {
        return this.pages.get(Math.floor(index / PAGE_SIZE))?.[index % PAGE_SIZE];
    }

    /** Fetch what of these rows is missing, and cancel what no longer counts. @param {number} first @param {number} last */
    want(first, last) {
        if (this.total === null) return; // the first page is on its way, or has failed and is asked for on demand
        const wanted = pagesOf(first, last);
        for (const [page, request] of this.requests) {
            if (page !== 0 && !wanted.includes(page)) request.abort();
        }
        for (const page of wanted) {
            const rows = this.pages.get(page);
            if (rows) {
                this.pages.delete(page); // as the one looked at last
                this.pages.set(page, rows);
            } else if (!this.requests.has(page) && this.requests.size < MAX_REQUESTS) {
                void this.#fetch(page);
            }
        }
    }

    /** Fetch these rows again, since others work on them too. @param {number} first @param {number} last */
    async refresh(first, last) {
        await Promise.all(pagesOf(first, last).filter((page) => !this.requests.has(page)).map((page) => this.#fetch(page)));
    }

    /** @param {number} page */
    async #fetch(page) {
        const request = new AbortController();
        this.requests.set(page, request);
        const window = { offset: page * PAGE_SIZE, limit: PAGE_SIZE };
        try {
            const path = withQuery("/images", { ...this.query, ...window });
            const answer = /** @type {ImagePage} */ (await this.client.get(path, { signal: request.signal }));
            if (request.signal.aborted) return;
            this.total = answer.total;
            this.counts = answer.counts;
            this.pages.delete(page);
            this.pages.set(page, answer.images);
            for (const oldest of [...this.pages.keys()].slice(0, Math.max(0, this.pages.size - MAX_PAGES))) {
                this.pages.delete(oldest);
            }
        } catch (error) {
            if (!isCancelled(error)) this.handlers.onError(error);
            return;
        } finally {
            if (this.requests.get(page) === request) this.requests.delete(page);
        }
        this.handlers.onChange();
    }
}

/** Numbers of the pages of some rows. @param {number} first @param {number} last */
function pagesOf(first, last) {
    const begin = Math.floor(Math.max(0, first) / PAGE_SIZE);
    const count = Math.floor(Math.max(0, last) / PAGE_SIZE) - begin + 1;
    return Array.from({ length: count }, (_, index) => begin + index);
}
