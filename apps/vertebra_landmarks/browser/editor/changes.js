/** Kinds of changes of the points, and those who are told of changes. */

export const [LOADED, ADOPTED, MOVED, HIDDEN, PLACED] = ["loaded", "adopted", "moved", "hidden", "placed"];
export const [SHIFTED, UNDONE, REDONE, CANCELLED, LOCKED] = ["shifted", "undone", "redone", "cancelled", "locked"];

/**
 * A change of the points.
 * @typedef {object} Change
 * @property {string} kind one of the constants above; `LOCKED` also for unlocking
 * @property {readonly number[]} vertebrae indices of those that may have changed, from top to bottom
 * @property {boolean} isOngoing whether this is a part of a drag that goes on
 */

/**
 * Callbacks of one event, called in the order of their subscription.
 * @template T
 */
export class Listeners {
    /** @type {((value: T) => unknown)[]} */
    #callbacks = [];

    /**
     * Add a callback; returns a function that removes it.
     * @param {(value: T) => unknown} callback
     * @returns {() => void}
     */
    subscribe(callback) {
        this.#callbacks.push(callback);
        return () => {
            this.#callbacks = this.#callbacks.filter((one) => one !== callback);
        };
    }

    /**
     * Call all callbacks.
     * @param {T} value
     */
    notify(value) {
        for (const callback of [...this.#callbacks]) {
            callback(value);
        }
    }

    /** Remove all callbacks. */
    clear() {
        this.#callbacks = [];
    }
}
