/**
 * Runs one job at a time; of the values that come meanwhile only the newest is kept, and runs next.
 * @template T
 */
export class NewestOnly {
    /** @type {{value: T} | null} */
    #next = null;
    /** @type {Promise<void> | null} */
    #running = null;

    /** @param {(value: T) => Promise<unknown>} run handles its own errors */
    constructor(run) {
        this.run = run;
    }

    /** Whether a job runs. */
    get isBusy() {
        return this.#running !== null;
    }

    /**
     * Run a value now, or after the job that runs.
     * @param {T} value
     */
    submit(value) {
        this.#next = { value };
        this.#running ??= this.#runAll();
    }

    /** Drop the value that waits. */
    clear() {
        this.#next = null;
    }

    /** Resolves once nothing runs or waits. @returns {Promise<void>} */
    async idle() {
        await this.#running;
    }

    async #runAll() {
        while (this.#next !== null) {
            const { value } = this.#next;
            this.#next = null;
            await this.run(value);
        }
        this.#running = null;
    }
}
