/** The present training: how far it is, how it ended, and the form that starts one. */

import { dateTimeText, durationText, plural } from "../shell/format.js";
import { fill, h, icon } from "../shell/dom.js";
import { ParameterFields } from "./parameters.js";
import { isOngoing, secondsLeft } from "./training_watch.js";

/** @typedef {import("../api/types.js").Training} Training */
/** @typedef {import("../api/types.js").Gate} Gate */
/** @typedef {import("./parameters.js").Parameters} Parameters */

/** @type {Record<Training["state"], string>} */
const STATES = {
    starting: "Starting", running: "Running", done: "Done", failed: "Failed", stopped: "Stopped", interrupted: "Interrupted",
};
/** @type {Record<string, string>} */
const STAGES = {
    landmarks: "learning to find the vertebrae", corners: "learning to refine the corners", check: "being checked for publishing",
};

/** Card with the state of the training and the form. */
export class TrainingCard {
    /** @param {{onStart: (parameters: Parameters) => void, onStop: () => void}} handlers */
    constructor(handlers) {
        this.handlers = handlers;
        this.status = h("div", { class: "training-status", "data-testid": "training-status" });
        this.form = h("form", { class: "form", novalidate: true, "data-testid": "training-form" });
        this.form.addEventListener("submit", (event) => {
            event.preventDefault();
            if (this.fields) handlers.onStart(this.fields.changed);
        });
        /** @type {ParameterFields|null} */
        this.fields = null;
        this.element = h("section", { class: "card", "aria-label": "Training" }, this.status, this.form);
    }

    /** Make the form. @param {Parameters} defaults of the server */
    setDefaults(defaults) {
        if (this.fields) return;
        this.fields = new ParameterFields(defaults);
        this.startButton = h("button", { type: "submit", class: "button primary", "data-testid": "start-training" }, "Start training");
        this.resumeButton = h("button", {
            type: "button", class: "button", hidden: true, onclick: () => this.handlers.onStart({ resume: true }),
        }, "Resume the interrupted one");
        this.reason = h("p", { class: "hint" });
        fill(this.form, this.fields.element,
            h("div", { class: "form-end" }, this.startButton, this.resumeButton, this.reason));
    }

    /**
     * Show the state of the training.
     * @param {Training|null} training null before the first one
     * @param {string} logLine last line of its log; may be empty
     * @param {boolean} mayTrain whether the user may start and stop
     */
    show(training, logLine, mayTrain) {
        const ongoing = isOngoing(training);
        this.form.hidden = ongoing;
        if (this.startButton && this.resumeButton && this.reason) {
            this.startButton.disabled = !mayTrain;
            this.resumeButton.hidden = training?.state !== "interrupted" || !mayTrain;
            this.reason.textContent = mayTrain ? "" : "Training needs the role admin.";
        }
        if (training === null) {
            fill(this.status, h("h2", {}, "Train the model"),
                h("p", { class: "hint" }, "The model has not been trained on the labels of this study yet. A training takes the served "
                    + "model and goes on with it; it replaces the model only where held-out images do not get worse."));
            return;
        }
        fill(this.status, this.#head(training, ongoing, mayTrain), ...(ongoing ? progressOf(training, logLine) : outcomeOf(training)));
    }

    /** @param {Training} training @param {boolean} ongoing @param {boolean} mayTrain */
    #head(training, ongoing, mayTrain) {
        const stop = ongoing && h("button", {
            type: "button", class: "button danger", "data-testid": "stop-training", disabled: !mayTrain,
            title: mayTrain ? null : "Stopping needs the role admin.", onclick: this.handlers.onStop,
        }, icon("stop"), "Stop");
        return h("div", { class: "card-head" },
            h("div", { class: "title-line" }, h("h2", {}, ongoing ? "This training" : "Last training"),
                h("span", { class: "badge", role: "status" }, h("span", { class: "dot", "data-training": training.state }), STATES[training.state])),
            stop);
    }
}

/** @param {Training} training @param {string} logLine */
function progressOf(training, logLine) {
    const { percent = 0, epoch = 0, total_epochs: epochs = 0, stage = "", loss, validation, before, images } = training;
    const left = secondsLeft(training);
    const figures = [
        figure("Epoch", epochs ? `${epoch} of ${epochs}` : "–"),
        figure("Time left", left === null ? "–" : `about ${durationText(left)}`),
        figure("Loss", typeof loss === "number" ? loss.toFixed(3) : "–"),
        figure("Corners off", errorChange(before?.corner_mean, validation?.corner_mean)),
    ];
    return [
        h("div", { class: "progress-line" },
            h("progress", { max: 100, value: percent, "aria-label": "Progress of the training" }), h("span", {}, `${Math.round(percent)} %`)),
        h("p", { class: "hint" }, [STAGES[stage] ?? "", images?.training ? `on ${plural(images.training, "image")}` : "",
            images?.validation ? `checked on ${images.validation}` : ""].filter(Boolean).join(", ")),
        h("dl", { class: "figures" }, ...figures),
        logLine && h("p", { class: "log-line", "data-testid": "training-log", title: logLine }, logLine),
    ];
}

/** @param {number|null|undefined} before @param {number|null|undefined} after pixels */
function errorChange(before, after) {
    if (typeof after !== "number") return "–";
    return typeof before === "number" ? `${before.toFixed(1)} → ${after.toFixed(1)} px` : `${after.toFixed(1)} px`;
}

/** @param {string} name @param {string} value */
function figure(name, value) {
    return h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, value));
}

/** @param {Training} training */
function outcomeOf(training) {
    const ended = (training.start_ts ?? 0) + (training.elapsed_s ?? 0);
    const when = training.start_ts ? `Ended ${dateTimeText(ended)} after ${durationText(training.elapsed_s ?? 0)}.` : "";
    const unchanged = {
        failed: "The model is unchanged.", stopped: "It was stopped; the model is unchanged.",
        interrupted: "It was interrupted, and can be resumed; the model is unchanged.", done: "", starting: "", running: "",
    }[training.state];
    return [
        h("p", { class: "hint" }, [training.error ?? "", unchanged, when].filter(Boolean).join(" ")),
        training.gate && verdict(training.gate, training.message ?? ""),
    ];
}

/**
 * The publish gate's verdict.
 * @param {Gate} gate
 * @param {string} message what else the training says of its outcome; may be empty
 */
function verdict(gate, message) {
    return h("div", { class: "verdict", "data-published": String(gate.is_published), "data-testid": "verdict" },
        h("strong", {}, gate.is_published ? "The new version is served." : "The new version was held back."),
        h("p", {}, message || gate.why));
}
