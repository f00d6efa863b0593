/** Undo and redo history of the points. */

/** @typedef {import("./point_state.js").PointState} PointState */

/**
 * State before a step, and whether the step is an edit of the user rather than a prediction.
 * @typedef {{state: PointState, isEdit: boolean}} Step
 */

/** Undo and redo stacks. */
export class EditHistory {
    /** @type {Step[]} */
    #undo = [];
    /** @type {Step[]} */
    #redo = [];

    /** Whether there is a step to undo. */
    get canUndo() {
        return this.#undo.length > 0;
    }

    /** Whether there is a step to redo. */
    get canRedo() {
        return this.#redo.length > 0;
    }

    /** Number of edits of the user that were not undone. */
    get editCount() {
        return this.#undo.filter((step) => step.isEdit).length;
    }

    /** Number of adopted predictions that were not undone. */
    get predictionCount() {
        return this.#undo.length - this.editCount;
    }

    /** Whether the last step is an edit of the user. */
    get endsWithEdit() {
        return this.#undo.at(-1)?.isEdit ?? false;
    }

    /** Drop all steps. */
    clear() {
        this.#undo = [];
        this.#redo = [];
    }

    /**
     * Add a step.
     * @param {PointState} before state with which it began
     * @param {boolean} isEdit whether it is an edit of the user
     */
    push(before, isEdit) {
        this.#undo.push({ state: before, isEdit });
        this.#redo = [];
    }

    /**
     * The state before the last step; null without one.
     * @param {PointState} present
     * @returns {PointState | null}
     */
    undo(present) {
        return travel(this.#undo, this.#redo, present);
    }

    /**
     * The state after the step that was undone last; null without one.
     * @param {PointState} present
     * @returns {PointState | null}
     */
    redo(present) {
        return travel(this.#redo, this.#undo, present);
    }
}

/**
 * @param {Step[]} source
 * @param {Step[]} target
 * @param {PointState} present
 * @returns {PointState | null}
 */
function travel(source, target, present) {
    const step = source.pop();
    if (!step) {
        return null;
    }
    target.push({ state: present, isEdit: step.isEdit });
    return step.state.copy();
}
