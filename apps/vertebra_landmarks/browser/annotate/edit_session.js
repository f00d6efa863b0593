/** Work on one image, from its opening to its closing: its effort, and what of it is saved or submitted. */

import { newKey } from "../api/random_key.js";
import { maskOf, namesOf } from "../editor/schema.js";
import { Spine } from "../editor/spine.js";
import { isSameVersions } from "../shell/study.js";

/** @typedef {import("../api/types.js").LabelInfo} LabelInfo */
/** @typedef {import("../api/types.js").Part} Part */
/** @typedef {import("../editor/drafts.js").Draft} Draft */
/** @typedef {import("../editor/spine_editor.js").SpineEditor} SpineEditor */
/** @typedef {"left" | "right" | null} Side of the patient at the left of the upright image; null where unknown */

/** Longer pauses do not count as working time. */
export const MAX_PAUSE_S = 60;

/** Working time without pauses. */
export class WorkTimer {
    /** @type {number | null} */
    #last = null;

    /**
     * @param {number} seconds worked before, where work is resumed
     * @param {() => number} clock monotonic time in seconds
     */
    constructor(seconds = 0, clock = () => performance.now() / 1000) {
        this.seconds = seconds;
        this.clock = clock;
    }

    /** Note activity: the time since the last one counts, unless it was a long pause. */
    touch() {
        const now = this.clock();
        const pause = this.#last === null ? 0 : now - this.#last;
        this.seconds += pause <= MAX_PAUSE_S ? pause : 0;
        this.#last = now;
    }
}

/** Work on one image. Revisions count changes by the user. */
export class EditSession {
    key = newKey();
    timer = new WorkTimer();
    /** Version of the submitted label that the user has seen; 0 without one. */
    baseVersion = 0;
    /** The submitted label, as far as known. @type {LabelInfo | null} */
    final = null;
    /** Edits of the resumed draft. */
    editsBefore = 0;
    /** Who worked on the resumed draft; "" where that is the same user. */
    begunBy = "";
    /** Key of the draft that is resumed, until it is replaced by this session's; "" for none. */
    resumedKey = "";
    /** Whether a model's points were shown when the image was opened, and were not submitted since. */
    isProposal = false;
    /** Of the editor, when the image was opened or last submitted. */
    predictionCount = 0;
    /** The side as the user states it, while the server does not store it. @type {Side} */
    imageLeftIs = null;
    /** Changes of the points, by whomever. */
    changeCount = 0;
    /** Digest of the image's file that is shown. */
    imageDigest = "";
    /** Who has opened the image; of a study, all work on it is that user's. */
    user = "";
    /** What the user may do with the image of a study; null without a plan. @type {Part | null} */
    part = null;
    /** Versions of the readings that an adjudicator chooses from, by number; null for everybody else. */
    /** @type {Record<string, number> | null} */
    readingVersions = null;
    revision = 0;
    savedRevision = 0;
    submittedRevision = 0;

    /**
     * @param {string} imageId
     * @param {string} server see `Draft`
     * @param {string} source reading that an adjudicator edits: its number, or "mean"; "" for none
     */
    constructor(imageId, server, source = "") {
        this.imageId = imageId;
        this.server = server;
        this.source = source;
    }

    /**
     * The same image from the beginning.
     * @returns {EditSession}
     */
    again() {
        const session = new EditSession(this.imageId, this.server, this.source);
        session.imageDigest = this.imageDigest;
        session.user = this.user;
        return session;
    }

    /** Whether the user chooses the final label of an image with several readings. */
    get isAdjudication() {
        return this.readingVersions !== null;
    }

    /** Number of the reading that is made; 0 for the final label of an adjudicator, null for neither. */
    get reading() {
        return this.isAdjudication ? 0 : this.part?.reading?.number ?? null;
    }

    /**
     * Whether a reading was changed since work began that is kept as a draft.
     * @param {Draft} draft of an adjudicator
     */
    isChangedSince({ readingVersions }) {
        return this.readingVersions !== null && !isSameVersions(readingVersions ?? {}, this.readingVersions);
    }

    /** Whose the work is: without a plan, that of whoever is named in the end. @param {string} user @returns {string} */
    author(user) {
        return this.part === null ? user : this.user;
    }

    /** Whether there are changes that the server does not have. */
    get isUnsaved() {
        return this.submittedRevision < this.revision;
    }

    /** Whether all changes are in this browser's drafts or on the server. */
    get isSaved() {
        return Math.max(this.savedRevision, this.submittedRevision) >= this.revision;
    }

    /**
     * Number of edits, including those of a resumed draft.
     * @param {SpineEditor} editor
     */
    edits(editor) {
        return this.editsBefore + editor.edits;
    }

    /**
     * Whether some of the points are a model's that no user has set or submitted.
     * @param {SpineEditor} editor
     */
    showsProposal(editor) {
        const isNew = this.isProposal || editor.predictionCount !== this.predictionCount;
        return isNew && !editor.touched.every(Boolean);
    }

    /**
     * The work as it is now.
     * @param {SpineEditor} editor
     * @param {string} user
     * @returns {Omit<Draft, "format">}
     */
    draft(editor, user) {
        return {
            key: this.key,
            imageId: this.imageId,
            server: this.server,
            imageDigest: this.imageDigest,
            user,
            landmarks: editor.spine().toLandmarks(),
            touched: namesOf(editor.touched),
            seconds: this.timer.seconds,
            edits: this.edits(editor),
            saved: Date.now() / 1000,
            baseVersion: this.baseVersion,
            origin: editor.origin,
            isProposal: this.showsProposal(editor),
            begunBy: this.begunBy,
            imageLeftIs: this.imageLeftIs,
            reading: this.reading,
            slot: this.part?.reading ?? null,
            source: this.source,
            readingVersions: this.readingVersions,
        };
    }

    /**
     * Continue the work of a draft.
     * @param {SpineEditor} editor
     * @param {Draft} draft
     * @param {string} user
     */
    resume(editor, draft, user) {
        this.timer = new WorkTimer(draft.seconds);
        this.editsBefore = draft.edits;
        this.begunBy = draft.user === user ? draft.begunBy : draft.user;
        this.resumedKey = draft.key;
        this.isProposal = draft.isProposal;
        this.imageLeftIs = draft.imageLeftIs;
        this.baseVersion = draft.baseVersion;
        if (this.isAdjudication) { // what its points were made from: the server compares
            this.readingVersions = draft.readingVersions ?? {};
            this.source = draft.source ?? this.source;
        } else if (this.part?.reading === null && draft.slot) { // it ran out: the server begins it again, or the next one
            this.part = { ...this.part, model: draft.slot.model, reading: { ...draft.slot } };
        }
        this.predictionCount = 0;
        this.revision += 1;
        editor.load(Spine.fromLandmarks(draft.landmarks), maskOf(draft.touched), draft.origin, true);
    }
}
