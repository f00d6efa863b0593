/** Opening an image: its pixels, its submitted label or stored prediction, and the user's unfinished work. */

import { withQuery } from "../api/client.js";
import { ServerError, cancelled } from "../api/errors.js";

import { takeChosenDraft } from "../editor/drafts.js";
import { originIn } from "../editor/origin.js";
import { indexOf, maskOf } from "../editor/schema.js";
import { Spine } from "../editor/spine.js";
import { dateTimeText, plural } from "../shell/format.js";
import { versionsOf } from "../shell/study.js";

/** @typedef {import("../api/client.js").Client} Client */
/** @typedef {import("../api/types.js").Label} Label */
/** @typedef {import("../editor/drafts.js").Draft} Draft */
/** @typedef {import("../editor/spine.js").Landmark} Landmark */
/** @typedef {import("./autosave.js").Autosave} Autosave */
/** @typedef {import("./edit_session.js").EditSession} EditSession */
/** @typedef {import("./inference.js").Inference} Inference */
/** @typedef {import("./presence.js").Presence} Presence */
/** @typedef {import("../api/types.js").ImageReadings} ImageReadings */
/** @typedef {import("./workspace.js").Workspace} Workspace */

/** Positions in label files are rounded to less than this. */
const ROUNDING_PX = 0.001;

export const [FINAL, PREDICTED] = ["final", "original"];

/** Whether a person has submitted a label, as the final one or as a reading. @param {Label} label */
export const isSubmitted = (label) => label.tag !== PREDICTED;

/** Tag of corners that lie on Cobb lines which somebody has edited in a viewer of the PACS. */
const PROPOSED = "proposal_ohif";

/**
 * Corners that a proposal would move in a label; none where it is about another label or version.
 * @param {Label} proposal
 * @param {Label} label
 * @returns {Landmark[]} where they would be
 */
export function proposedCorners(proposal, label) {
    const { of_tag: tag, of_version: version, moved = [] } = proposal.info.proposal ?? {};
    if (tag !== label.tag || version !== label.version) return [];
    return proposal.landmarks.filter(({ name, visible }) => visible && moved.includes(name));
}

/**
 * Whether an earlier version of a label was edited after that label was saved, in points where it differs.
 * @param {Label} proposal
 * @param {Label} label
 */
export function isOutdated(proposal, label) {
    const { of_tag: tag, of_version: version = 0, moved = [] } = proposal.info.proposal ?? {};
    if (tag !== label.tag || version >= label.version) return false;
    if (!((proposal.info.ts ?? 0) > (label.info.ts ?? Infinity))) return false;
    const corners = proposal.landmarks.filter(({ name, visible }) => visible && moved.includes(name));
    const shown = new Map(label.landmarks.map((landmark) => [landmark.name, landmark]));
    return corners.some(({ name, x, y }) => {
        const at = shown.get(name);
        return !at || Math.max(Math.abs(at.x - x), Math.abs(at.y - y)) > ROUNDING_PX;
    });
}

/**
 * A label; null without one.
 * @param {Client} client
 * @param {string} imageId
 * @param {string} tag
 * @param {AbortSignal | null} signal
 * @returns {Promise<Label | null>}
 */
export function fetchLabel(client, imageId, tag, signal = null) {
    return client.get(withQuery("/landmarks", { image: imageId, tag, missing_ok: true }), { signal });
}

/**
 * The submitted label, else the stored prediction; null without either.
 * @param {Client} client
 * @param {string} imageId
 * @param {AbortSignal | null} signal
 * @returns {Promise<Label | null>}
 */
export async function fetchPoints(client, imageId, signal = null) {
    return (await fetchLabel(client, imageId, FINAL, signal)) ?? fetchLabel(client, imageId, PREDICTED, signal);
}

/**
 * Points around fixed ones.
 * @param {Client} client
 * @param {string} imageId
 * @param {Record<string, Record<string, [number, number]>>} fixed pixels of points to keep, by vertebra and point
 * @param {AbortSignal} signal
 * @returns {Promise<import("../api/types.js").Prediction & Partial<import("../editor/origin.js").Origin>>}
 */
export function infer(client, imageId, fixed, signal) {
    const path = withQuery("/infer/vertebra_landmarks", { image: imageId, output: "json" });
    const params = JSON.stringify(Object.keys(fixed).length ? { fixed } : {});
    return client.form(path, { params }, null, { signal });
}

