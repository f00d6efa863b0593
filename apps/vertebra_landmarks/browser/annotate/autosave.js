/** Keeps the work on the open image as a draft in this browser, with every edit. */

import { NewestOnly } from "../editor/newest_only.js";

/** @typedef {import("../editor/drafts.js").Draft} Draft */
/** @typedef {import("./workspace.js").Workspace} Workspace */

/** While a point is dragged, a draft is written this often; every completed edit is written at once. */
const DRAG_INTERVAL_MS = 250;
const NOT_KEPT = "Your edits cannot be kept in this browser: its storage is full or blocked. " +
    "You can go on; submit the label before you close this tab.";

/** Writes the draft of the open image, the newest state only. */
export class Autosave {
    /** @type {NewestOnly<void>} */
    #writes;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    #isTold = false;

    /** @param {Workspace} workspace */
    constructor(workspace) {
        this.workspace = workspace;
        this.#writes = new NewestOnly(() => this.#write());
    }

    /**
     * The user changed something.
     * @param {boolean} isOngoing whether it is a part of a drag that goes on
     */
    onEdited(isOngoing) {
        const { session } = this.workspace;
        session.revision += 1;
        session.timer.touch();
        if (!isOngoing) {
            this.#submit();
        } else {
            this.#timer ??= setTimeout(() => this.#submit(), DRAG_INTERVAL_MS);
        }
    }

    /** Write unsaved edits now. @returns {Promise<boolean>} whether all are kept or submitted */
    async flush() {
        const { session } = this.workspace;
        if (!session.isSaved) this.#submit();
        await this.#writes.idle();
        return session.isSaved;
    }

    /** The server has all of the work: its draft is no longer needed. */
    async onSubmitted() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        const { session } = this.workspace;
        await this.#writes.idle();
        if (session.isUnsaved) return; // edited meanwhile
        try {
            await this.workspace.drafts.remove(session.key);
            if (session.resumedKey) await this.workspace.drafts.remove(session.resumedKey);
            session.resumedKey = "";
        } catch { /* what cannot be deleted is offered again, with the label that is newer */ }
    }

    #submit() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#writes.submit();
    }

    async #write() {
        const { workspace } = this;
        const { session, drafts, editor, context } = workspace;
        const { revision, resumedKey } = session;
        if (session.isSaved) return;
        try {
            await drafts.save(session.draft(editor, session.author(context.user())), resumedKey);
            if (session.resumedKey === resumedKey) session.resumedKey = "";
            session.savedRevision = Math.max(session.savedRevision, revision);
            workspace.isInMemoryOnly = this.#isTold = false;
        } catch {
            workspace.isInMemoryOnly = true;
            if (!this.#isTold && !workspace.isClosed) context.messages.show(NOT_KEPT, "error");
            this.#isTold = true;
        }
        workspace.refresh();
    }
}
