/** The page that annotates one image: the radiograph with its points, and a panel as that of the Slicer module. */

import { withQuery } from "../api/client.js";
import { messageOf } from "../api/errors.js";
import { RadiographView } from "../canvas/radiograph_view.js";
import { ADOPTED, LOADED, LOCKED } from "../editor/changes.js";
import { serverIdentity } from "../editor/drafts.js";
import { isFinitePoint } from "../editor/geometry.js";
import { pivotOf } from "../editor/point_state.js";
import { CENTER_INDEX, indexOf } from "../editor/schema.js";
import { h } from "../shell/dom.js";
import { Autosave } from "./autosave.js";
import { EditSession } from "./edit_session.js";
import { ImageLoader } from "./image_loader.js";
import { Inference } from "./inference.js";
import { Keys, helpSections } from "./keys.js";
import { Navigation, openedImages } from "./next_image.js";
import { Placement } from "./placement.js";
import { PointKeys } from "./point_keys.js";
import { Presence } from "./presence.js";
import { ConflictSection } from "./sections/conflict.js";
import { CorrectSection } from "./sections/correct.js";
import { ImagesSection } from "./sections/images.js";
import { MeasureSection } from "./sections/measure.js";
import { Notices, showInstead } from "./sections/notices.js";
import { PlaceSection } from "./sections/place.js";
import { ReadingSection } from "./sections/reading.js";
import { SubmitSection } from "./sections/submit.js";
import { ViewSection } from "./sections/view.js";
import { Submission } from "./submission.js";
import { Workspace } from "./workspace.js";

/** @typedef {import("../api/types.js").Measurement} Measurement */
/** @typedef {import("../canvas/radiograph_view.js").Target} Target */
/** @typedef {import("../editor/changes.js").Change} Change */
/** @typedef {import("../editor/geometry.js").Point} Point */
/** @typedef {import("../shell/context.js").Context} Context */
/** @typedef {import("./edit_session.js").Side} Side */
/** @typedef {"point" | "vertebra" | "rotate"} DragMode */

/** Activity is noted this often at most. */
const ACTIVITY_INTERVAL_MS = 1000;
const ACTIVITIES = ["pointerdown", "pointermove", "wheel", "keydown"];
const ZOOM = 1.25;
/** How long the server may take to store a label before its image can be left all the same. */
const LEAVING_TIMEOUT_MS = 8000;
const unansweredOf = (/** @type {string} */ id) =>
    `The server has not answered: the label of ${id} may have been stored or not. Your work on it is among the unfinished work.`;

/**
 * Open an image to annotate.
 * @param {HTMLElement} container empty
 * @param {string} imageId
 * @param {Context} context
 * @param {string} [reading] that an adjudicator edits: its number, or "mean"
 * @returns {{close: () => Promise<boolean>}} close returns false where the user stays
 */
export function openAnnotate(container, imageId, context, reading = "") {
    const page = new AnnotatePage(container, imageId, context, reading);
    void page.open();
    return page;
}

/** One image with its panel. */
export class AnnotatePage {
    /** What dragging a point does. @type {DragMode} */
    dragMode = "point";
    /** Aborted when the page is left: ends its listeners. */
    #ending = new AbortController();
    #lastActivity = 0;
    /** Whether the points cannot be changed, since the user may only look. */
    isLookOnly = false;