/** Opens the image of a workspace, and shows again what the server has. */
export class ImageLoader {
    /**
     * @param {Workspace} workspace
     * @param {{autosave: Autosave, inference: Inference, presence: Presence, startPlacing: () => void}} parts
     */
    constructor(workspace, { autosave, inference, presence, startPlacing }) {
        this.workspace = workspace;
        this.startPlacing = startPlacing;
        this.autosave = autosave;
        this.inference = inference;
        this.presence = presence;
    }

    /**
     * Load and show the image with its points.
     * @returns {Promise<Label | null>} what the server has; null without points
     * @throws {ServerError} it cannot be shown
     */
    async open() {
        const { workspace } = this;
        const { session } = workspace;
        /** @type {unknown} */
        let failure = cancelled();
        const loaded = await workspace.run("open", `Loading ${session.imageId}`, async (job) => {
            try {
                return await this.#load(job);
            } catch (error) {
                job.controller.abort(); // the other requests are of no use without this one
                failure = error;
                throw error;
            }
        });
        if (!loaded) throw failure;
        const [image, label] = loaded;
        session.imageDigest = image.facts.digest;
        workspace.showImage(image);
        this.#showLabel(label);
        return label;
    }

    /** @param {import("./workspace.js").Job} job */
    #load(job) {
        const { context, session } = this.workspace;
        const { signal } = job.controller;
        const onProgress = (/** @type {number} */ done, /** @type {number} */ total) => {
            [job.done, job.total] = [done, total];
            this.workspace.refresh();
        };
        return Promise.all([
            context.client.pixels(session.imageId, { signal, onProgress }),
            this.#fetchPoints(session, signal),
            context.session.info ?? context.session.loadInfo(),
        ]);
    }

    /**
     * The points to begin with: in a study those of the own reading, or of the one that an adjudicator edits.
     * @param {EditSession} session gets what the user may do with the image
     * @param {AbortSignal} signal
     * @returns {Promise<Label | null>}
     */
    async #fetchPoints(session, signal) {
        const { client, study } = this.workspace.context;
        await study.known(signal);
        if (study.plan === null) return fetchPoints(client, session.imageId, signal);
        const path = withQuery("/readings", { image: session.imageId });
        const readings = /** @type {ImageReadings} */ (await client.get(path, { signal }));
        session.part = readings.you;
        if (!study.isAdjudicator || readings.readings.length < 2) return fetchPoints(client, session.imageId, signal);
        session.readingVersions = versionsOf(readings);
        return session.source ? chosenPoints(client, readings, session.source, signal)
            : fetchLabel(client, session.imageId, FINAL, signal);
    }

    /** Ask the server again what the user may do with the image of a study. */
    async refreshPart() {
        const { workspace } = this;
        const { context, session } = workspace;
        if (session.part === null) return;
        try {
            session.part = (await context.client.get(withQuery("/readings", { image: session.imageId }))).you;
            workspace.refresh();
        } catch { /* what is known stays; the next request that the user waits for says it */ }
    }

    /**
     * Offer unfinished work, else find landmarks where there are none or old ones.
     * @param {Label | null} label what the server has
     */
    async offerDraft(label) {
        const { workspace } = this;
        const { context } = workspace;
        const draft = await this.#newestDraft();
        const isStored = label !== null && isSubmitted(label) && !workspace.session.source;
        if (draft && isStored && isSamePoints(draft.landmarks, label.landmarks)) {
            await this.#discard(draft);
            context.messages.show("This label had reached the server already.");
        } else if (draft && (await this.#isResumed(draft, label))) {
            workspace.session.resume(workspace.editor, draft, context.user());
            if (draft.imageLeftIs) workspace.statedSide = draft.imageLeftIs;
            workspace.label = "draft";
            void this.autosave.flush();
            workspace.refresh();
            return;
        }
        if (!workspace.isClosed) await this.inference.inferIfOutdated(label);
        if (!workspace.isClosed && !label && workspace.session.part?.model === false && workspace.mayEdit) this.startPlacing();
        if (!workspace.isClosed && label) await this.#offerProposal(label);
    }

    /** Offer what a person has edited in a viewer, as a step that can be undone. @param {Label} label what is shown */
    async #offerProposal(label) {
        const { workspace } = this;
        const { context, session, editor } = workspace;
        if ((context.session.info?.pacs?.state ?? "off") === "off") return;
        const proposal = await fetchLabel(context.client, session.imageId, PROPOSED).catch(() => null);
        const isPredictedAnew = () => editor.predictionCount !== session.predictionCount;
        if (!proposal || workspace.isClosed || isPredictedAnew()) return;
        const who = proposal.info.user || "Somebody";
        if (isOutdated(proposal, label)) {
            const version = proposal.info.proposal?.of_version;
            context.messages.show(`${who} has edited Cobb lines of version ${version} of this label in a viewer. It was replaced since, so that they are not offered.`);
            return;
        }
        const corners = proposedCorners(proposal, label);
        if (!corners.length) return;
        const names = corners.map(({ name }) => name).join(", ");
        const text = `${who} has edited Cobb lines of this image in a viewer, which would move ${names}.`;
        const answer = await context.messages.ask(text, [
            { label: "Show the change", value: "show", kind: "primary" }, { label: "Not now", value: "later" },
        ]);
        if (answer !== "show" || workspace.isClosed || session !== workspace.session) return;
        if (isPredictedAnew()) {
            context.messages.show("The points are those of the model now. Open the image again to see the change.");
            return;
        }
        editor.begin();
        for (const { name, x, y } of corners) {
            const at = indexOf(name);
            if (at && Number.isFinite(editor.point(...at)[0])) editor.movePoint(...at, [x, y]);
        }
        editor.end();
        context.messages.show("The corners lie on the edited lines now. Undo takes them back, Submit saves them.");
    }

    /**
     * Keep the edits as a draft, and show again what the server has.
     * @param {string} notice to be shown then
     */
    async startOver(notice) {
        const { workspace, autosave } = this;
        const { context, session } = workspace;
        workspace.editor.end();
        if (!(await autosave.flush()) && !(await this.#isLossAccepted())) return;
        const again = session.again();
        const label = await workspace.run("open", `Loading ${session.imageId}`, async ({ controller }) => ({
            found: await this.#fetchPoints(again, controller.signal),
        }));
        if (!label) return;
        workspace.session = again;
        this.#showLabel(label.found);
        context.messages.show(notice);
        await this.inference.inferIfOutdated(label.found);
    }

    async #isLossAccepted() {
        const text = "Your edits cannot be kept in this browser, and would be lost.";
        const choices = [{ label: "Keep them", value: "keep" }, { label: "Lose them", value: "lose" }];
        return (await this.workspace.context.messages.ask(text, choices)) === "lose";
    }

    /** @param {Label | null} label */
    #showLabel(label) {
        const { workspace } = this;
        const { session, editor } = workspace;
        const isLabel = label !== null && isSubmitted(label);
        workspace.label = label === null ? "" : session.source ? "reading" : isLabel ? "label" : "prediction";
        session.baseVersion = isLabel ? label.version : 0;
        session.final = isLabel && !session.source ? label.info : null;
        session.isProposal = label !== null && !isLabel;
        const touched = maskOf(label?.touched ?? []);
        const spine = workspace.cutToImage(Spine.fromLandmarks(label?.landmarks ?? []), touched);
        editor.load(spine, touched, originIn(label?.origin), isLabel);
        session.timer.touch();
        workspace.refresh();
    }

    /** The draft chosen from the list, else the newest of this user; none that another tab is working on. @returns {Promise<Draft | undefined>} */
    async #newestDraft() {
        const { drafts, session, context } = this.workspace;
        const chosen = takeChosenDraft();
        try {
            const [all, elsewhere] = await Promise.all([drafts.list(session.server), this.presence.keysElsewhere()]);
            const isOwn = (/** @type {Draft} */ { user }) => user === "" || user === context.user();
            const isShown = (/** @type {Draft} */ draft) => isOfReading(draft, session, context.user());
            const free = all.filter((one) => one.imageId === session.imageId && !elsewhere.has(one.key) && isShown(one));
            return free.find(({ key }) => key === chosen) ??
                free.find((one) => one.imageDigest === session.imageDigest && isOwn(one));
        } catch {
            return undefined; // the first edit says that nothing can be kept
        }
    }

    /**
     * @param {Draft} draft
     * @param {Label | null} label
     */
    async #isResumed(draft, label) {
        const { context } = this.workspace;
        const version = label && isSubmitted(label) ? label.version : 0;
        const isOlder = version > draft.baseVersion;
        const who = label?.info.user && !this.workspace.session.source ? ` by ${label.info.user}` : "";
        const newer = isOlder ? ` It is older than the label${who} that the server has now.` : "";
        const isOther = draft.imageDigest !== this.workspace.session.imageDigest;
        const other = isOther ? " The image file was replaced since then: check that the points are of this image." : "";
        const whose = draft.user && draft.user !== context.user() ? `Unfinished work by ${draft.user}` : "Your unfinished work";
        const isChanged = this.workspace.session.isChangedSince(draft);
        const changed = isChanged ? " A reading was changed since then: compare the readings before you submit." : "";
        const text = `${whose} of ${timeText(draft.saved)}, ${plural(draft.edits, "edit")}.${newer}${changed}${other}`;
        const answer = await context.messages.ask(text, [
            { label: "Resume", value: "resume", kind: "primary" },
            { label: "Discard", value: "discard", kind: "danger" },
        ]);
        if (answer === "discard") await this.#discard(draft);
        return answer === "resume";
    }

    /** @param {Draft} draft */
    async #discard(draft) {
        try {
            await this.workspace.drafts.remove(draft.key);
        } catch (error) {
            this.workspace.showError(error);
        }
    }
}

