/** The training page: the present training, the versions of the model, and how the study develops. */

import { isCancelled, messageOf, ServerError } from "../api/errors.js";
import { fill, h } from "../shell/dom.js";
import { Plots } from "./plots.js";
import { ReadersCard } from "./readers_card.js";
import { TrainingCard } from "./training_card.js";
import { IDLE_INTERVAL_MS, isOngoing, POLL_INTERVAL_MS, TrainingWatch } from "./training_watch.js";
import { VersionsCard } from "./versions_card.js";

/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {import("../api/types.js").Training} Training */
/** @typedef {import("../api/types.js").ModelVersion} ModelVersion */

/** Name of the model in the server's answers. */
const MODEL = "vertebra_landmarks";

/**
 * Open the training page.
 * @param {HTMLElement} container empty
 * @param {Context} context
 * @returns {import("../shell/router.js").Page}
 */
export function openTraining(container, context) {
    const page = new TrainingPage(container, context);
    void page.run();
    return { close: () => Promise.resolve(page.close()) };
}

class TrainingPage {
    /** @param {HTMLElement} container @param {Context} context */
    constructor(container, context) {
        this.context = context;
        this.stops = new AbortController();
        this.watch = new TrainingWatch();
        /** @type {Training|null|undefined} */
        this.training = undefined;
        this.logLine = "";
        /** @type {{served: number, versions: ModelVersion[]}} */
        this.versions = { served: 0, versions: [] };
        this.card = new TrainingCard({ onStart: (parameters) => void this.#start(parameters), onStop: () => void this.#stop() });
        this.versionsCard = new VersionsCard((number, isOlder) => void this.#serve(number, isOlder));
        this.readers = new ReadersCard();
        this.plots = new Plots();
        container.classList.add("scrolling");
        fill(container, h("div", { class: "training" },
            h("h1", {}, "Training"),
            h("div", { class: "training-top" }, this.card.element, this.versionsCard.element),
            h("div", { class: "plots" }, ...this.plots.charts.map(({ element }) => element)),
            this.readers.element));
        context.session.onChange(() => this.#refresh(), this.stops.signal);
    }

    /** Load everything, then follow the training until the page is closed. */
    async run() {
        void this.#loadStatistics();
        void this.#loadVersions();
        while (!this.stops.signal.aborted) {
            await this.#poll();
            await pause(isOngoing(this.training ?? null) ? POLL_INTERVAL_MS : IDLE_INTERVAL_MS, this.stops.signal);
        }
    }

    /** Leave the page. @returns {boolean} */
    close() {
        this.stops.abort();
        this.plots.close();
        return true;
    }

    async #poll() {
        try {
            const info = await this.context.session.loadInfo();
            const stats = info.train_stats?.[MODEL];
            const report = stats && stats.state ? stats : null;
            this.card.setDefaults(info.trainers?.[MODEL]?.config ?? {});
            const training = this.watch.filter(report);
            if (isOngoing(training)) this.logLine = await this.#lastLogLine();
            this.#onTraining(training);
        } catch (error) {
            this.#fail(error);
        }
    }

    /** @param {Training|null} training */
    #onTraining(training) {
        const before = this.training ?? null;
        this.training = training;
        this.#refresh();
        if (!isOngoing(before) || isOngoing(training)) return;
        const why = training?.error ? `: ${training.error}` : ".";
        this.context.messages.show({
            done: training?.version_after ? "The training is done; the new version is served." : "The training is done; nothing was published.",
            failed: `The training failed${why}`,
            stopped: "The training was stopped. The model is unchanged.",
            interrupted: "The training was interrupted. The model is unchanged.",
            starting: "", running: "",
        }[training?.state ?? "stopped"], training?.state === "failed" ? "error" : "info");
        void this.#loadVersions();
    }

    #refresh() {
        if (this.stops.signal.aborted) return;
        const { session } = this.context;
        const isAdmin = session.may("admin");
        if (this.training !== undefined) this.card.show(this.training, this.logLine, isAdmin);
        this.versionsCard.show(this.versions.versions, this.versions.served, isAdmin);
    }

    /** @returns {Promise<string>} "" where there is none */
    async #lastLogLine() {
        try {
            const task = await this.context.client.get("/train/", { signal: this.stops.signal });
            return String(task?.details?.at?.(-1) ?? "");
        } catch (error) {
            if (error instanceof ServerError && error.kind !== "not_found") throw error;
            return "";
        }
    }

