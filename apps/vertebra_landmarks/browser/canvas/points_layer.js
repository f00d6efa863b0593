/** Points, outlines, endplates, Cobb lines and texts over the image, drawn on a Konva layer. */

import { CENTER_INDEX, P, V, VERTEBRAE } from "../editor/schema.js";
import { CORNER, HOVERED, MEASURED, SURE, cssColor, hexColor, pale } from "./display.js";
import { placeTexts } from "./overlay_texts.js";

/** @typedef {import("./view_transform.js").ViewTransform} ViewTransform */
/** @typedef {import("./nearest_point.js").PointIndex} PointIndex */
/** @typedef {{vertebra: number, point: number | null}} Selection */

/**
 * The part of the answer of `POST /measure` that is drawn.
 *
 * @typedef {object} Measurement
 * @property {{text: string, lines: number[][][]}[]} curves ends of the two Cobb lines, left end first, stored pixels
 * @property {Record<string, {color: string, state: string, sign: string}>} vertebrae
 */

/**
 * @typedef {object} Layers which parts are shown
 * @property {boolean} image
 * @property {boolean} centers
 * @property {boolean} corners
 * @property {boolean} outlines
 * @property {boolean} endplates
 * @property {boolean} angles
 * @property {boolean} names
 */

/** @typedef {CanvasRenderingContext2D} Context */
/** @typedef {{bright: string, pale: string, sign: string, isDoubtful: boolean}} VertebraStyle */

/** @type {Readonly<Layers>} */
export const ALL_LAYERS = Object.freeze({
    ...{ image: true, centers: true, corners: true, outlines: true, endplates: true, angles: true, names: true },
});

const HALO = "rgba(0, 0, 0, 0.65)";
const LINE_PX = 1.5;
const COBB_PX = 2;
const HALO_PX = 2; // added to the width of a line
const MIN_RADIUS_PX = 2;
const MAX_RADIUS_PX = 5;
const RADIUS_OF_HEIGHT = 0.11;
const HOVERED_GROWTH_PX = 2;
const SELECTED_GROWTH_PX = 5;
const [TL, TR, BL, BR] = [1, 2, 3, 4];
const SIDES = [TL, BL, TR, BR];
const ENDPLATES = [TL, TR, BL, BR];
const AROUND = [TL, TR, BR, BL];
/** @type {VertebraStyle} */
const PLAIN = { bright: hexColor(SURE), pale: pale(hexColor(SURE)), sign: "", isDoubtful: false };

/** Draws the points of one spine. */
export class PointsLayer {
    /**
     * @param {HTMLDivElement} container
     * @throws {Error} Konva was not loaded
     */
    constructor(container) {
        const Konva = /** @type {any} */ (globalThis).Konva;
        if (!Konva) {
            throw new Error("vendor/konva.min.js was not loaded before the page's modules");
        }
        /** Points in stored pixels, NaN where absent. */
        this.xy = new Float64Array(2 * V * P).fill(NaN);
        /** Points in CSS pixels, as drawn last. */
        this.screen = new Float64Array(2 * V * P).fill(NaN);
        /** @type {Layers} */
        this.layers = { ...ALL_LAYERS };
        /** @type {PointIndex | null} */
        this.hovered = null;
        /** @type {Selection | null} */
        this.selected = null;
        /** Median height of the bodies in CSS pixels, 0 without one. */
        this.bodyHeight = 0;
        /** @type {VertebraStyle[]} */
        this._styles = Array(V).fill(PLAIN);
        /** @type {string[]} */
        this._signs = Array(V).fill("");
        /** @type {{text: string, stored: Float64Array, lines: Float64Array}[]} */
        this._curves = [];
        /** @type {Map<string, number>} */
        this._widths = new Map();
        this._view = { width: 1, height: 1 };
        this._stage = new Konva.Stage({ container, width: 1, height: 1, listening: false });
        this._layer = new Konva.Layer({ listening: false });
        this._layer.add(new Konva.Shape({ listening: false, sceneFunc: (/** @type {any} */ c) => this._paint(c) }));
        this._stage.add(this._layer);
    }

    /**
     * @param {number} width CSS pixels
     * @param {number} height CSS pixels
     * @param {number} pixelRatio pixels of the screen per CSS pixel
     */
    resize(width, height, pixelRatio) {
        this._view = { width, height };
        this._layer.getCanvas().setPixelRatio(pixelRatio);
        this._stage.size({ width, height });
    }