/**
 * The points of a reading, or of the mean of two, as the final label that they would become.
 * @param {Client} client
 * @param {ImageReadings} found
 * @param {string} source number of the reading, or "mean"
 * @param {AbortSignal} signal
 * @returns {Promise<Label>}
 * @throws {ServerError} there is no such reading, or no mean
 */
async function chosenPoints(client, { image, readings, final, mean }, source, signal) {
    const isMean = source === "mean";
    const number = isMean ? readings[0].number : Number(source);
    if (isMean && !mean?.landmarks.length) {
        throw new ServerError("refused", mean?.sentence || "There is no mean of these readings.");
    }
    const label = /** @type {Label} */ (await client.get(withQuery("/landmarks", { image, reading: number }), { signal }));
    const stored = final?.version ?? readings.find(({ tag }) => tag === FINAL)?.version ?? 0;
    const landmarks = isMean && mean ? mean.landmarks : label.landmarks;
    const touched = isMean ? landmarks.map(({ name }) => name) : label.touched;
    return { ...label, tag: FINAL, version: stored, landmarks, touched };
}

/**
 * Whether unfinished work belongs to the reading that is open: in a study nobody gets to see that of others, nor the
 * own of an earlier reading. Work on a reading that ran out becomes the one that the user has instead.
 * @param {Draft} draft
 * @param {EditSession} session
 * @param {string} user
 */
