/** Submitting a label, after warnings about likely mistakes are confirmed; a newer label is never replaced silently. */

import { withQuery } from "../api/client.js";
import { ServerError } from "../api/errors.js";
import { namesOf } from "../editor/schema.js";
import { isSameVersions, KIND_NAMES, versionsOf } from "../shell/study.js";
import { FINAL, fetchLabel } from "./image_loader.js";

/** @typedef {import("../api/types.js").Label} Label */
/** @typedef {import("../api/types.js").ImageReadings} ImageReadings */
/** @typedef {import("./workspace.js").Workspace} Workspace */

/** A second click within this time is the other half of a double click, and confirms nothing. */
const MIN_READING_MS = 300;
const UNANSWERED = "The server did not answer: the label may have been stored or not. Your work is kept. Submit it again.";

const CHANGED = "The points have changed while they were checked, and nothing was submitted. Submit again.";
const READING_CHANGED = "A reading was changed meanwhile; nothing was saved. Compare the readings, then submit again.";
const CONFIRM = "This label needs your confirmation: read the warnings at Submit, and submit again.";

/**
 * Warnings to be confirmed; a confirmation counts for these points only.
 * @typedef {{changeCount: number, askedAt: number, texts: string[]}} Question
 */

/**
 * A label that somebody saved meanwhile.
 * @typedef {{message: string, theirs: Label}} Conflict
 */

/** Stores the points as the final label of the image. */
export class Submission {
    /** What must be confirmed before the label is sent. @type {Question | null} */
    question = null;
    /** @type {Conflict | null} */
    conflict = null;

    /** @type {Promise<void> | null} */
    #running = null;

    /**
     * @param {Workspace} workspace
     * @param {import("./autosave.js").Autosave} autosave
     * @param {import("./inference.js").Inference} inference
     * @param {() => void} onStored called when the server has a label, without newer edits here
     */
    constructor(workspace, autosave, inference, onStored) {
        this.workspace = workspace;
        this.autosave = autosave;
        this.inference = inference;
        this.onStored = onStored;
    }

    /** Submit, or ask for a confirmation; the next call confirms it, where the points are the same then. */
    async submit() {
        await this.#once(() => this.#checkAndSend());
    }

    /**
     * Wait until no label is on its way, so that leaving the image does not cancel it.
     * @param {number} timeoutMs for how long
     * @returns {Promise<boolean>} whether none is
     */
    async idle(timeoutMs) {
        if (!this.#running) return true;
        const { context, session } = this.workspace;
        context.messages.show(`Waiting until the server has stored ${session.imageId} …`);
        return await Promise.race([
            this.#running.then(() => true),
            new Promise((resolve) => { setTimeout(() => resolve(false), timeoutMs); }),
        ]);
    }

    /** Do it, unless something runs already. @param {() => Promise<void>} work */
    async #once(work) {
        this.#running ??= work().finally(() => { this.#running = null; });
        await this.#running;
    }

