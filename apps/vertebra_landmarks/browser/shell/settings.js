/** Settings of the page, kept in the local storage of the browser. */

const PREFIX = "vertebraLandmarks.settings.";

/** @typedef {string|number|boolean} Setting */

/** Settings by name; each has the type of its default, and stored values of another type count for nothing. */
export class Settings {
    /** @param {Storage|null} storage null where the browser forbids it: settings last until the page is left */
    constructor(storage) {
        this.storage = storage;
        /** @type {Map<string, Setting>} */
        this.values = new Map();
    }

    /**
     * A setting, or its default.
     * @template {Setting} T
     * @param {string} name
     * @param {T} fallback
     * @returns {T}
     */
    get(name, fallback) {
        let value = this.values.get(name);
        if (value === undefined) {
            value = this.#stored(name);
            if (value !== undefined) this.values.set(name, value);
        }
        return typeof value === typeof fallback ? /** @type {T} */ (value) : fallback;
    }

    /** Remember a value. @param {string} name @param {Setting} value */
    set(name, value) {
        this.values.set(name, value);
        try {
            this.storage?.setItem(PREFIX + name, JSON.stringify(value));
        } catch { /* storage is full: the value lasts until the page is left */ }
    }

    /** @param {string} name @returns {Setting|undefined} */
    #stored(name) {
        try {
            const text = this.storage?.getItem(PREFIX + name);
            return text === null || text === undefined ? undefined : JSON.parse(text);
        } catch {
            return undefined;
        }
    }
}

/** The settings of this browser. @returns {Settings} */
export function browserSettings() {
    try {
        return new Settings(globalThis.localStorage ?? null);
    } catch {
        return new Settings(null);
    }
}