    /** @param {Measurement | null} measurement */
    setMeasurement(measurement) {
        this._styles = VERTEBRAE.map((name) => styleOf(measurement?.vertebrae[name]));
        this._signs = this._styles.map(({ sign }) => sign);
        this._curves = (measurement?.curves ?? []).map(({ text, lines }) => ({
            text,
            stored: Float64Array.from(lines.flat(2)),
            lines: new Float64Array(8),
        }));
    }

    /** @param {ViewTransform} transform */
    draw(transform) {
        transform.allToScreen(this.xy, this.screen);
        for (const { stored, lines } of this._curves) {
            transform.allToScreen(stored, lines);
        }
        this.bodyHeight = medianBodyHeight(this.xy) * transform.scale;
        this._layer.draw();
    }

    /** Whether points 0 (center) to 4 (BR) are shown. @param {number} p */
    isShown(p) {
        return p === CENTER_INDEX ? this.layers.centers : this.layers.corners;
    }

    destroy() {
        this._stage.destroy();
    }

    /** @param {any} konvaContext */
    _paint(konvaContext) {
        const context = /** @type {Context} */ (konvaContext._context);
        context.lineCap = context.lineJoin = "round";
        this._paintBodies(context);
        if (this.layers.angles) {
            this._paintCobbLines(context);
        }
        this._paintPoints(context);
        this._paintSelected(context);
        this._paintTexts(context);
    }

    /** @param {Context} context */
    _paintBodies(context) {
        const { outlines, endplates } = this.layers;
        if (!outlines && !endplates) {
            return;
        }
        context.beginPath();
        for (let v = 0; v < V; v++) {
            if (outlines) this._trace(context, v, SIDES);
            this._trace(context, v, ENDPLATES);
        }
        strokeAs(context, HALO, LINE_PX + HALO_PX);
        for (let v = 0; v < V; v++) {
            if (outlines) {
                context.beginPath();
                this._trace(context, v, SIDES);
                strokeAs(context, this._styles[v].pale, LINE_PX);
            }
            context.beginPath();
            this._trace(context, v, ENDPLATES);
            strokeAs(context, endplates ? this._styles[v].bright : this._styles[v].pale, LINE_PX);
        }
    }

    /** @param {Context} context */
    _paintCobbLines(context) {
        context.beginPath();
        for (const { lines } of this._curves) {
            context.moveTo(lines[0], lines[1]);
            context.lineTo(lines[2], lines[3]);
            context.moveTo(lines[4], lines[5]);
            context.lineTo(lines[6], lines[7]);
        }
        strokeAs(context, HALO, COBB_PX + HALO_PX);
        strokeAs(context, cssColor(MEASURED), COBB_PX);
    }

    /** @param {Context} context */
    _paintPoints(context) {
        const radius = Math.min(Math.max(this.bodyHeight * RADIUS_OF_HEIGHT, MIN_RADIUS_PX), MAX_RADIUS_PX);
        context.beginPath();
        for (let v = 0; v < V; v++) {
            this._traceCorners(context, v, radius);
        }
        strokeAs(context, HALO, LINE_PX + HALO_PX);
        for (let v = 0; v < V; v++) {
            const { isDoubtful, bright } = this._styles[v];
            context.beginPath();
            this._traceCorners(context, v, radius);
            strokeAs(context, isDoubtful ? bright : cssColor(CORNER), LINE_PX);
        }
        for (let v = 0; this.layers.centers && v < V; v++) {
            const { isDoubtful, bright } = this._styles[v];
            context.beginPath();
            this._circle(context, v, CENTER_INDEX, radius * 0.8);
            strokeAs(context, HALO, HALO_PX);
            context.fillStyle = isDoubtful ? bright : cssColor(SURE);
            context.fill();
        }
        if (this.hovered && this.isShown(this.hovered.point)) {
            const { vertebra, point } = this.hovered;
            context.beginPath();
            this._circle(context, vertebra, point, radius + HOVERED_GROWTH_PX);
            strokeAs(context, HALO, LINE_PX + 2 * HALO_PX);
            strokeAs(context, cssColor(HOVERED), LINE_PX + 0.5);
        }
    }

    /** @param {Context} context */
    _paintSelected(context) {
        if (!this.selected) {
            return;
        }
        const { vertebra, point } = this.selected;
        context.beginPath();
        if (point === null) {
            this._traceAround(context, vertebra);
        } else {
            this._circle(context, vertebra, point, MAX_RADIUS_PX + SELECTED_GROWTH_PX);
        }
        strokeAs(context, HALO, LINE_PX + HALO_PX);
        context.setLineDash([4, 4]);
        strokeAs(context, cssColor(HOVERED), LINE_PX);
        context.setLineDash([]);
    }

