/** Requesting predictions for the open image; points that a user set are never lost to them. */

import { ServerError } from "../api/errors.js";
import { MOVED } from "../editor/changes.js";
import { originIn } from "../editor/origin.js";
import { Spine } from "../editor/spine.js";
import { infer, isSubmitted } from "./image_loader.js";

/** @typedef {import("../api/types.js").Label} Label */
/** @typedef {import("../editor/changes.js").Change} Change */
/** @typedef {import("./workspace.js").Workspace} Workspace */

/** After a move, so that a key held down leads to one request. */
const FOLLOW_DELAY_MS = 100;
const CHANGED_IMAGE = "The image on the server has changed. Open it again; your work is kept.";

const NOT_OFFERED = "The study plan offers no points of the model in this reading. Place them by hand.";

/** Requests predictions: the newest one counts, earlier ones are cancelled. */
export class Inference {
    /** Whether the other points follow after each move. */
    followMoves = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #due;
    /** Whether the request that runs is about the last edit only. */
    #isFollowing = false;

    /**
     * @param {Workspace} workspace
     * @param {() => void} onStep called when a prediction has changed the user's work
     */
    constructor(workspace, onStep) {
        this.workspace = workspace;
        this.onStep = onStep;
    }

    /** Request a prediction; touched points stay, and the rest is decoded around them. */
    async infer() {
        const { workspace } = this;
        const { editor, session, context } = workspace;
        if (!workspace.model) {
            context.messages.show(session.part?.model === false ? NOT_OFFERED : "The server has no model. Place the points by hand.", "error");
            return;
        }
        const wasLabel = workspace.label === "label";
        this.#isFollowing = false;
        const prediction = await this.#request(
            editor.isTouched ? "Finding landmarks around yours" : "Finding landmarks"
        );
        if (!prediction) return;
        if (editor.propose(prediction.spine, prediction.origin)) {
            this.onStep();
        } else {
            session.isProposal = true;
            workspace.label = "prediction";
        }
        workspace.refresh();
        if (wasLabel) context.messages.show("These are points of the model. Undo brings the submitted label back.");
    }

    /**
     * Request a prediction for an image that was opened, if it has no points or those of another model version.
     * @param {Label | null} label
     */
    async inferIfOutdated(label) {
        const { model } = this.workspace;
        if (!model || (label && isSubmitted(label))) return;
        if (label === null || originIn(label.origin).model_version !== model.version) await this.infer();
    }

    /**
     * The user changed something: request a prediction around it after a pause, if it was a move.
     * @param {Change} change
     */
    onEdited(change) {
        clearTimeout(this.#due);
        if (this.#isFollowing) this.workspace.cancel("infer"); // it is out of date
        if (this.followMoves && change.kind === MOVED && !change.isOngoing) {
            this.#due = setTimeout(() => void this.#follow(), FOLLOW_DELAY_MS);
        }
    }

    /** Request nothing that is due, and take no answer to what was requested. */
    cancel() {
        clearTimeout(this.#due);
        this.workspace.cancel("infer");
    }

    /** Find the rest again around the last edit, where the untouched points are a model's. */
    async #follow() {
        const { workspace } = this;
        const { editor, session } = workspace;
        if (workspace.isLost || !workspace.model || !session.showsProposal(editor)) return;
        const { changeCount } = session;
        this.#isFollowing = true;
        const prediction = await this.#request("Finding the others around yours");
        if (prediction && session.changeCount === changeCount && editor.follow(prediction.spine, prediction.origin)) {
            this.onStep();
        }
    }

    /** @param {string} description */
    #request(description) {
        const { workspace } = this;
        const { client } = workspace.context;
        const fixed = workspace.editor.fixed();
        return workspace.run("infer", description, async ({ controller }) => {
            const answer = await infer(client, workspace.session.imageId, fixed, controller.signal);
            const { width, height } = answer.image;
            if (width !== workspace.image?.width || height !== workspace.image.height) {
                throw new ServerError("refused", CHANGED_IMAGE);
            }
            return {
                spine: workspace.cutToImage(Spine.fromLandmarks(answer.landmarks)),
                origin: originIn(answer),
            };
        });
    }
}
