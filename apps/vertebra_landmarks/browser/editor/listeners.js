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