    /** @param {Context} context */
    _paintTexts(context) {
        const texts = placeTexts(
            {
                ...this._view,
                screen: this.screen,
                curves: this._curves,
                signs: this._signs,
                hovered: this.hovered,
                bodyHeight: this.bodyHeight,
                showsNames: this.layers.names,
                showsAngles: this.layers.angles,
            },
            (text, font) => this._widthOf(context, text, font)
        );
        context.textBaseline = "middle";
        context.strokeStyle = HALO;
        context.lineWidth = 3;
        for (const { x, y, text, color, font } of texts) {
            context.font = font;
            context.strokeText(text, x, y);
            context.fillStyle = color;
            context.fillText(text, x, y);
        }
    }

    /**
     * @param {Context} context
     * @param {string} text
     * @param {string} font
     */
    _widthOf(context, text, font) {
        const key = `${font} ${text}`;
        let width = this._widths.get(key);
        if (width === undefined) {
            if (this._widths.size >= MAX_WIDTHS) {
                this._widths.clear(); // angles change with every move
            }
            context.font = font;
            width = context.measureText(text).width;
            this._widths.set(key, width);
        }
        return width;
    }

    /**
     * Add lines between pairs of points of a vertebra, where both are there.
     *
     * @param {Context} context
     * @param {number} v
     * @param {number[]} points start, end, start, end, ...
     */
    _trace(context, v, points) {
        for (let k = 0; k < points.length; k += 2) {
            const a = 2 * (P * v + points[k]);
            const b = 2 * (P * v + points[k + 1]);
            context.moveTo(this.screen[a], this.screen[a + 1]); // does nothing where NaN
            if (!Number.isNaN(this.screen[a])) {
                context.lineTo(this.screen[b], this.screen[b + 1]);
            }
        }
    }

    /**
     * @param {Context} context
     * @param {number} v
     */
    _traceAround(context, v) {
        for (let k = 0; k < AROUND.length; k++) {
            this._trace(context, v, [AROUND[k], AROUND[(k + 1) % AROUND.length]]);
        }
    }

    /**
     * @param {Context} context
     * @param {number} v
     * @param {number} radius
     */
    _traceCorners(context, v, radius) {
        if (this.layers.corners) {
            ENDPLATES.forEach((p) => this._circle(context, v, p, radius));
        }
    }

    /**
     * @param {Context} context
     * @param {number} v
     * @param {number} p
     * @param {number} radius CSS pixels
     */
    _circle(context, v, p, radius) {
        const x = this.screen[2 * (P * v + p)];
        const y = this.screen[2 * (P * v + p) + 1];
        if (!Number.isNaN(x)) {
            context.moveTo(x + radius, y);
            context.arc(x, y, radius, 0, 2 * Math.PI);
        }
    }
}

const MAX_WIDTHS = 500;

/**
 * @param {{color: string, state: string, sign: string} | undefined} measured
 * @returns {VertebraStyle}
 */
function styleOf(measured) {
    if (!measured) {
        return PLAIN;
    }
    const { color, state, sign } = measured;
    return { bright: color, pale: pale(color), sign, isDoubtful: state === "doubtful" };
}

/**
 * @param {Context} context
 * @param {string} color
 * @param {number} width
 */
function strokeAs(context, color, width) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.stroke();
}

const heights = new Float64Array(V);

/**
 * Median of the mean lengths of the two sides; 0 without a complete body.
 *
 * @param {Float64Array} xy points, NaN where absent
 */
export function medianBodyHeight(xy) {
    let count = 0;
    for (let v = 0; v < V; v++) {
        const at = 2 * P * v;
        const left = Math.hypot(xy[at + 2 * TL] - xy[at + 2 * BL], xy[at + 2 * TL + 1] - xy[at + 2 * BL + 1]);
        const right = Math.hypot(xy[at + 2 * TR] - xy[at + 2 * BR], xy[at + 2 * TR + 1] - xy[at + 2 * BR + 1]);
        if (!Number.isNaN(left + right)) {
            heights[count++] = (left + right) / 2;
        }
    }
    const sorted = heights.subarray(0, count).sort();
    return count === 0 ? 0 : (sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2;
}
