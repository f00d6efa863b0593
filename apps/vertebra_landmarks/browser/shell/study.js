/** The study that the images belong to: its plan, its progress, and the part that the user has in it. */

/** @typedef {import("../api/types.js").NextImage} NextImage */
/** @typedef {import("../api/types.js").ReadingSlot} ReadingSlot */
/** @typedef {import("../api/types.js").StudyStatus} StudyStatus */

/** What readings are called, by kind: one, and several. @type {Record<ReadingSlot["kind"], readonly [string, string]>} */
export const KIND_NAMES = { first: ["first reading", "first readings"], second: ["second reading", "second readings"],
    repeat: ["repeat", "repeats"] };

/** Such as "Second reading, blind". @param {ReadingSlot} reading @returns {string} */
export function readingTitle({ kind, blind }) {
    const [name] = KIND_NAMES[kind];
    return `${name.charAt(0).toUpperCase()}${name.slice(1)}${blind ? ", blind" : ""}`;
}

/**
 * Versions of the readings that an adjudicator compares, by number.
 * @param {import("../api/types.js").ImageReadings} found
 * @returns {Record<string, number>}
 */
export function versionsOf({ readings }) {
    const independent = readings.filter(({ kind }) => kind !== "repeat");
    return Object.fromEntries(independent.map(({ number, version }) => [number, version]));
}

/** @param {Record<string, number>} some @param {Record<string, number>} others */
export function isSameVersions(some, others) {
    const numbers = Object.keys(some);
    return numbers.length === Object.keys(others).length && numbers.every((number) => some[number] === others[number]);
}

/** The study as the server last told it; there is none without a plan. */
export class Study {
    #asked = 0;

    /** @param {import("../api/client.js").Client} client */
    constructor(client) {
        this.client = client;
        /** @type {StudyStatus|null} null until the server has said */
        this.status = null;
        /** Resolves when the server has said, or does not. @type {Promise<void>} */
        this.ready = Promise.resolve();
        /** @type {Set<() => void>} */
        this.listeners = new Set();
    }

    /** Call back on every change. @param {() => void} listener @param {AbortSignal} [signal] ends it */
    onChange(listener, signal) {
        this.listeners.add(listener);
        signal?.addEventListener("abort", () => this.listeners.delete(listener));
    }

    /** Null without one. */
    get plan() {
        return this.status?.plan ?? null;
    }

    /** Whether the user reads by the plan. */
    get isReader() {
        return Boolean(this.status?.you.is_reader);
    }

    /** Whether the user chooses final labels. */
    get isAdjudicator() {
        return Boolean(this.status?.you.is_adjudicator);
    }

    /** Whether the user may submit anything: anybody without a plan. */
    get hasPart() {
        return this.plan === null || this.isReader || this.isAdjudicator;
    }

    /** Why the user has no part in the plan. */
    get noPartText() {
        const name = this.status?.you.user ?? "";
        return name ? `${name} is neither reader nor adjudicator of the study plan: you may look, but not submit.`
            : "This study is read by a plan: enter your name at the top right, then it shows what is yours.";
    }

    /** What the button says that opens the next image. */
    get nextText() {
        return this.plan === null ? "Next image" : "Your next image";
    }

    /** Ask the server. @returns {Promise<void>} where it does not answer, what is known stays */
    load() {
        this.ready = this.#load();
        return this.ready;
    }

    /**
     * What the user reads or adjudicates next.
     * @param {string} strategy of the choice of a new image; "" for the default one
     * @param {AbortSignal|null} [signal]
     * @returns {Promise<NextImage>}
     * @throws {import("../api/errors.js").ServerError} the user has no part in the plan
     */
    async next(strategy, signal = null) {
        const answer = await this.client.post("/study/next", strategy ? { strategy } : {}, { signal });
        void this.load();
        return answer;
    }

    /**
     * The same, asked again where the server has not answered before: what depends on the plan waits for it.
     * @param {AbortSignal|null} [signal]
     * @throws {import("../api/errors.js").ServerError} it does not answer now, either
     */
    async known(signal = null) {
        await this.ready;
        if (this.status === null) this.show(await this.client.get("/study", { signal }));
    }

    /**
     * Give an image back unread.
     * @param {string} image
     * @returns {Promise<boolean>} whether the user had it
     */
    async release(image) {
        return Boolean((await this.client.post("/study/release", { image })).released);
    }

    /** Use an answer of the server. @param {StudyStatus|null} status */
    show(status) {
        this.status = status;
        for (const listener of this.listeners) listener();
    }

    async #load() {
        const asked = ++this.#asked;
        try {
            const status = await this.client.get("/study");
            if (asked === this.#asked) this.show(status); // else for a user before
        } catch { /* the page that is open says it, since it asks for images */ }
    }
}