    /**
     * @param {HTMLElement} container empty
     * @param {string} imageId
     * @param {Context} context
     * @param {string} reading that an adjudicator edits
     */
    constructor(container, imageId, context, reading) {
        context.probe.opening();
        this.opened = openedImages(context.user);
        this.stage = h("div", { class: "stage" });
        this.panel = h("aside", { class: "panel", "aria-label": "Panel" });
        container.append(h("div", { class: "annotate" }, this.stage, this.panel));
        this.view = new RadiographView(this.stage, this.#handlers());
        this.view.element.dataset.testid = "canvas";
        this.view.element.setAttribute("role", "application");
        this.view.element.setAttribute("aria-label", `Radiograph ${imageId} with its landmarks: Tab goes from point to ` +
            "point, arrows move the selected one, Escape leaves");
        const session = new EditSession(imageId, serverIdentity(document.baseURI), reading);
        session.user = context.user();
        this.workspace = new Workspace(context, this.view, session);
        this.autosave = new Autosave(this.workspace);
        this.inference = new Inference(this.workspace, () => this.autosave.onEdited(false));
        this.submission = new Submission(this.workspace, this.autosave, this.inference, () => this.#onStored());
        this.presence = new Presence(this.workspace);
        this.placement = new Placement(this.workspace, () => this.#onPlacement());
        this.loader = new ImageLoader(this.workspace, this);
        this.pointKeys = new PointKeys(this);
        this.notices = new Notices(this);
        this.reading = new ReadingSection(this);
        this.conflict = new ConflictSection(this);
        this.navigation = new Navigation(this);
        this.images = new ImagesSection(this);
        this.viewSection = new ViewSection(this);
        this.correct = new CorrectSection(this);
        this.place = new PlaceSection(this);
        this.measure = new MeasureSection(this);
        this.submit = new SubmitSection(this);
        this.#fillPanel();
        this.keys = new Keys(this.#keyActions(), this.panel);
        this.#listen();
        context.setHelp(helpSections());
    }

    /** Load and show the image. */
    async open() {
        const { workspace, loader, opened } = this;
        void workspace.context.session.ready.then(() => { // whose image it is
            opened.push(workspace.session.imageId);
            workspace.refresh();
        });
        this.presence.open();
        let label;
        try {
            label = await loader.open();
        } catch (error) {
            if (workspace.isClosed) return;
            workspace.context.probe.failed(error);
            showInstead(this.stage, messageOf(error), () => void workspace.context.router.reload());
            return;
        }
        if (workspace.isClosed) return;
        this.#followAccess();
        this.viewSection.apply();
        if (!document.activeElement?.closest("header, dialog, .panel")) this.view.element.focus({ preventScroll: true });
        workspace.context.probe.shown({
            id: workspace.session.imageId,
            position: (name) => this.#positionOf(name, ([v, p]) => toXy(workspace.editor.point(v, p))),
            screenPosition: (name) => this.#positionOf(name, ([v, p]) => this.view.screenPosition(v, p)),
            state: () => ({
                image: workspace.session.imageId,
                edits: workspace.session.edits(workspace.editor),
                version: workspace.session.baseVersion,
            }),
        });
        await loader.offerDraft(label);
        if (!workspace.isClosed) this.#followAccess();
    }

    /** Leave the image; unsaved work is kept in the browser. @returns {Promise<boolean>} false where the user stays */
    async close() {
        const { workspace, autosave } = this;
        workspace.context.probe.leaving();
        this.pointKeys.end();
        workspace.editor.end();
        const isAnswered = await this.submission.idle(LEAVING_TIMEOUT_MS);
        if (!(await autosave.flush())) {
            const text = "Your edits are not submitted, and cannot be kept in this browser. They would be lost.";
            const choices = [{ label: "Stay", value: "stay" }, { label: "Leave", value: "leave" }];
            if ((await workspace.context.messages.ask(text, choices)) !== "leave") {
                workspace.context.probe.staying();
                return false;
            }
        }
        if (!isAnswered) workspace.context.messages.show(unansweredOf(workspace.session.imageId));
        this.presence.close();
        this.inference.cancel();
        workspace.close();
        this.keys.remove();
        this.#ending.abort();
        this.view.destroy();
        workspace.context.probe.opening();
        return true;
    }

    /** Selected point; point null for a whole vertebra. */
    get selected() {
        return this.view.selected;
    }

    /**
     * Select a point, a whole vertebra (`p` null) or nothing (`v` null).
     * @param {number | null} v
     * @param {number | null} p
     */
    select(v, p = null) {
        this.view.select(v, p);
        this.workspace.refresh();
    }

    /** Show a vertebra with its neighbours, and select it. @param {number} v */
    jumpTo(v) {
        this.view.zoomTo(v);
        this.select(v);
        this.pointKeys.announceSelected();
    }

    /** Show the present points. */
    showPoints() {
        this.view.setPoints(this.placement.shownXy);
    }

    /** Show a measurement in image and table. @param {Measurement} measured */
    showMeasurement(measured) {
        this.view.setMeasurement(measured);
        this.measure.show(measured);
    }

    /** @param {DragMode} mode */
    setDragMode(mode) {
        this.dragMode = mode;
        this.#setMode();
        this.workspace.refresh();
    }

    /** Protect all points. @param {boolean} isOn */
    setLocked(isOn) {
        this.pointKeys.end();
        this.placement.stop();
        this.workspace.editor.locked = isOn;
        this.view.setLocked(isOn);
        this.workspace.refresh();
    }

    /** Protect all points where the user may only look. */
    #followAccess() {
        const isLookOnly = this.workspace.image !== null && !this.workspace.mayEdit;
        if (isLookOnly === this.isLookOnly) return;
        this.isLookOnly = isLookOnly;
        this.setLocked(isLookOnly || this.correct.controls.isLockChosen);
    }

    /** Begin guided placement, where the points are to be placed by hand. */
    startPlacing = () => {
        if (!this.placement.step) this.place.toggle();
    };

    /** Undo the last step; during a drag, the drag. */
    undo() {
        this.workspace.editor.undo();
    }

    /**
     * Mark a point, or a whole vertebra, as not visible.
     * @param {number} v
     * @param {number | null} p
     */
    hide(v, p) {
        this.pointKeys.end();
        this.workspace.editor.hide(v, p);
    }

    /** Shift all names. @param {number} by 1 or -1 */
    shiftNames(by) {
        this.pointKeys.end();
        this.workspace.editor.shiftNames(by);
    }

    /**
     * Shift a vertebra on the screen by pixels of the image.
     * @param {number} v
     * @param {number} right
     * @param {number} down
     */
    move(v, right, down) {
        const { editor, uprightMap } = this.workspace;
        editor.moveVertebra(v, uprightMap.shiftToStored([right, down]));
    }

    /**
     * Rotate a vertebra about its center.
     * @param {number} v
     * @param {number} degrees clockwise on the screen
     */
    rotate(v, degrees) {
        const { editor, orientation, pixelAspect } = this.workspace;
        editor.rotateVertebra(v, orientation.mirrored ? -degrees : degrees, pixelAspect);
    }

    /** Keep the edits as a draft, and show again what the server has. @param {string} notice */
    async startOver(notice) {
        this.pointKeys.end();
        this.placement.stop();
        await this.loader.startOver(notice);
        this.#followAccess();
    }

    /**
     * State the patient's side at the left of the image; the server stores it, else the draft does.
     * @param {Side} side
     */
    async setSide(side) {
        const { workspace } = this;
        const { context, session } = workspace;
        if (workspace.isSideInFile) return;
        workspace.statedSide = side;
        workspace.measure();
        workspace.refresh();
        const query = withQuery("/datastore/image/side", { image: session.imageId });
        const path = `${query}&image_left_is=${side ?? ""}`;
        const isStored = context.session.may("annotator") && await workspace.run("side", "Storing the patient's side",
            async ({ controller }) => {
                await context.client.put(path, null, { signal: controller.signal });
                return true;
            });
        session.imageLeftIs = isStored ? null : side;
        if (!isStored) this.autosave.onEdited(false);
    }

    /** Fill the panel, and keep it up to date. */
    #fillPanel() {
        const { conflict, images, viewSection, correct, place, measure, submit, notices, reading, workspace } = this;
        this.panel.append(
            reading.element, notices.element,
            h("div", { class: "sections" }, conflict.element, images.element, viewSection.element, correct.element,
                place.element),
            h("div", { class: "dock" }, measure.element, submit.element)
        );
        const sections = [reading, notices, conflict, images, correct, place, measure, submit];
        workspace.listeners.subscribe(() => sections.forEach((one) => one.refresh()));
        workspace.measuredListeners.subscribe((measured) => {
            if (!conflict.isTheirsShown) this.showMeasurement(measured);
            correct.checks.show(measured.to_check);
        });
        workspace.refresh();
    }

    #listen() {
        const { workspace } = this;
        const { signal } = this.#ending;
        workspace.editor.subscribe((change) => this.#onEdit(change));
        workspace.context.session.onChange(() => {
            this.#followAccess();
            workspace.refresh();
        }, signal);
        workspace.context.study.onChange(() => workspace.refresh(), signal);
        for (const name of ACTIVITIES) {
            document.addEventListener(name, () => this.#onActivity(), { signal, passive: true, capture: true });
        }
        window.addEventListener("beforeunload", (event) => {
            workspace.editor.end();
            if (!workspace.session.isSaved) event.preventDefault();
        }, { signal });
        window.addEventListener("pagehide", () => void this.autosave.flush(), { signal });
        document.addEventListener("visibilitychange", () => {
            if (document.visibilityState === "hidden") void this.autosave.flush();
        }, { signal });
    }

    #onActivity() {
        const now = performance.now();
        if (now - this.#lastActivity < ACTIVITY_INTERVAL_MS) return;
        this.#lastActivity = now;
        this.workspace.session.timer.touch();
        this.submit.refresh();
    }

    /** @param {Change} change */
    #onEdit(change) {
        const { workspace } = this;
        if (change.kind === LOCKED) return;
        workspace.session.changeCount += 1;
        this.submission.withdraw();
        if (change.kind === LOADED || change.kind === ADOPTED) {
            workspace.updateOrientation();
        } else {
            this.autosave.onEdited(change.isOngoing);
            this.inference.onEdited(change);
        }
        this.conflict.hideTheirs(); // nobody is to change points that are not shown
        this.showPoints();
        workspace.measure();
        if (!change.isOngoing) workspace.refresh();
    }

    #onPlacement() {
        if (!this.placement.step) this.pointKeys.hideCross();
        this.#setMode();
        this.showPoints();
        this.workspace.refresh();
    }

    #setMode() {
        this.view.setMode(this.placement.step ? "place" : this.dragMode);
    }