export function isOfReading(draft, session, user) {
    const begun = draft.reading ?? null;
    if (session.part === null) return begun === null || draft.user === user;
    if (draft.user !== user) return false;
    if (begun === 0 || (begun !== null && session.reading === 0)) return begun === session.reading && isOfSource(draft, session);
    if (begun !== null) return begun === session.reading || isMoved(draft, session.part);
    if (session.reading === null) return true;
    const isOwnWork = draft.baseVersion === 0 && !draft.begunBy; // from before the plan: of nobody else's label
    return isOwnWork && session.reading !== 0 && session.part?.reading?.kind !== "repeat";
}

/**
 * Whether the work of an adjudicator began with what is to be edited now.
 * @param {Draft} draft
 * @param {EditSession} session
 */
function isOfSource({ source }, session) {
    return !session.source || source === undefined || source === session.source;
}

/**
 * Whether work on a reading that was not submitted, and ran out, may go on as the reading that the user has now.
 * @param {Draft} draft
 * @param {import("../api/types.js").Part} part
 */
function isMoved({ slot = null }, { may_save: maySave, reading }) {
    if (!slot || slot.submitted || !maySave) return false;
    return reading === null || (!reading.submitted && reading.kind !== "repeat" && slot.kind !== "repeat");
}

/** "14:32", or day and time where it was not today. @param {number} seconds since 1970 */
function timeText(seconds) {
    const [day, time] = dateTimeText(seconds).split(" ");
    return day === dateTimeText(Date.now() / 1000).split(" ")[0] ? time : `${day} ${time}`;
}

/**
 * Whether two lists of points agree up to the rounding of label files.
 * @param {Landmark[]} some
 * @param {Landmark[]} others
 */
function isSamePoints(some, others) {
    const visible = some.filter((one) => one.visible);
    const known = new Map(others.filter((one) => one.visible).map((one) => [one.name, one]));
    return visible.length === known.size && visible.every(({ name, x, y }) => {
        const other = known.get(name);
        return other && Math.abs(other.x - x) <= ROUNDING_PX && Math.abs(other.y - y) <= ROUNDING_PX;
    });
}