    async #loadStatistics() {
        try {
            const statistics = await this.context.client.get("/statistics", { signal: this.stops.signal });
            if (this.stops.signal.aborted) return;
            this.plots.showStatistics(statistics);
            this.readers.show(statistics.readers);
        } catch (error) {
            if (!isCancelled(error)) this.plots.showFailure(messageOf(error));
        }
    }

    async #loadVersions() {
        try {
            this.#setVersions(await this.context.client.get("/model/versions", { signal: this.stops.signal }));
        } catch (error) {
            this.#fail(error);
        }
    }

    /** @param {{served: number, versions: ModelVersion[]}} versions */
    #setVersions(versions) {
        if (this.stops.signal.aborted) return;
        this.versions = versions;
        this.plots.showVersions(versions.versions);
        this.#refresh();
    }

    /** @param {import("./parameters.js").Parameters} parameters */
    async #start(parameters) {
        const before = this.training ?? null;
        try {
            await this.context.client.post(`/train/${MODEL}`, parameters, { signal: this.stops.signal });
            this.logLine = "";
            this.#onTraining(this.watch.onStarted(before));
            await pause(POLL_INTERVAL_MS, this.stops.signal);
            await this.#followClosely();
        } catch (error) {
            this.#fail(error);
        }
    }

    /** The loop of `run` may be in its long pause. */
    async #followClosely() {
        while (!this.stops.signal.aborted && isOngoing(this.training ?? null)) {
            await this.#poll();
            await pause(POLL_INTERVAL_MS, this.stops.signal);
        }
    }

    async #stop() {
        const answer = await this.context.messages.ask("Stop the training? Its progress is discarded, and the model stays as it is.", [
            { label: "Go on", value: "go" }, { label: "Stop the training", value: "stop", kind: "danger" },
        ]);
        if (answer !== "stop") return;
        try {
            await this.context.client.delete("/train/");
            this.watch.onStopped();
            await this.#poll();
        } catch (error) {
            this.#fail(error);
        }
    }

    /** @param {number} number @param {boolean} isOlder */
    async #serve(number, isOlder) {
        const { messages, client } = this.context;
        const gate = this.versions.versions.find((version) => version.number === number)?.facts.gate;
        const warning = gate && !gate.is_passed ? ` The publish gate held it back: ${gate.why}` : "";
        const text = `${isOlder ? "Roll back to" : "Publish"} version ${number}? All predictions from now on come from it.${warning}`;
        const answer = await messages.ask(text, [
            { label: "Cancel", value: "cancel" }, { label: isOlder ? "Roll back" : "Publish", value: "serve", kind: "primary" },
        ]);
        if (answer !== "serve") return;
        try {
            this.#setVersions(await client.post(isOlder ? "/model/rollback" : "/model/publish", { version: number }));
            messages.show(`Version ${number} is served now.`);
        } catch (error) {
            this.#fail(error);
        }
    }

    /** @param {unknown} error */
    #fail(error) {
        if (!isCancelled(error) && !this.stops.signal.aborted) this.context.messages.show(messageOf(error), "error");
    }
}

/** @param {number} milliseconds @param {AbortSignal} signal ends it at once */
function pause(milliseconds, signal) {
    return new Promise((resolve) => {
        if (signal.aborted) return resolve(undefined);
        const timer = setTimeout(resolve, milliseconds);
        signal.addEventListener("abort", () => { clearTimeout(timer); resolve(undefined); }, { once: true });
    });
}
