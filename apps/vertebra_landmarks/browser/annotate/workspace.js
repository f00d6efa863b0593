/** The open image with its points: what all parts of the page work on, and tell each other when it changes. */

import { ServerError, isCancelled, messageOf } from "../api/errors.js";
import { Listeners } from "../editor/changes.js";
import { Drafts } from "../editor/drafts.js";
import { Measuring, pointsBody } from "../editor/measuring.js";
import { UPRIGHT, UprightMap, isSameOrientation, orientationOf } from "../editor/orientation.js";
import { SpineEditor } from "../editor/spine_editor.js";

/** @typedef {import("../api/types.js").Measurement} Measurement */
/** @typedef {import("../api/types.js").Radiograph} Radiograph */
/** @typedef {import("../canvas/radiograph_view.js").RadiographView} RadiographView */
/** @typedef {import("../editor/origin.js").Orientation} Orientation */
/** @typedef {import("../editor/spine.js").Spine} Spine */
/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {import("./edit_session.js").EditSession} EditSession */
/** @typedef {import("./edit_session.js").Side} Side */

const RECONNECT_INTERVAL_MS = 5000;
/** Source of a side that a user stated, in the facts of an image; any other source is the file. */
const BY_PERSON = "stated by a person";

/**
 * A request whose progress is shown.
 * @typedef {object} Job
 * @property {string} description such as "Finding landmarks"
 * @property {AbortController} controller
 * @property {number} done bytes transferred
 * @property {number} total bytes in all; 0 where unknown
 */

/** State of the page. Whoever changes it calls `refresh`. */
export class Workspace {
    editor = new SpineEditor();
    drafts = new Drafts();
    /** Called after each change of what the sections show. @type {Listeners<void>} */
    listeners = new Listeners();
    /** Called with each measurement. @type {Listeners<Measurement>} */
    measuredListeners = new Listeners();
    /** @type {Map<string, Job>} */
    jobs = new Map();
    /** Null until the pixels are there. @type {Radiograph | null} */
    image = null;
    /** @type {Orientation} */
    orientation = UPRIGHT;
    /** As the file or a user states it. @type {Side} */
    statedSide = null;
    /** Where the points come from. @type {"" | "prediction" | "label" | "draft" | "reading"} */
    label = "";
    /** Measurement of the present or slightly earlier points. @type {Measurement | null} */
    measured = null;
    /** Whether the server does not respond. */
    isLost = false;
    /** Whether drafts cannot be saved. */
    isInMemoryOnly = false;
    isClosed = false;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #reconnection;

    /**
     * @param {Context} context
     * @param {RadiographView} view
     * @param {EditSession} session
     */
    constructor(context, view, session) {
        this.context = context;
        this.view = view;
        this.session = session;
        this.measuring = new Measuring(context.client, (measured) => this.#onMeasured(measured), (error) =>
            this.showError(error)
        );
    }

    /**
     * Name and version of the model; null where the server has none, or the study plan offers none in this reading.
     * @returns {{version: string} | null}
     */
    get model() {
        if (this.session.part?.model === false) return null;
        const model = this.context.session.info?.models.vertebra_landmarks;
        return model ? { version: String(model.model_version ?? "") } : null;
    }

    /** Whether the user may change the points, as far as is known. */
    get mayEdit() {
        const { session, context } = this;
        const isAllowed = context.session.role === null || context.session.may("annotator");
        const isChosen = !session.isAdjudication || session.source !== "" || session.baseVersion > 0;
        return isAllowed && isChosen && session.part?.may_save !== false;
    }

    /** Whether the file itself states the patient's side. */
    get isSideInFile() {
        const facts = this.image?.facts;
        return Boolean(facts?.image_left_is) && facts?.image_left_is_source !== BY_PERSON;
    }

    /**
     * The patient's side at the left of the upright image; null where unknown, and where the image is turned otherwise
     * than the file states that states the side.
     * @returns {Side}
     */
    get imageLeftIs() {
        const isUpright = isSameOrientation(this.orientation, UPRIGHT);
        const isAsStated = isUpright || isSameOrientation(this.orientation, this.image?.facts.orientation ?? null);
        return this.isSideInFile && !isAsStated ? null : this.statedSide;
    }

    /** Width over height of a stored pixel in the patient. */
    get pixelAspect() {
        return this.image?.facts.pixel_aspect ?? 1;
    }

    /** Between stored pixels and those of the upright image. @returns {UprightMap} */
    get uprightMap() {
        return new UprightMap(this.image?.width ?? 1, this.image?.height ?? 1, this.orientation);
    }

    /** Show an image without points. @param {Radiograph} image */
    showImage(image) {
        const { width, height, data, facts } = image;
        this.image = image;
        this.statedSide = facts.image_left_is;
        this.orientation = facts.orientation ?? UPRIGHT;
        this.view.show({ width, height, data, orientation: this.orientation, pixelAspect: facts.pixel_aspect });
    }

    /** Tell the sections that something changed. */
    refresh() {
        if (!this.isClosed) this.listeners.notify();
    }

