/** Thumbnails of images: fetched with the token while their rows are in view, some at once, kept in a bounded cache. */

import { withQuery } from "../api/client.js";

/** Thumbnails to keep, each some kilobytes; those used longest ago go first. */
export const MAX_THUMBNAILS = 400;
/** Requests at once, so that the browser has connections left for the rows. */
const MAX_REQUESTS = 3;

/** @typedef {{image: string, abort: AbortController}} Job */

/** Blob addresses by image id. */
export class Thumbnails {
    /**
     * @param {import("../api/client.js").Client} client
     * @param {(image: string, url: string) => void} onLoad a thumbnail came; "" where there is none
     */
    constructor(client, onLoad) {
        this.client = client;
        this.onLoad = onLoad;
        /** @type {Map<string, string>} */
        this.urls = new Map();
        /** @type {Job[]} */
        this.waiting = [];
        /** @type {Map<string, Job>} */
        this.running = new Map();
    }

    /** Address of a thumbnail; undefined until it has come. @param {string} image @returns {string|undefined} */
    url(image) {
        const url = this.urls.get(image);
        if (url !== undefined) { // as the one used last
            this.urls.delete(image);
            this.urls.set(image, url);
        }
        return url;
    }

    /** Fetch the missing thumbnails of these images, and forget about others. @param {string[]} images */
    want(images) {
        const wanted = new Set(images);
        for (const [image, job] of this.running) if (!wanted.has(image)) job.abort.abort();
        this.waiting = images.filter((image) => !this.urls.has(image) && !this.running.has(image))
            .map((image) => ({ image, abort: new AbortController() }));
        this.#start();
    }

    /** Release everything. */
    close() {
        this.waiting = [];
        for (const job of this.running.values()) job.abort.abort();
        for (const url of this.urls.values()) URL.revokeObjectURL(url);
        this.urls.clear();
    }

    #start() {
        while (this.running.size < MAX_REQUESTS && this.waiting.length) {
            const job = /** @type {Job} */ (this.waiting.shift());
            this.running.set(job.image, job);
            void this.#fetch(job);
        }
    }

    /** @param {Job} job */
    async #fetch(job) {
        const path = withQuery("/images/thumbnail", { image: job.image });
        try {
            const blob = await this.client.blob(path, { signal: job.abort.signal });
            if (!job.abort.signal.aborted) this.#keep(job.image, URL.createObjectURL(blob));
        } catch {
            if (!job.abort.signal.aborted) this.#keep(job.image, ""); // shown as an image without one
        } finally {
            this.running.delete(job.image);
            this.#start();
        }
    }

    /** @param {string} image @param {string} url */
    #keep(image, url) {
        this.urls.set(image, url);
        for (const oldest of [...this.urls.keys()].slice(0, Math.max(0, this.urls.size - MAX_THUMBNAILS))) {
            URL.revokeObjectURL(/** @type {string} */ (this.urls.get(oldest)));
            this.urls.delete(oldest);
        }
        this.onLoad(image, url);
    }
}