    #onStored() {
        const { study } = this.workspace.context;
        if (study.plan !== null) void study.load();
        if (this.submit.nextAfter.input.checked) void this.navigation.next();
        else void this.loader.refreshPart();
    }

    /** @returns {import("../canvas/radiograph_view.js").Handlers} */
    #handlers() {
        return {
            onDragStart: () => {
                this.pointKeys.end();
                this.workspace.editor.begin();
            },
            onDrag: (target, position) => this.#onDrag(target, position),
            onDragEnd: () => this.workspace.editor.end(),
            onSelect: () => {
                this.pointKeys.end();
                this.workspace.refresh();
            },
            onClickImage: (position) => this.placement.take(position),
            onWindow: () => this.viewSection.onWindow(),
        };
    }

    /**
     * A point was dragged to a position.
     * @param {Target} target
     * @param {Point} position
     */
    #onDrag({ vertebra: v, point, mode }, position) {
        const { editor, pixelAspect } = this.workspace;
        const p = point ?? CENTER_INDEX;
        const before = editor.point(v, p);
        if (!isFinitePoint(before) || mode === "point") {
            editor.place(v, p, position);
        } else if (mode === "vertebra" || p === CENTER_INDEX) {
            editor.moveVertebra(v, [position[0] - before[0], position[1] - before[1]]);
        } else {
            const [x, y] = pivotOf(editor.points(v));
            const [x0, x1] = [before, position].map((at) => (at[0] - x) * pixelAspect);
            const [y0, y1] = [before, position].map((at) => at[1] - y);
            const angle = Math.atan2(x0 * y1 - y0 * x1, x0 * x1 + y0 * y1);
            editor.rotateVertebra(v, (angle * 180) / Math.PI, pixelAspect);
        }
    }

    /**
     * @param {string} name
     * @param {(index: readonly [number, number]) => {x: number, y: number}} find
     */
    #positionOf(name, find) {
        const index = indexOf(name);
        const position = index && find(index);
        return position && Number.isFinite(position.x) ? position : null;
    }

    /** Actions of the keys, by name; most click a button if it is enabled. @returns {Record<string, () => unknown>} */
    #keyActions() {
        const { view, viewSection, correct } = this;
        const rotate = (/** @type {number} */ by) => this.selected && this.rotate(this.selected.vertebra, by);
        return {
            next: () => this.images.next.click(),
            previous: () => this.images.previous.click(),
            infer: () => correct.infer.click(),
            submit: () => this.submit.submit.click(),
            undo: () => this.undo(),
            redo: () => correct.redo.click(),
            layers: () => viewSection.nextLayers(),
            doubt: () => correct.checks.showNext(),
            hide: () => (view.hovered ? this.hide(view.hovered.vertebra, view.hovered.point) : correct.controls.hide()),
            place: () => this.place.toggle(),
            dragMode: () => correct.controls.nextDragMode(),
            rotateLeft: () => rotate(-1),
            rotateRight: () => rotate(1),
            namesUp: () => correct.up.click(),
            namesDown: () => correct.down.click(),
            zoomIn: () => view.zoomBy(ZOOM),
            zoomOut: () => view.zoomBy(1 / ZOOM),
            fit: () => view.fit(),
            invert: () => viewSection.toggleInverted(),
            equalize: () => viewSection.toggleEqualized(),
            help: () => this.workspace.context.toggleHelp(),
        };
    }
}

/** @param {Point} point */
function toXy([x, y]) {
    return { x, y };
}
