/** Which image comes next, and which was open before; remembered in this tab. */

import { withQuery } from "../api/client.js";
import { ServerError } from "../api/errors.js";

/** @typedef {import("../api/client.js").Client} Client */

const KEY = "vertebraLandmarks.opened";
const UNSUBMITTED = "You have not submitted this reading. Give the image back unread? Your edits stay in this browser.";
const [MAX_CHOICES, MAX_LISTED, MAX_REMEMBERED] = [5, 200, 500];

/**
 * Images that somebody has opened.
 * @typedef {{user: string, ids: string[]}} Opened
 */

/** Images that the present user has opened in this tab, the present one last; nobody gets to see those of others. */
export class OpenedImages {
    /** @type {Opened} */
    #opened;

    /**
     * @param {Storage | null} storage null where the browser forbids it
     * @param {() => string} user who works now; "" for nobody in particular
     */
    constructor(storage, user) {
        this.storage = storage;
        this.user = user;
        this.#opened = stored(storage);
    }

    /** Ids of the images. @returns {string[]} */
    get ids() {
        return this.#opened.user === this.user() ? this.#opened.ids : [];
    }

    /** The image that was open before the present one; "" without one. */
    get previous() {
        return this.ids.at(-2) ?? "";
    }

    /** An image is open now. @param {string} imageId */
    push(imageId) {
        if (this.ids.at(-1) !== imageId) this.#set([...this.ids, imageId].slice(-MAX_REMEMBERED));
    }

    /** Go back: the present image counts as not opened. @returns {string} the one before; "" without one */
    back() {
        const { previous } = this;
        if (previous) this.#set(this.ids.slice(0, -1));
        return previous;
    }

    /** Forget all but the present image, to start over. */
    forget() {
        this.#set(this.ids.slice(-1));
    }

    /** @param {string[]} ids */
    #set(ids) {
        this.#opened = { user: this.user(), ids };
        try {
            this.storage?.setItem(KEY, JSON.stringify(this.#opened));
        } catch { /* storage is full: remembered until the page is left */ }
    }
}

/** The images opened in this tab. @param {() => string} user see `OpenedImages` @returns {OpenedImages} */
export function openedImages(user) {
    try {
        return new OpenedImages(globalThis.sessionStorage ?? null, user);
    } catch {
        return new OpenedImages(null, user);
    }
}

/**
 * The image that a strategy chooses, or the next of the list where it was open already; a skipped one comes again after
 * all others.
 * @param {Client} client
 * @param {string} strategy
 * @param {string} present the open image; "" without one
 * @param {OpenedImages} opened
 * @param {AbortSignal | null} signal
 * @returns {Promise<string>} its id; "" when all images are labelled
 * @throws {ServerError} the open image is the only one without a label
 */
export async function chooseNext(client, strategy, present, opened, signal = null) {
    const seen = new Set([present, ...opened.ids]);
    let chosen = "";
    for (let tries = 0; tries < MAX_CHOICES; tries++) {
        const { id = "" } = (await client.post(`/activelearning/${encodeURIComponent(strategy)}`, {}, { signal })) ?? {};
        if (!id) return "";
        if (!seen.has(id)) return id;
        if (id === chosen) break; // the strategy keeps to its choice
        chosen = id;
    }
    const left = await unlabelled(client, signal);
    const start = left.indexOf(present) + 1;
    const others = [...left.slice(start), ...left.slice(0, start), chosen].filter((id) => id && id !== present);
    if (!others.length) {
        throw new ServerError("refused", "This is the only image left without a label. Submit it, or open another one.");
    }
    const fresh = others.find((id) => !seen.has(id));
    if (!fresh) opened.forget();
    return fresh ?? others[0];
}

/**
 * What the study plan has next for the user, after the open image; the server keeps to an image until it is submitted or
 * given back.
 * @param {import("../shell/study.js").Study} study
 * @param {string} strategy
 * @param {string} present the open image
 * @param {() => Promise<boolean>} onKept called where the open image is to be read first; whether it is given back
 * @param {AbortSignal | null} signal
 * @returns {Promise<import("../api/types.js").NextImage | null>} null where the user stays
 */
export async function chooseOfStudy(study, strategy, present, onKept, signal = null) {
    const first = await study.next(strategy, signal);
    if (first.image !== present) return first;
    if (!await onKept()) return null;
    await study.release(present);
    const other = await study.next(strategy, signal);
    return other.image === present ? { image: null, sentence: "No other image is left for you now." } : other;
}

/**
 * Images without a submitted label.
 * @param {Client} client
 * @param {AbortSignal | null} signal
 * @returns {Promise<string[]>}
 */
async function unlabelled(client, signal) {
    const query = (/** @type {string} */ state) => withQuery("/images", { state, sort: "name", limit: MAX_LISTED });
    const pages = await Promise.all(["predicted", "unlabelled"].map((state) => client.get(query(state), { signal })));
    return pages.flatMap((page) => page.images.map((/** @type {{id: string}} */ image) => image.id)).sort();
}

/** @param {Storage | null} storage @returns {Opened} */
function stored(storage) {
    try {
        const { user, ids } = JSON.parse(storage?.getItem(KEY) ?? "{}");
        return { user: String(user), ids: ids.filter((/** @type {unknown} */ id) => typeof id === "string") };
    } catch {
        return { user: "", ids: [] };
    }
}

/** Goes from image to image. */
export class Navigation {
    /** @param {import("./page.js").AnnotatePage} page */
    constructor(page) {
        this.page = page;
    }

    /** Open the image that the strategy chooses; in a study, the one that the plan has for the user. */
    async next() {
        const { context } = this.page.workspace;
        context.probe.leaving();
        const isLeft = context.study.plan === null ? await this.#nextOfStrategy() : await this.#nextOfStudy();
        if (!isLeft) context.probe.staying();
    }

    /** @returns {Promise<boolean>} whether there is one */
    async #nextOfStrategy() {
        const { workspace, opened, images } = this.page;
        const { context, session } = workspace;
        const strategy = images.strategy.value || "first";
        const id = await workspace.run("next", "Choosing the next image", ({ controller }) =>
            chooseNext(context.client, strategy, session.imageId, opened, controller.signal)
        );
        if (id) context.router.go("image", id);
        else if (id === "") context.messages.show("All images are labelled.");
        return Boolean(id);
    }

    /** Open the image that was open before this one. */
    previous() {
        const { probe, router } = this.page.workspace.context;
        const id = this.page.opened.back();
        if (!id) return;
        probe.leaving();
        router.go("image", id);
    }

    /** @returns {Promise<boolean>} whether there is one, and the user goes there */
    async #nextOfStudy() {
        const { workspace, images } = this.page;
        const { context, session } = workspace;
        const onKept = async () => (await context.messages.ask(UNSUBMITTED, [
            { label: "Stay", value: "stay" }, { label: "Give it back", value: "release" },
        ])) === "release";
        const found = await workspace.run("next", "Choosing the next image", ({ controller }) =>
            chooseOfStudy(context.study, images.strategy.value, session.imageId, onKept, controller.signal)
        );
        if (found?.image) context.router.go(found.adjudicate ? "adjudicate" : "image", found.image);
        else if (found) context.messages.show(found.sentence ?? "Nothing is left for you now.");
        return Boolean(found?.image);
    }
}