    /**
     * Points of a response with those off the image not visible.
     * @param {Spine} spine
     * @param {Uint8Array | null} touched those that a user set stay
     * @returns {Spine}
     */
    cutToImage(spine, touched = null) {
        return this.image ? spine.cutTo(this.image.width, this.image.height, touched) : spine;
    }

    /** Turn the image upright by the model, else by its file, and in both cases as its points agree. */
    updateOrientation() {
        if (!this.image) return;
        const { width, height, facts } = this.image;
        const stated = this.editor.origin.orientation ?? facts.orientation ?? this.orientation;
        const orientation = orientationOf(this.editor.spine().xy, width, height, stated);
        if (!isSameOrientation(orientation, this.orientation)) {
            this.orientation = orientation;
            this.view.setOrientation(orientation);
        }
    }

    /** Measure the present points. */
    measure() {
        if (this.image) this.measuring.request(() => this.#measureBody(this.editor));
    }

    /**
     * Measure points once, for a decision that depends on them.
     * @param {AbortSignal} signal
     * @param {SpineEditor} editor other points of the same image; the present ones when left out
     * @returns {Promise<Measurement>}
     */
    fetchMeasurement(signal, editor = this.editor) {
        return this.context.client.post("/measure", this.#measureBody(editor), { signal });
    }

    /** @param {SpineEditor} editor */
    #measureBody(editor) {
        const { session } = this;
        const { width, height, facts } = /** @type {Radiograph} */ (this.image);
        const { names_right, tilt_half_widths_deg, warnings } = editor.origin;
        return {
            ...pointsBody(editor),
            image: { width, height, image_left_is: this.imageLeftIs, pixel_aspect: facts.pixel_aspect },
            orientation: this.orientation,
            origin: { names_right, tilt_half_widths_deg, warnings: unique([...(facts.warnings ?? []), ...warnings]) },
            label: session.final && { user: session.final.user ?? "", ts: session.final.ts ?? null },
            user: this.context.user(),
            is_proposal: session.showsProposal(editor),
        };
    }

    /** @param {Measurement} measured */
    #onMeasured(measured) {
        this.measured = measured;
        this.markConnected();
        this.measuredListeners.notify(measured);
    }

    /**
     * Run a request whose progress is shown; one of the same name is cancelled. Errors are shown.
     * @template R
     * @param {string} name
     * @param {string} description
     * @param {(job: Job) => Promise<R>} work
     * @param {(error: unknown) => unknown} onError called with what it failed with; shows it if left out
     * @returns {Promise<R | undefined>} undefined where it failed or was cancelled
     */
    async run(name, description, work, onError = (error) => this.showError(error)) {
        this.cancel(name);
        /** @type {Job} */
        const job = { description, controller: new AbortController(), done: 0, total: 0 };
        this.jobs.set(name, job);
        this.refresh();
        try {
            const result = await work(job);
            this.markConnected();
            return job.controller.signal.aborted ? undefined : result;
        } catch (error) {
            if (!job.controller.signal.aborted) await onError(error);
            return undefined;
        } finally {
            if (this.jobs.get(name) === job) this.jobs.delete(name);
            this.refresh();
        }
    }

    /** Cancel the job of that name, or all. @param {string} name */
    cancel(name = "") {
        for (const [key, { controller }] of [...this.jobs]) {
            if (name === "" || name === key) {
                this.jobs.delete(key);
                controller.abort();
            }
        }
    }

    /** Show an error; a lost server is asked again until it responds. @param {unknown} error */
    showError(error) {
        if (this.isClosed || isCancelled(error)) return;
        if (error instanceof ServerError && error.kind === "unreachable") {
            this.#markLost();
        } else {
            this.context.messages.show(messageOf(error), "error");
        }
    }

    #markLost() {
        if (this.isLost) return;
        this.isLost = true;
        this.context.messages.show("The server does not respond. Your work is kept; it is tried again.", "error");
        this.#reconnection = setInterval(() => void this.reconnect(), RECONNECT_INTERVAL_MS);
        this.refresh();
    }

    /** Ask a lost server whether it is back. */
    async reconnect() {
        try {
            await this.context.session.loadInfo();
            this.markConnected();
        } catch (error) {
            if (!(error instanceof ServerError && error.kind === "unreachable")) this.markConnected();
        }
    }

    /** The server responds. */
    markConnected() {
        if (!this.isLost) return;
        this.isLost = false;
        clearInterval(this.#reconnection);
        this.context.messages.show("The server responds again.");
        this.measure();
        this.refresh();
    }

    /** End all requests; nothing is shown any more. */
    close() {
        this.isClosed = true;
        clearInterval(this.#reconnection);
        this.cancel();
        this.measuring.close();
        this.listeners.clear();
        this.measuredListeners.clear();
    }
}

/**
 * Warnings without repetitions.
 * @param {any[]} warnings
 */
function unique(warnings) {
    return [...new Map(warnings.map((one) => [JSON.stringify([one.code, one.message]), one])).values()];
}
