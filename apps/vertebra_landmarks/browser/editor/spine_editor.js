/**
 * Editor of the points of one image: moves, placement, undo and redo, and which points the user set.
 *
 * All coordinates are stored pixels, in which an image may lie on its side. Semantics and names are those of the Slicer
 * module's `editor/spine_editor.py`; a test runs both on the same random operations.
 */

import {
    ADOPTED, CANCELLED, HIDDEN, LOADED, LOCKED, Listeners, MOVED, PLACED, REDONE, SHIFTED, UNDONE,
} from "./changes.js";
import { EditHistory } from "./edit_history.js";
import { isFinitePoint, meanOf, rotated } from "./geometry.js";
import { UNKNOWN, shiftedOrigin } from "./origin.js";
import { FIRST, PointState, at, checkIndex, checkPosition, pivotOf } from "./point_state.js";
import { CENTER_INDEX, CORNER_INDICES, P, POINTS, V, VERTEBRAE } from "./schema.js";
import { Spine } from "./spine.js";

/** @typedef {import("./changes.js").Change} Change */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./origin.js").Origin} Origin */

const ALL = Object.freeze(VERTEBRAE.map((_, v) => v));

/**
 * Points of one image, changed only through these methods, each of which can be undone.
 *
 * A point that the user set is *touched*: its score is 1, it has no expected error, and a new prediction leaves it
 * where it is. Moving or placing a corner or center touches that point, moving or rotating a vertebra all its points; a
 * point marked as not visible is touched and stays hidden. Shifting names touches the centers. Points that only follow
 * (the center of a moved corner, the corners of a moved center) are not touched.
 *
 * Vertebrae `v` and points `p` are indices into `VERTEBRAE` and `POINTS`. Methods that change something return whether
 * they did; while the editor is locked, only `load`, `adopt` and `propose` do.
 */
export class SpineEditor {
    #state = new PointState();
    #history = new EditHistory();
    /** @type {PointState | null} */
    #begun = null;
    /** @type {Set<number>} */
    #inStep = new Set();
    #isLocked = false;
    /** @type {Listeners<Change>} */
    #listeners = new Listeners();

    /**
     * Whether the points come from a saved label or draft, not from a prediction: then a prediction replaces them only
     * by a step that can be undone. To be set when points are submitted.
     */
    isOwn = false;

    /** V x P x 2 pixels, NaN where not visible; a copy. @returns {Float64Array} */
    get xy() {
        return this.#state.xy.slice(2 * FIRST, 4 * FIRST);
    }

    /** V x P confidences, 1 where touched; a copy. @returns {Float64Array} */
    get scores() {
        return this.#state.scores.slice(FIRST, 2 * FIRST);
    }

    /** V x P expected errors in pixels, NaN where there is none; a copy. @returns {Float64Array} */
    get errors() {
        return this.#state.errors.slice(FIRST, 2 * FIRST);
    }

    /** V x P whether the user set the point or marked it as not visible; a copy. @returns {Uint8Array} */
    get touched() {
        return this.#state.touched.slice(FIRST, 2 * FIRST);
    }

    /** Whether the user set any point or shifted the names, so that a prediction keeps something fixed. */
    get isTouched() {
        return this.touched.some(Boolean);
    }

    /** Provenance of the untouched points; follows `undo` and `redo`. @returns {Origin} */
    get origin() {
        return this.#state.origin;
    }

    /** Predictions adopted since `load` and not undone. */
    get predictionCount() {
        return this.#history.predictionCount;
    }

    /** Whether the points are protected against changes. */
    get locked() {
        return this.#isLocked;
    }

    set locked(isOn) {
        if (isOn !== this.#isLocked) {
            this.end();
            this.#isLocked = isOn;
            this.#notify(LOCKED, []);
        }
    }

    /** Whether `undo` has a step to undo. */
    get canUndo() {
        return !this.#isLocked && this.isChanged;
    }

    /** Whether `redo` has a step to redo. */
    get canRedo() {
        return !this.#isLocked && this.#history.canRedo && !this.#isStepOpen;
    }

    /** Edits of the user since `load` that were not undone; a drag is one, a prediction is none. */
    get edits() {
        return this.#history.editCount + Number(this.#isStepOpen);
    }

