/** Manual placement with clicks in the view: point by point, or four corners of a vertebra in any order. */

import { meanOf } from "../editor/geometry.js";
import { PlacementGuide, sortCorners, spineDirection } from "../editor/placement_guide.js";
import { CORNERS, POINT_WORDS, VERTEBRAE, at, labelOf } from "../editor/schema.js";

/** @typedef {import("../editor/geometry.js").Point} Point */
/** @typedef {import("./workspace.js").Workspace} Workspace */

/** Point by point in the guided order; four corners of a vertebra in any order. */
export const [GUIDED_MODE, FREE_MODE] = ["guided", "free"];

/**
 * What the next click places.
 * @typedef {{vertebra: number, point: number | null, text: string}} PlacementStep point null for any corner
 */

/** Guided placement, from `start` to `stop` or the last point. */
export class Placement {
    mode = GUIDED_MODE;
    /** @type {PlacementGuide | null} */
    #guide = null;
    /** @type {Point[]} */
    #clicked = [];

    /**
     * @param {Workspace} workspace
     * @param {() => void} onChange called when the next point changes, or placement ends
     */
    constructor(workspace, onChange) {
        this.workspace = workspace;
        this.onChange = onChange;
    }

    /** What the next click places; null while nothing is placed. @returns {PlacementStep | null} */
    get step() {
        const place = this.#guide?.current;
        if (!place) return null;
        const [v, p] = place;
        if (this.mode === GUIDED_MODE) {
            return { vertebra: v, point: p, text: `Click ${labelOf(v, p)}: its ${POINT_WORDS[p]} corner.` };
        }
        const done = `${this.#clicked.length} of ${CORNERS.length} done`;
        return { vertebra: v, point: null, text: `Click the four corners of ${VERTEBRAE[v]} in any order: ${done}.` };
    }

    /**
     * The points to show: those of the editor, and the clicks of a vertebra that is incomplete.
     * @returns {Float64Array}
     */
    get shownXy() {
        const { xy } = this.workspace.editor;
        const vertebra = this.#guide?.current?.[0] ?? 0;
        this.#clicked.forEach((point, k) => xy.set(point, 2 * at(vertebra, k + 1)));
        return xy;
    }

    /**
     * Begin.
     * @param {string} mode `GUIDED_MODE` or `FREE_MODE`
     * @param {number | null} vertebra to begin at; null for the first that lacks a corner
     */
    start(mode, vertebra) {
        this.stop();
        const { editor, image, context } = this.workspace;
        if (!image || editor.locked) return;
        const guide = new PlacementGuide(editor.xy);
        if (vertebra !== null) guide.goTo(vertebra, editor.xy);
        if (guide.current === null) {
            context.messages.show("All points are placed. Choose the vertebra to start at, to place it again.");
            return;
        }
        this.mode = mode;
        this.#guide = guide;
        this.onChange();
    }

    /** End placement; clicks on an incomplete vertebra are dropped. */
    stop() {
        if (!this.#guide) return;
        this.#guide = null;
        this.#clicked = [];
        this.onChange();
    }

    /** Skip the next point; in the free mode, the vertebra. */
    skip() {
        const { xy } = this.workspace.editor;
        if (this.mode === GUIDED_MODE) this.#guide?.advance(xy);
        else this.#guide?.skipVertebra(xy);
        this.#proceed();
    }

    /** Go back to the previous point; in the free mode, drop the last click, or go to the vertebra above. */
    back() {
        const guide = this.#guide;
        if (this.mode === GUIDED_MODE) guide?.back();
        else if (this.#clicked.length) this.#clicked.pop();
        else if (guide?.current && guide.current[0] > 0) guide.goTo(guide.current[0] - 1);
        this.#proceed(true);
    }

    /** Use a click. @param {Point} xy stored pixels */
    take(xy) {
        const guide = this.#guide;
        const { editor } = this.workspace;
        if (!guide?.current) return;
        const [v, p] = guide.current;
        if (this.mode === GUIDED_MODE) {
            editor.place(v, p, xy);
            guide.advance(editor.xy);
            this.#proceed();
            return;
        }
        if (!this.#clicked.some((point) => point.join() === xy.join())) this.#clicked.push(xy);
        if (this.#clicked.length < CORNERS.length) {
            this.#proceed(true);
            return;
        }
        const clicked = this.#clicked;
        this.#clicked = [];
        this.#placeCorners(v, clicked);
        guide.skipVertebra(editor.xy);
        this.#proceed();
    }

    /**
     * @param {number} v
     * @param {Point[]} clicked four stored positions
     */
    #placeCorners(v, clicked) {
        const { editor, uprightMap } = this.workspace;
        const four = clicked.map((point) => uprightMap.toUpright(point));
        const upright = editor.xy;
        for (let i = 0; i < upright.length; i += 2) {
            upright.set(uprightMap.toUpright([upright[i], upright[i + 1]]), i);
        }
        const down = spineDirection(upright, v, meanOf(four)) ?? undefined;
        editor.placeCorners(v, sortCorners(four, down).map((point) => uprightMap.toStored(point)));
    }

    /** @param {boolean} keepsClicks */
    #proceed(keepsClicks = false) {
        if (!keepsClicks) this.#clicked = [];
        if (!this.#guide?.current) {
            this.stop();
        } else {
            this.onChange();
        }
    }
}
