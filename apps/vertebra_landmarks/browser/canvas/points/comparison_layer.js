/** Outlines and names of several readings of one spine over each other, each in its colour. */

import { P, V, VERTEBRAE } from "../../editor/schema.js";
import { OverlayCanvas } from "./overlay_canvas.js";
import { HALO, MARK_PX, OUTLINE, TEXT_HALO, strokeAs, traceLines } from "./painter.js";
import { medianBodyHeight } from "./point_search.js";

/** @typedef {import("../view_transform.js").ViewTransform} ViewTransform */
/**
 * @typedef {object} ShownReading
 * @property {Float64Array} xy V x P x 2 stored pixels, NaN where a point is absent
 * @property {string} color as CSS
 * @property {boolean} isDashed so that colours alone need not tell them apart
 * @property {"left" | "right" | ""} namesAt side of the vertebrae at which their names stand; "" for none
 * @property {boolean} isChosen drawn stronger than the others
 */

const [LINE_PX, CHOSEN_PX, HALO_PX] = [1.5, 2.75, 2];
const DASHES_PX = [6, 4];
const NAME_PX = 13;
const NAME_FONT = `600 ${NAME_PX}px system-ui, sans-serif`;
const [NAME_GAP_PX, NAME_HALO_PX] = [7, 3];
/** Room for a name such as "T12". */
const NAME_WIDTH_PX = 36;
/** Height of a body from which names are shown. */
const MIN_NAMES_PX = 9;
/** Opacity of readings that are not chosen, where one is. */
const FAINT = 0.5;

/** Draws readings; positions are CSS pixels of the view. */
export class ComparisonLayer {
    /** @type {ShownReading[]} */
    readings = [];
    /** Vertebra whose names are drawn white; null for none. @type {number | null} */
    selected = null;
    #screen = new Float64Array(2 * V * P);
    /** Left and right end of each vertebra over all readings, beyond which names stand; NaN without it. */
    #ends = new Float64Array(2 * V);

    /**
     * @param {HTMLCanvasElement} canvas absolutely positioned in the view
     * @param {boolean} isSoftware whether the browser draws without a graphics card
     */
    constructor(canvas, isSoftware) {
        this.canvas = new OverlayCanvas(canvas, isSoftware);
    }

    /** @param {ViewTransform} transform */
    draw(transform) {
        const context = this.canvas.begin(this.#bounds(transform));
        const hasChosen = this.readings.some(({ isChosen }) => isChosen);
        context.lineCap = context.lineJoin = "round";
        this.#findEnds(transform);
        for (const reading of this.readings) {
            transform.allToScreen(reading.xy, this.#screen);
            context.globalAlpha = hasChosen && !reading.isChosen ? FAINT : 1;
            this.#paint(context, reading, medianBodyHeight(reading.xy) * transform.scale);
        }
        context.globalAlpha = 1;
    }

    /**
     * @param {CanvasRenderingContext2D} context
     * @param {ShownReading} reading
     * @param {number} bodyHeight median in CSS pixels, 0 without a body
     */
    #paint(context, { color, isDashed, namesAt, isChosen }, bodyHeight) {
        const width = isChosen ? CHOSEN_PX : LINE_PX;
        context.beginPath();
        for (let v = 0; v < V; v++) traceLines(context, this.#screen, v, OUTLINE);
        strokeAs(context, HALO, width + HALO_PX);
        context.setLineDash(isDashed ? DASHES_PX : []);
        strokeAs(context, color, width);
        context.setLineDash([]);
        if (namesAt === "" || bodyHeight < MIN_NAMES_PX) return;
        Object.assign(context, { font: NAME_FONT, textBaseline: "middle", textAlign: namesAt === "left" ? "right" : "left" });
        for (let v = 0; v < V; v++) this.#paintName(context, v, namesAt, v === this.selected ? "#ffffff" : color);
        context.textAlign = "left";
    }

    /**
     * @param {CanvasRenderingContext2D} context
     * @param {number} v
     * @param {"left" | "right"} side
     * @param {string} color
     */
    #paintName(context, v, side, color) {
        let [top, bottom] = [Infinity, -Infinity];
        for (let i = 2 * P * v; i < 2 * P * (v + 1); i += 2) {
            const y = this.#screen[i + 1];
            if (!Number.isNaN(y)) [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
        }
        if (bottom < top) return;
        const x = side === "left" ? this.#ends[2 * v] - NAME_GAP_PX : this.#ends[2 * v + 1] + NAME_GAP_PX;
        const at = /** @type {const} */ ([VERTEBRAE[v], x, (top + bottom) / 2]);
        Object.assign(context, { strokeStyle: TEXT_HALO, lineWidth: NAME_HALO_PX, fillStyle: color });
        context.strokeText(...at);
        context.fillText(...at);
    }

    /** @param {ViewTransform} transform */
    #findEnds(transform) {
        this.#ends.fill(NaN);
        for (const { xy } of this.readings) {
            transform.allToScreen(xy, this.#screen);
            for (let i = 0; i < this.#screen.length; i += 2) {
                const [x, v] = [this.#screen[i], Math.floor(i / (2 * P))];
                if (Number.isNaN(x)) continue;
                const [left, right] = [this.#ends[2 * v], this.#ends[2 * v + 1]];
                this.#ends[2 * v] = left < x ? left : x;
                this.#ends[2 * v + 1] = right > x ? right : x;
            }
        }
    }

    /** @param {ViewTransform} transform @returns {import("./overlay_canvas.js").Box} */
    #bounds(transform) {
        const box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
        for (const { xy } of this.readings) {
            transform.allToScreen(xy, this.#screen);
            for (let i = 0; i < this.#screen.length; i += 2) {
                const [x, y] = [this.#screen[i], this.#screen[i + 1]];
                if (Number.isNaN(x)) continue;
                box.x0 = Math.min(box.x0, x - NAME_GAP_PX - NAME_WIDTH_PX);
                box.x1 = Math.max(box.x1, x + NAME_GAP_PX + NAME_WIDTH_PX);
                [box.y0, box.y1] = [Math.min(box.y0, y - MARK_PX), Math.max(box.y1, y + MARK_PX)];
            }
        }
        return box;
    }
}
