/** Who else has the image open: other users by the server, other tabs of this browser by themselves. */

import { Heartbeat } from "../api/heartbeat.js";
import { newKey } from "../api/random_key.js";

/** @typedef {import("../api/heartbeat.js").OtherUser} OtherUser */
/** @typedef {import("./workspace.js").Workspace} Workspace */

const CHANNEL = "vertebra-landmarks";
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
    #page = newKey();
    #isTold = false;
    /** @type {BroadcastChannel | null} */
    #channel = null;
    /** @type {Heartbeat} */
    #heartbeat;

    /** @param {Workspace} workspace */
    constructor(workspace) {
        this.workspace = workspace;
        const { context, session } = workspace;
        this.#heartbeat = new Heartbeat(context.client, session.imageId, () => this.#state(), (users) => {
            this.users = users;
            this.#tell();
        }, () => this.#askTabs());
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
        this.#heartbeat.start();
    }

    /** Keys of drafts that other tabs are working on. @returns {Promise<Set<string>>} */
    async keysElsewhere() {
        await new Promise((resolve) => setTimeout(resolve, this.#channel ? TABS_TIMEOUT_MS : 0));
        return new Set([...this.tabs.values()].map(({ key }) => key));
    }

    /** The image is closed here. */
    close() {
        this.#post("bye");
        this.#channel?.close();
        this.#channel = null;
        this.#heartbeat.stop();
    }

    #state() {
        const { context, session, editor } = this.workspace;
        return { user: context.user(), edits: session.isUnsaved ? session.edits(editor) : 0 };
    }

    #askTabs() {
        for (const [tab, known] of this.tabs) {
            known.silent += 1;
            if (known.silent > MAX_SILENT_HEARTBEATS) this.tabs.delete(tab);
        }
        this.#post("hello");
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
        this.#tell();
    }

    /** Show who is here; as a message, too, when there was nobody before. */
    #tell() {
        const { text, workspace } = this;
        if (text && !this.#isTold && !workspace.isClosed) workspace.context.messages.offer(text);
        this.#isTold = text !== "";
        workspace.refresh();
    }
}
