/** Who else has the image open: other users by the server, other tabs of this browser by themselves. */

import { withQuery } from "../api/client.js";
import { newKey } from "../editor/drafts.js";

/** @typedef {import("./workspace.js").Workspace} Workspace */
/** @typedef {{user: string, seconds_ago: number, edits: number}} OtherUser */

const HEARTBEAT_MS = 20_000;
const CHANNEL = "vertebra-landmarks";
/** Session storage: what the server knows this tab by, so that a page that is loaded again is not another user. */
const CLIENT = "vertebraLandmarks.client";
/** A tab that did not answer this many heartbeats is gone. */
const MAX_SILENT_HEARTBEATS = 3;
/** How long other tabs may take to answer before a draft is offered. */
export const TABS_TIMEOUT_MS = 150;

/**
 * Between tabs: "hello" asks who is there, "here" answers, "bye" leaves.
 * @typedef {{type: "hello" | "here" | "bye", tab: string, server: string, image: string, key: string}} TabMessage
 */

/** Tells server and other tabs that the image is open here, and who else has it open. */
export class Presence {
    /** @type {OtherUser[]} */
    users = [];
    /** Other tabs with the image: key of their draft, and heartbeats since they answered. */
    /** @type {Map<string, {key: string, silent: number}>} */
    tabs = new Map();
    #client = clientOfTab();
    #page = newKey();
    /** @type {BroadcastChannel | null} */
    #channel = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #timer;

    /** @param {Workspace} workspace */
    constructor(workspace) {
        this.workspace = workspace;
    }

    /** Sentence about others who have the image open; "" without any. */
    get text() {
        const sentences = this.#others.map(({ user, edits }) => {
            const effort = edits > 0 ? `, with ${edits} edit${edits === 1 ? "" : "s"} not yet submitted` : "";
            return `${user || "Somebody else"} has this image open${effort}.`;
        });
        if (this.tabs.size) sentences.push("This image is open in another tab.");
        return [...new Set(sentences)].join(" ");
    }

    /** Other users; the server knows the other tabs of this browser as users, too. */
    get #others() {
        const own = this.workspace.context.user();
        let tabs = this.tabs.size;
        return this.users.filter(({ user }) => user !== own || tabs-- <= 0);
    }

    /** Begin to tell and to listen. */
    open() {
        if (typeof BroadcastChannel === "function") {
            this.#channel = new BroadcastChannel(CHANNEL);
            this.#channel.onmessage = (/** @type {MessageEvent<TabMessage>} */ { data }) => this.#onMessage(data);
        }
        this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS);
        this.#beat();
    }

    /** Keys of drafts that other tabs are working on. @returns {Promise<Set<string>>} */
    async keysElsewhere() {
        await new Promise((resolve) => setTimeout(resolve, this.#channel ? TABS_TIMEOUT_MS : 0));
        return new Set([...this.tabs.values()].map(({ key }) => key));
    }

    /** The image is closed here. */
    close() {
        clearInterval(this.#timer);
        this.#post("bye");
        this.#channel?.close();
        this.#channel = null;
        this.workspace.context.client.delete(this.#path()).catch(() => {}); // else it is forgotten in a minute
    }

    #path() {
        return withQuery("/presence", { image: this.workspace.session.imageId, client: this.#client });
    }

    #beat() {
        for (const [tab, known] of this.tabs) {
            known.silent += 1;
            if (known.silent > MAX_SILENT_HEARTBEATS) this.tabs.delete(tab);
        }
        this.#post("hello");
        void this.#tellServer();
    }

    async #tellServer() {
        const { context, session, editor } = this.workspace;
        const edits = session.isUnsaved ? session.edits(editor) : 0;
        try {
            const { others } = await context.client.put(this.#path(), { user: context.user(), edits });
            this.users = others;
            this.workspace.refresh();
        } catch { /* a lost server is noticed by requests that the user waits for */ }
    }

    /** @param {TabMessage["type"]} type */
    #post(type) {
        const { server, imageId, key } = this.workspace.session;
        this.#channel?.postMessage({ type, tab: this.#page, server, image: imageId, key });
    }

    /** @param {TabMessage} message */
    #onMessage({ type, tab, server, image, key }) {
        const { session } = this.workspace;
        if (server !== session.server || image !== session.imageId || tab === this.#page) return;
        if (type === "bye") {
            this.tabs.delete(tab);
        } else {
            this.tabs.set(tab, { key, silent: 0 });
            if (type === "hello") this.#post("here");
        }
        this.workspace.refresh();
    }
}

/** A key that lasts as long as the tab. @returns {string} */
function clientOfTab() {
    try {
        const known = sessionStorage.getItem(CLIENT) ?? newKey();
        sessionStorage.setItem(CLIENT, known);
        return known;
    } catch {
        return newKey(); // the browser forbids storage
    }
}
