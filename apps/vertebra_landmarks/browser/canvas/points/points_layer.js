/**
 * Points, outlines, endplates, Cobb lines and texts, drawn over the image.
 *
 * On a plain canvas instead of Konva's: of a scene graph nothing would be used, as the nearest point under the pointer
 * is searched in `point_search.js`; and without a graphics card Konva's canvas takes twice the time per frame, as it
 * always covers the whole view and cannot be drawn by the processor.
 */

import { CENTER_INDEX, P, V, VERTEBRAE } from "../../editor/schema.js";
import { SURE, hexColor, pale } from "./colors.js";
import { OverlayCanvas } from "./overlay_canvas.js";
import { placeTexts } from "./overlay_texts.js";
import { MARK_PX, paint } from "./painter.js";
import { medianBodyHeight } from "./point_search.js";

/** @typedef {import("../view_transform.js").ViewTransform} ViewTransform */
/** @typedef {import("./overlay_canvas.js").Box} Box */
/** @typedef {import("./overlay_texts.js").PlacedText} PlacedText */
/** @typedef {import("./point_search.js").PointIndex} PointIndex */
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

/**
 * What is drawn; positions are CSS pixels of the view.
 *
 * @typedef {object} Drawing
 * @property {Float64Array} screen x, y of all points, NaN where absent
 * @property {VertebraStyle[]} styles by vertebra
 * @property {{text: string, stored: Float64Array, lines: Float64Array}[]} curves ends of the Cobb lines
 * @property {PlacedText[]} texts
 * @property {PointIndex | null} hovered
 * @property {Selection | null} selected
 * @property {Layers} layers
 * @property {number} bodyHeight median, 0 without a body
 */

/** @typedef {{bright: string, pale: string, sign: string, isDoubtful: boolean}} VertebraStyle */

const MAX_WIDTHS = 500;
/** @type {VertebraStyle} */
const PLAIN = { bright: hexColor(SURE), pale: pale(hexColor(SURE)), sign: "", isDoubtful: false };

/** Draws the points of one spine. @implements {Drawing} */
export class PointsLayer {
    /**
     * @param {HTMLCanvasElement} canvas absolutely positioned in the view
     * @param {boolean} isSoftware whether the browser draws without a graphics card
     */
    constructor(canvas, isSoftware) {
        this._canvas = new OverlayCanvas(canvas, isSoftware);
        this._measuring = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
        this._width = 1;
        this._height = 1;
        /** @type {Map<string, number>} */
        this._widths = new Map();
        /** Points in stored pixels, NaN where absent. */
        this.xy = new Float64Array(2 * V * P).fill(NaN);
        this.screen = new Float64Array(2 * V * P).fill(NaN);
        /** @type {Layers} */
        this.layers = {
            ...{ image: true, centers: true, corners: true, outlines: true, endplates: true, angles: true, names: true },
        };
        /** @type {PointIndex | null} */
        this.hovered = null;
        /** @type {Selection | null} */
        this.selected = null;
        this.bodyHeight = 0;
        /** @type {VertebraStyle[]} */
        this.styles = Array(V).fill(PLAIN);
        /** @type {{text: string, stored: Float64Array, lines: Float64Array}[]} */
        this.curves = [];
        /** @type {PlacedText[]} */
        this.texts = [];
    }

    /**
     * @param {number} width CSS pixels
     * @param {number} height CSS pixels
     * @param {number} pixelRatio pixels of the screen per CSS pixel
     */
    resize(width, height, pixelRatio) {
        this._width = width;
        this._height = height;
        this._canvas.resize(width, height, pixelRatio);
    }

    /** @param {Measurement | null} measurement */
    setMeasurement(measurement) {
        this.styles = VERTEBRAE.map((name) => styleOf(measurement?.vertebrae[name]));
        this.curves = (measurement?.curves ?? []).map(({ text, lines }) => ({
            text,
            stored: Float64Array.from(lines.flat(2)),
            lines: new Float64Array(8),
        }));
    }

    /** Whether points 0 (center) to 4 (BR) are shown. @param {number} p */
    isShown(p) {
        return p === CENTER_INDEX ? this.layers.centers : this.layers.corners;
    }

    /** @param {ViewTransform} transform */
    draw(transform) {
        transform.allToScreen(this.xy, this.screen);
        for (const { stored, lines } of this.curves) {
            transform.allToScreen(stored, lines);
        }
        this.bodyHeight = medianBodyHeight(this.xy) * transform.scale;
        this.texts = placeTexts(this._textScene(), (text, font) => this._widthOf(text, font));
        paint(this._canvas.begin(this._bounds()), this);
    }

    /** @returns {import("./overlay_texts.js").TextScene} */
    _textScene() {
        return {
            screen: this.screen,
            curves: this.curves,
            signs: this.styles.map(({ sign }) => sign),
            hovered: this.hovered,
            width: this._width,
            height: this._height,
            bodyHeight: this.bodyHeight,
            showsNames: this.layers.names,
            showsAngles: this.layers.angles,
        };
    }

    /** Everything that is drawn. @returns {Box} */
    _bounds() {
        const box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
        extend(box, this.screen);
        if (this.layers.angles) {
            this.curves.forEach(({ lines }) => extend(box, lines));
        }
        for (const { x, y, width, height } of this.texts) {
            box.x0 = Math.min(box.x0, x);
            box.y0 = Math.min(box.y0, y - height / 2);
            box.x1 = Math.max(box.x1, x + width);
            box.y1 = Math.max(box.y1, y + height / 2);
        }
        return { x0: box.x0 - MARK_PX, y0: box.y0 - MARK_PX, x1: box.x1 + MARK_PX, y1: box.y1 + MARK_PX };
    }

    /**
     * @param {string} text
     * @param {string} font
     */
    _widthOf(text, font) {
        const key = `${font} ${text}`;
        let width = this._widths.get(key);
        if (width === undefined) {
            if (this._widths.size >= MAX_WIDTHS) {
                this._widths.clear(); // angles change with every move
            }
            this._measuring.font = font;
            width = this._measuring.measureText(text).width;
            this._widths.set(key, width);
        }
        return width;
    }
}

/**
 * Let a box contain points.
 *
 * @param {Box} box
 * @param {Float64Array} points x, y, x, y, ..., NaN where absent
 */
function extend(box, points) {
    for (let i = 0; i < points.length; i += 2) {
        if (!Number.isNaN(points[i])) {
            box.x0 = Math.min(box.x0, points[i]);
            box.y0 = Math.min(box.y0, points[i + 1]);
            box.x1 = Math.max(box.x1, points[i]);
            box.y1 = Math.max(box.y1, points[i + 1]);
        }
    }
}

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