    /** Whether any step since `load`, including predictions, was not undone. */
    get isChanged() {
        return this.#history.canUndo || this.#isStepOpen;
    }

    get #isStepOpen() {
        return this.#begun !== null && !this.#begun.isSame(this.#state);
    }

    /**
     * Position of a point; NaN where it is not visible.
     * @param {number} v
     * @param {number} p
     * @returns {Point}
     */
    point(v, p) {
        checkIndex(v, p);
        return this.#state.point(v, p);
    }

    /**
     * The P points of a vertebra; NaN where not visible.
     * @param {number} v
     * @returns {Point[]}
     */
    points(v) {
        checkIndex(v);
        return this.#state.points(v);
    }

    /**
     * Begin with these points and an empty history.
     * @param {Spine} spine points in stored pixels; those that are not visible have no position until the user places
     *     them
     * @param {Uint8Array | null} touched V x P which of them the user set; none when left out
     * @param {Origin} origin provenance of the others
     * @param {boolean} isOwn see the attribute
     */
    load(spine, touched = null, origin = UNKNOWN, isOwn = false) {
        if (touched !== null && touched.length !== V * P) {
            throw new RangeError(`touched must have ${V * P} values, got ${touched.length}`);
        }
        this.#state = PointState.ofSpine(spine, origin);
        if (touched !== null) {
            this.#state.touched.set(touched, FIRST);
        }
        this.isOwn = isOwn;
        this.#history.clear();
        this.#begun = null;
        this.#notify(LOADED, ALL);
    }

    /**
     * Take a prediction: by `load` while no user has worked on the points, else by `adopt`.
     * @param {Spine} spine
     * @param {Origin} origin
     * @returns {boolean} whether it is a step that can be undone
     */
    propose(spine, origin = UNKNOWN) {
        const isStep = this.isOwn || this.isChanged || this.isTouched;
        if (isStep) {
            this.adopt(spine, origin);
        } else {
            this.load(spine, null, origin);
        }
        return isStep;
    }

    /**
     * Replace all untouched points by a prediction; one step, which is no edit.
     *
     * Where the user moved a point while the prediction was made, the vertebra's other points are shifted with it.
     * @param {Spine} spine
     * @param {Origin} origin
     */
    adopt(spine, origin = UNKNOWN) {
        this.end();
        const before = this.#state.copy();
        this.#take(spine, origin);
        this.#history.push(before, false);
        this.#notify(ADOPTED, ALL);
    }

    /**
     * Adopt a prediction around the last edit as a part of that edit, so that one undo reverts both.
     * @param {Spine} spine
     * @param {Origin} origin
     * @returns {boolean} whether that was done: not without an edit, or during one
     */
    follow(spine, origin = UNKNOWN) {
        if (this.#begun !== null || !this.#history.endsWithEdit) {
            return false;
        }
        this.#take(spine, origin);
        this.#notify(ADOPTED, ALL);
        return true;
    }

    /** Begin a step that contains all changes until `end`; no effect within a step. */
    begin() {
        if (this.#begun === null && !this.#isLocked) {
            this.#begun = this.#state.copy();
            this.#inStep.clear();
        }
    }

    /** End the step begun by `begin`, if there is one. */
    end() {
        const before = this.#begun;
        this.#begun = null;
        if (before !== null && !before.isSame(this.#state)) {
            this.#history.push(before, true);
            this.#notify(MOVED, [...this.#inStep].sort((a, b) => a - b));
        }
    }

    /** Revert the step that is going on; returns whether that changed anything. @returns {boolean} */
    cancel() {
        const before = this.#begun;
        this.#begun = null;
        if (before === null || before.isSame(this.#state)) {
            return false;
        }
        this.#state = before;
        this.#notify(CANCELLED, [...this.#inStep].sort((a, b) => a - b));
        return true;
    }

    /**
     * Move a visible point: the center of its vertebra follows a corner, the corners follow the center.
     * @param {number} v
     * @param {number} p
     * @param {Point} xy
     * @returns {boolean}
     * @throws {RangeError} there is no such point, it is not visible, or the position is not two finite numbers
     */
    movePoint(v, p, xy) {
        if (!isFinitePoint(this.point(v, p))) {
            throw new RangeError(`${VERTEBRAE[v]} ${POINTS[p]} is not visible and cannot be moved; place it`);
        }
        return this.#put(v, p, xy, MOVED);
    }

    /**
     * Set the position of a point, whether it was visible before or not. The fourth corner sets the center, if there is
     * none.
     * @param {number} v
     * @param {number} p
     * @param {Point} xy
     * @returns {boolean}
     * @throws {RangeError} there is no such point, or the position is not two finite numbers
     */
    place(v, p, xy) {
        return this.#put(v, p, xy, PLACED);
    }

    /**
     * Set all corners of a vertebra at once; its center becomes their mean.
     * @param {number} v
     * @param {readonly Point[]} corners four, ordered as `CORNERS`
     * @returns {boolean}
     * @throws {RangeError} there is no such vertebra, or the corners are not four finite points
     */
    placeCorners(v, corners) {
        checkIndex(v);
        if (corners.length !== CORNER_INDICES.length || !corners.every(isFinitePoint)) {
            throw new RangeError(`corners must be four points of two finite numbers, got ${JSON.stringify(corners)}`);
        }
        return this.#step(PLACED, [v], () => {
            corners.forEach((corner, k) => this.#state.set(v, CORNER_INDICES[k], corner));
            this.#state.set(v, CENTER_INDEX, meanOf(corners));
            this.#state.touch(v, CORNER_INDICES);
        });
    }

    /**
     * Shift all visible points of a vertebra by (x, y) pixels.
     * @param {number} v
     * @param {Point} shift
     * @returns {boolean}
     * @throws {RangeError} there is no such vertebra, or the shift is not two finite numbers
     */
    moveVertebra(v, shift) {
        checkIndex(v);
        checkPosition(shift);
        return this.#map(v, ([x, y]) => [x + shift[0], y + shift[1]]);
    }

    /**
     * Rotate a vertebra about its center, clockwise in the stored raster for positive degrees. Without a center it
     * rotates about the mean of its visible corners.
     * @param {number} v
     * @param {number} degrees
     * @param {number} pixelAspect width over height of a stored pixel; the body keeps its shape in the patient
     * @returns {boolean}
     * @throws {RangeError} there is no such vertebra, or the angle is not finite
     */
    rotateVertebra(v, degrees, pixelAspect = 1) {
        checkIndex(v);
        if (!Number.isFinite(degrees)) {
            throw new RangeError(`degrees must be a finite number, got ${degrees}`);
        }
        const points = this.points(v);
        const pivot = points.some(isFinitePoint) ? pivotOf(points) : points[CENTER_INDEX];
        return this.#map(v, (point) => rotated(point, pivot, degrees, pixelAspect));
    }

    /**
     * Mark a point, or a whole vertebra, as not visible; a prediction does not bring it back.
     * @param {number} v
     * @param {number | null} p
     * @returns {boolean}
     * @throws {RangeError} there is no such vertebra or point
     */
    hide(v, p = null) {
        checkIndex(v, p ?? 0);
        const points = p === null ? POINTS.map((_, i) => i) : [p];
        return this.#step(HIDDEN, [v], () => {
            points.forEach((point) => this.#state.set(v, point, [NaN, NaN]));
            this.#state.touch(v, points);
        });
    }

    /**
     * Give every vertebra the name of the next one below (1) or above (-1): T7 becomes T8, or T6.
     *
     * This touches the centers, so that a prediction keeps the names. A vertebra that is shifted over the end comes
     * back by the opposite shift or by `undo`.
     * @param {number} by
     * @returns {boolean}
     * @throws {RangeError} `by` is neither 1 nor -1
     */
    shiftNames(by) {
        if (by !== 1 && by !== -1) {
            throw new RangeError(`names are shifted by 1 or -1, got ${by}`);
        }
        const shifted = this.#state.shifted(by, shiftedOrigin(this.#state.origin, by));
        if (!shifted.xy.subarray(2 * FIRST, 4 * FIRST).some(Number.isFinite)) {
            return false;
        }
        return this.#step(SHIFTED, ALL, () => {
            this.#state = shifted;
            for (const v of ALL) {
                if (isFinitePoint(this.point(v, CENTER_INDEX))) {
                    this.#state.touch(v, [CENTER_INDEX]);
                }
            }
        });
    }

    /** Undo the last step; during a drag, the drag. @returns {boolean} */
    undo() {
        return !this.#isLocked && (this.cancel() || this.#travel(this.#history.undo(this.#state), UNDONE));
    }

    /** Redo the step that was undone last. @returns {boolean} */
    redo() {
        return !this.#isLocked && this.#begun === null && this.#travel(this.#history.redo(this.#state), REDONE);
    }

    /**
     * Pixels of touched visible points, by vertebra and point, to be kept by an inference.
     * @returns {Record<string, Record<string, Point>>}
     */
    fixed() {
        return this.#positions((i) => Boolean(this.#state.touched[i]));
    }

    /**
     * Pixels of all visible points, by vertebra and point.
     * @returns {Record<string, Record<string, Point>>}
     */
    visible() {
        return this.#positions(() => true);
    }

    /** The points; those off the image are not visible. @returns {Spine} */
    spine() {
        const xy = this.xy;
        const visible = new Uint8Array(V * P).map((_, i) => Number(Number.isFinite(xy[2 * i])));
        const assumed = this.#state.offImage.subarray(2 * FIRST, 4 * FIRST);
        return new Spine(
            xy.map((value, i) => (visible[i >> 1] ? value : assumed[i])),
            this.scores,
            this.errors,
            visible
        );
    }

    /**
     * Call the listener after every change; returns a function that ends it.
     * @param {(change: Change) => unknown} listener
     * @returns {() => void}
     */
    subscribe(listener) {
        return this.#listeners.subscribe(listener);
    }

    /**
     * @param {(i: number) => boolean} isWanted of an index into the state
     * @returns {Record<string, Record<string, Point>>}
     */
    #positions(isWanted) {
        /** @type {Record<string, Record<string, Point>>} */
        const found = {};
        for (const v of ALL) {
            this.points(v).forEach((point, p) => {
                if (isFinitePoint(point) && isWanted(at(v, p))) {
                    (found[VERTEBRAE[v]] ??= {})[POINTS[p]] = point;
                }
            });
        }
        return found;
    }

    /**
     * Replace untouched points, see `adopt`.
     * @param {Spine} spine
     * @param {Origin} origin
     */
    #take(spine, origin) {
        const before = this.#state;
        this.#state = PointState.ofSpine(spine, origin);
        this.#state.keepTouched(before);
    }

    /** @type {(v: number, p: number, position: Point, kind: string) => boolean} */
    #put(v, p, position, kind) {
        checkIndex(v, p);
        checkPosition(position);
        return this.#step(kind, [v], () => this.#state.put(v, p, position));
    }

    /** @type {(v: number, mapping: (point: Point) => Point) => boolean} */
    #map(v, mapping) {
        const points = this.points(v);
        const visible = POINTS.map((_, p) => p).filter((p) => isFinitePoint(points[p]));
        if (!visible.length) {
            return false;
        }
        return this.#step(MOVED, [v], () => {
            visible.forEach((p) => this.#state.set(v, p, mapping(points[p])));
            this.#state.touch(v, visible);
        });
    }

    /**
     * Change the state unless it is locked, add the step and notify the listeners.
     * @param {string} kind
     * @param {readonly number[]} vertebrae
     * @param {() => void} change
     * @returns {boolean} whether it was changed
     */
    #step(kind, vertebrae, change) {
        if (this.#isLocked) {
            return false;
        }
        const before = this.#begun === null ? this.#state.copy() : null;
        change();
        if (before === null) {
            vertebrae.forEach((v) => this.#inStep.add(v));
        } else {
            this.#history.push(before, true);
        }
        this.#notify(kind, vertebrae, before === null);
        return true;
    }

    /** @type {(state: PointState | null, kind: string) => boolean} */
    #travel(state, kind) {
        if (state === null) {
            return false;
        }
        const before = this.#state;
        this.#state = state;
        this.#notify(kind, before.changedVertebrae(state));
        return true;
    }

    /** @type {(kind: string, vertebrae: readonly number[], isOngoing?: boolean) => void} */
    #notify(kind, vertebrae, isOngoing = false) {
        this.#listeners.notify({ kind, vertebrae, isOngoing });
    }
}
