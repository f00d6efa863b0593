/** Tells the server that an image is open in this tab, again and again, so that it stays with its user. */

import { withQuery } from "./client.js";
import { newKey } from "./random_key.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {{user: string, seconds_ago: number, edits: number}} OtherUser */

export const HEARTBEAT_MS = 20_000;
/** Session storage: what the server knows this tab by, so that a page that is loaded again is not another user. */
const CLIENT = "vertebraLandmarks.client";

/** Signs of life of one open image. */
export class Heartbeat {
    #client = clientOfTab();
    /** @type {ReturnType<typeof setInterval>|undefined} */
    #timer;

    /**
     * @param {Client} client
     * @param {string} imageId
     * @param {() => {user: string, edits: number}} state edits that the server does not have
     * @param {(others: OtherUser[]) => void} onOthers who else has the image open
     * @param {() => void} onBeat called with every sign
     */
    constructor(client, imageId, state, onOthers = () => {}, onBeat = () => {}) {
        this.client = client;
        this.path = withQuery("/presence", { image: imageId, client: this.#client });
        this.state = state;
        this.onOthers = onOthers;
        this.onBeat = onBeat;
    }

    /** Begin, with a first sign now. */
    start() {
        this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS);
        this.#beat();
    }

    /** The image is closed here. */
    stop() {
        clearInterval(this.#timer);
        this.client.delete(this.path).catch(() => {}); // else it is forgotten in a minute
    }

    #beat() {
        this.onBeat();
        void this.#tellServer();
    }

    async #tellServer() {
        try {
            const { others } = await this.client.put(this.path, this.state());
            this.onOthers(others);
        } catch { /* a lost server is noticed by requests that the user waits for */ }
    }
}

/** A key that lasts as long as the tab. @returns {string} 32 hexadecimal digits */
function clientOfTab() {
    try {
        const known = sessionStorage.getItem(CLIENT) ?? newKey();
        sessionStorage.setItem(CLIENT, known);
        return known;
    } catch {
        return newKey(); // the browser forbids storage
    }
}