    async #checkAndSend() {
        const { workspace } = this;
        const { context, editor } = workspace;
        if (!workspace.image || this.conflict) return;
        editor.end();
        if (!workspace.mayEdit) {
            const text = context.session.may("annotator") ? "You may look at this image, but not submit."
                : "You may view images here, but not label them. Ask the server's administrator.";
            context.messages.show(text, "error");
            return;
        }
        if (!Object.keys(editor.visible()).length) {
            context.messages.show("There are no points to submit. Place them, or find landmarks.", "error");
            return;
        }
        this.inference.cancel(); // what is on the screen is submitted, and stays there
        const { changeCount } = workspace.session;
        const measured = await workspace.run("submit", "Checking the label", ({ controller }) =>
            workspace.fetchMeasurement(controller.signal)
        );
        if (!measured) return;
        if (workspace.session.changeCount !== changeCount) {
            context.messages.show(CHANGED, "error");
            return;
        }
        const texts = measured.submission_warnings.map(({ text }) => text);
        if (texts.length && !this.#isConfirmed(texts, changeCount)) {
            this.question = { changeCount, askedAt: performance.now(), texts };
            context.messages.show(CONFIRM);
            workspace.refresh();
            return;
        }
        await this.#send();
    }

    /** Do not submit: look again, or the points are others now. */
    withdraw() {
        if (!this.question) return;
        this.question = null;
        this.workspace.context.messages.hide();
        this.workspace.refresh();
    }

    /** Replace the other label by this one. */
    async keepMine() {
        const { conflict } = this;
        if (!conflict) return;
        this.workspace.session.baseVersion = conflict.theirs.version;
        this.workspace.session.final = conflict.theirs.info;
        this.conflict = null;
        this.workspace.editor.end();
        this.inference.cancel();
        await this.#once(() => this.#send());
    }

    /** Leave both labels as they are. */
    cancelConflict() {
        this.conflict = null;
        this.workspace.context.messages.hide();
        this.workspace.refresh();
    }

    /**
     * @param {string[]} texts
     * @param {number} changeCount
     */
    #isConfirmed(texts, changeCount) {
        const { question } = this;
        return question !== null && question.changeCount === changeCount && question.texts.join() === texts.join() &&
            performance.now() - question.askedAt >= MIN_READING_MS;
    }

    async #send() {
        const { workspace, autosave } = this;
        const { session, editor, context } = workspace;
        this.question = null;
        if (session.author(context.user()) !== context.user()) {
            context.messages.show(`${session.imageId} was opened by ${session.user || "nobody"}: open it again.`, "error");
            return;
        }
        session.timer.touch();
        if (session.revision === session.submittedRevision) session.revision += 1; // becomes a label of this user
        void autosave.flush();
        const sent = { revision: session.revision, predictionCount: editor.predictionCount };
        const stored = await workspace.run("submit", `Submitting ${session.imageId}`,
            ({ controller: { signal } }) => this.#put(signal).catch((error) => this.#putElsewhere(error, signal)),
            (error) => this.#onError(error));
        if (stored) await this.#onStored(stored, sent);
    }

    /** @param {AbortSignal} signal */
    #put(signal) {
        const { session, editor, context } = this.workspace;
        const path = withQuery("/landmarks", { image: session.imageId, tag: FINAL, reading: session.reading || null });
        const body = {
            landmarks: editor.spine().toLandmarks(),
            touched: namesOf(editor.touched),
            info: {
                user: context.user(),
                begun_by: session.begunBy,
                seconds: Math.round(session.timer.seconds * 10) / 10,
                edits: session.edits(editor),
                ...(session.imageLeftIs ? { image_left_is: session.imageLeftIs } : {}),
                ...(session.isAdjudication ? { adjudicated: "edited", reading_versions: session.readingVersions } : {}),
            },
            origin: editor.origin,
        };
        const seen = `base_version=${session.baseVersion}&image_digest=${session.imageDigest}`;
        return context.client.put(`${path}&${seen}`, body, { signal });
    }

    /**
     * Store the points as another reading of the same user, where theirs has run out and was given to somebody else.
     * @param {unknown} error why they were refused
     * @param {AbortSignal} signal
     */
    async #putElsewhere(error, signal) {
        const { session, context } = this.workspace;
        const own = session.part?.reading;
        const isConflict = error instanceof ServerError && error.kind === "conflict";
        if (!isConflict || !own || own.submitted || own.kind === "repeat") throw error;
        const path = withQuery("/readings", { image: session.imageId });
        const { you } = /** @type {ImageReadings} */ (await context.client.get(path, { signal }));
        if (!you?.may_save || you.reading?.number === own.number || you.reading?.kind === "repeat") throw error;
        session.part = you;
        return this.#put(signal);
    }

    /** @param {unknown} error */
    async #onError(error) {
        const { workspace } = this;
        const { context, session } = workspace;
        if (!(error instanceof ServerError) || error.kind !== "conflict") {
            workspace.showError(error);
            const isUnanswered = error instanceof ServerError && error.kind === "unreachable";
            if (isUnanswered) context.messages.show(UNANSWERED, "error");
            return;
        }
        if (session.isAdjudication && await this.#isReadingChanged()) {
            context.messages.show(READING_CHANGED, "error");
            workspace.refresh();
            return;
        }
        const theirs = await fetchLabel(context.client, session.imageId, FINAL).catch(() => null);
        if (theirs && (session.part === null || theirs.version !== session.baseVersion)) {
            this.conflict = { message: error.message, theirs };
        }
        context.messages.show(error.message, "error");
    }

    /** Whether a reading is not as the adjudicator has seen it, which counts as seen once that is said. */
    async #isReadingChanged() {
        const { context, session } = this.workspace;
        const path = withQuery("/readings", { image: session.imageId });
        const found = /** @type {ImageReadings | null} */ (await context.client.get(path).catch(() => null));
        if (found === null || isSameVersions(versionsOf(found), session.readingVersions ?? {})) return false;
        session.readingVersions = versionsOf(found);
        return true;
    }

    /**
     * @param {{version: number, reading?: number}} stored answer of the server
     * @param {{revision: number, predictionCount: number}} sent
     */
    async #onStored(stored, sent) {
        const { workspace, autosave } = this;
        const { session, editor, context } = workspace;
        session.submittedRevision = Math.max(session.submittedRevision, sent.revision);
        session.baseVersion = stored.version;
        if (session.part?.reading) session.part.reading.submitted = true;
        session.final = { user: context.user(), ts: Date.now() / 1000 };
        session.isProposal = false;
        session.predictionCount = sent.predictionCount;
        editor.isOwn = true;
        workspace.label = "label";
        context.messages.show(`${session.imageId} is stored as ${storedAs(session, stored)}.`);
        await autosave.onSubmitted();
        workspace.measure();
        workspace.refresh();
        if (!session.isUnsaved && !workspace.isClosed) this.onStored();
    }
}

/**
 * What a label was stored as, in words.
 * @param {import("./edit_session.js").EditSession} session
 * @param {{reading?: number}} stored
 */
function storedAs(session, { reading }) {
    if (reading === undefined) return "final";
    const own = session.part?.reading;
    return own?.number === reading ? `your ${KIND_NAMES[own.kind][0]}` : `your reading, number ${reading} of this image`;
}
