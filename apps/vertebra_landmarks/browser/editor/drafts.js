/** Drafts: unsubmitted work, kept in the browser's IndexedDB until it is submitted or discarded. */

/** @typedef {import("./origin.js").Origin} Origin */
/** @typedef {import("./spine.js").Landmark} Landmark */

/**
 * Unsubmitted points of one image.
 * @typedef {object} Draft
 * @property {number} format `FORMAT`
 * @property {string} key unique, from `newKey` of `api`
 * @property {string} imageId
 * @property {string} server from `serverIdentity`
 * @property {string} imageDigest of the image's file: another image may get its name
 * @property {string} user who worked; "" where unknown
 * @property {Landmark[]} landmarks
 * @property {string[]} touched names of the points that the user set, such as "T7" and "T7 TL"
 * @property {number} seconds working time
 * @property {number} edits
 * @property {number} saved seconds since 1970
 * @property {number} baseVersion version of the submitted label that the work began with; 0 without one
 * @property {Origin} origin provenance of the untouched points
 * @property {boolean} isProposal whether some of the points are a model's that no user has submitted
 * @property {string} begunBy who worked on it before `user`; "" where nobody did
 * @property {"left" | "right" | null} imageLeftIs the patient's side at the left as the user states it
 * @property {number | null} [reading] number of the reading of a study; 0 for the final label, null without one
 * @property {import("../api/types.js").OwnReading | null} [slot] that reading, as it was when the work was kept
 * @property {string} [source] what an adjudicator has begun with: number of a reading, or "mean"; "" for the final label
 * @property {Record<string, number> | null} [readingVersions] versions of the readings that an adjudicator has seen
 */

const FORMAT = 1;
const [DATABASE, STORE] = ["vertebra-landmarks", "drafts"];
/** How long the browser may take to open its database; a blocked one never answers. */
const OPEN_TIMEOUT_MS = 4000;

/** The browser keeps no drafts: its storage is full, blocked or broken. */
export class DraftError extends Error {
    /** @param {unknown} cause */
    constructor(cause) {
        super("This browser cannot keep unfinished work: its storage is full or blocked.");
        this.name = "DraftError";
        this.cause = cause;
    }
}

/**
 * What tells servers apart: two of them may have images of the same name.
 * @param {string} address of the page
 * @returns {string}
 */
export function serverIdentity(address) {
    return new URL("./", address).href;
}

/** The drafts of this browser. Every method rejects with a `DraftError`. */
export class Drafts {
    /** @type {Promise<IDBDatabase> | null} */
    #database = null;

    /** @param {IDBFactory | undefined} factory undefined where the browser forbids it */
    constructor(factory = globalThis.indexedDB) {
        this.factory = factory;
    }

    /**
     * Keep a draft, replacing the one with the same key.
     * @param {Omit<Draft, "format">} draft
     * @param {string} replacedKey of a draft that this one continues, and that is deleted in the same step; "" for none
     */
    async save(draft, replacedKey = "") {
        await this.#run("readwrite", (store) => {
            if (replacedKey) store.delete(replacedKey);
            return store.put({ ...draft, format: FORMAT });
        });
    }

    /**
     * Delete a draft if it exists.
     * @param {string} key
     */
    async remove(key) {
        await this.#run("readwrite", (store) => store.delete(key));
    }

    /** All drafts of a server, newest first. @param {string} server @returns {Promise<Draft[]>} */
    async list(server) {
        const found = await this.#run("readonly", (store) => store.getAll());
        const own = /** @type {Draft[]} */ (found).filter((one) => one.format === FORMAT && one.server === server);
        return own.sort((a, b) => b.saved - a.saved);
    }

    /**
     * @template R
     * @param {IDBTransactionMode} mode
     * @param {(store: IDBObjectStore) => IDBRequest<R>} action
     * @returns {Promise<R>}
     */
    async #run(mode, action) {
        try {
            this.#database ??= openDatabase(this.factory);
            const database = await this.#database;
            return await new Promise((resolve, reject) => {
                const transaction = database.transaction(STORE, mode, { durability: "strict" });
                const request = action(transaction.objectStore(STORE));
                transaction.oncomplete = () => resolve(request.result);
                transaction.onerror = transaction.onabort = () => reject(transaction.error ?? request.error);
            });
        } catch (error) {
            this.#database = null;
            throw new DraftError(error);
        }
    }
}

/**
 * @param {IDBFactory | undefined} factory
 * @returns {Promise<IDBDatabase>}
 */
function openDatabase(factory) {
    return new Promise((resolve, reject) => {
        if (!factory) throw new Error("there is no IndexedDB");
        const timer = setTimeout(() => reject(new Error("IndexedDB does not answer")), OPEN_TIMEOUT_MS);
        const request = factory.open(DATABASE, 1);
        request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
            clearTimeout(timer);
            const database = request.result;
            database.onversionchange = () => database.close();
            resolve(database);
        };
    });
}

/**
 * The drafts of this browser for the server of the page, for a list; none where the browser forbids them.
 * @returns {Promise<{key: string, image: string, user: string, edits: number, saved_at: number, isOfStudy: boolean}[]>}
 *     newest first
 */
export async function listDrafts() {
    try {
        const drafts = await new Drafts().list(serverIdentity(document.baseURI));
        return drafts.map(({ key, imageId, user, edits, saved, reading = null }) =>
            ({ key, image: imageId, user, edits, saved_at: saved, isOfStudy: reading !== null }));
    } catch {
        return [];
    }
}

/** Session storage: key of the draft that was chosen from the list, until its image is opened. */
const CHOSEN = "vertebraLandmarks.chosenDraft";

/** Offer this draft when its image is opened next in this tab, whoever has worked on it. @param {string} key */
export function chooseDraft(key) {
    try {
        sessionStorage.setItem(CHOSEN, key);
    } catch { /* storage is full or forbidden: one's own newest draft is offered */ }
}

/** Key of the draft that was chosen, which then is no longer. @returns {string} "" for none */
export function takeChosenDraft() {
    try {
        const key = sessionStorage.getItem(CHOSEN) ?? "";
        sessionStorage.removeItem(CHOSEN);
        return key;
    } catch {
        return "";
    }
}

/**
 * Delete a draft of that list.
 * @param {string} key
 * @throws {DraftError} the browser refuses
 */
export async function discardDraft(key) {
    await new Drafts().remove(key);
}
