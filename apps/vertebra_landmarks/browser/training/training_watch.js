/** Follows a training: polls the server, and tells the report of a new training from that of the one before. */

/** @typedef {import("../api/types.js").Training} Training */

/** Pauses between requests in milliseconds: while a training runs, and else. */
export const POLL_INTERVAL_MS = 2000;
export const IDLE_INTERVAL_MS = 20000;
/** Within which a training that was started must be reported by the server, in milliseconds. */
export const START_TIMEOUT_MS = 60000;

/** Whether a training starts or runs. @param {Training|null} training */
export function isOngoing(training) {
    return training !== null && (training.state === "starting" || training.state === "running");
}

/**
 * Seconds until a training ends, as far as its speed so far tells.
 * @param {Training} training
 * @returns {number|null} null before the first epoch
 */
export function secondsLeft({ percent = 0, elapsed_s = 0 }) {
    return percent > 0 && elapsed_s > 0 ? (elapsed_s * (100 - percent)) / percent : null;
}

/** Which reports are about the training that was started here. */
export class TrainingWatch {
    /** @param {() => number} [clock] milliseconds */
    constructor(clock = () => performance.now()) {
        this.clock = clock;
        /** @type {Training|null} */
        this.before = null;
        /** @type {number|null} */
        this.deadline = null;
    }

    /** A training was started. @param {Training|null} before the report until then @returns {Training} what to show */
    onStarted(before) {
        this.before = before;
        this.deadline = this.clock() + START_TIMEOUT_MS;
        return { state: "starting" };
    }

    /** The training was stopped: every report from now on is about it. */
    onStopped() {
        this.deadline = null;
    }

    /** What to show for a report. @param {Training|null} report @returns {Training|null} */
    filter(report) {
        const isFormer = JSON.stringify(report) === JSON.stringify(this.before);
        if (this.deadline !== null && isFormer && this.clock() < this.deadline) return { state: "starting" };
        this.deadline = null;
        return report;
    }
}
