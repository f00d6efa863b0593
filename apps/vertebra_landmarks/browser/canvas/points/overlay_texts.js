/** Which texts are drawn over the image, and where, so that none lies on another. */

import { CENTER_INDEX, P, V, VERTEBRAE, labelOf } from "../../editor/schema.js";
import { DOUBTFUL, MEASURED, NAME, cssColor } from "./colors.js";

/** @typedef {import("./point_search.js").PointIndex} PointIndex */
/** @typedef {(text: string, font: string) => number} Measure width of a text in CSS pixels */

/**
 * @typedef {object} PlacedText
 * @property {number} x left end in CSS pixels
 * @property {number} y middle of the letters
 * @property {number} width
 * @property {number} height
 * @property {string} text
 * @property {string} color
 * @property {string} font
 * @property {boolean} hasPlate whether it is drawn on a dark plate
 * @property {boolean} isAtLeft whether it ends, instead of beginning, at what it names
 */

/**
 * @typedef {object} TextScene
 * @property {Float64Array} screen x, y of all points in CSS pixels, NaN where absent
 * @property {{text: string, lines: Float64Array}[]} curves ends of the two Cobb lines in CSS pixels, left end first
 * @property {string[]} signs "", "?" or "!" by vertebra
 * @property {PointIndex | null} hovered
 * @property {number} width of the view in CSS pixels
 * @property {number} height
 * @property {number} bodyHeight median in CSS pixels, 0 without a body
 * @property {boolean} showsNames
 * @property {boolean} showsAngles
 */

/** @typedef {import("./overlay_canvas.js").Box} Box */

const [TL, BL] = [1, 3];
const NAME_PX = 12;
const ANGLE_PX = 15;
const NAME_FONT = `${NAME_PX}px system-ui, sans-serif`;
const CHECK_FONT = `bold ${NAME_PX}px system-ui, sans-serif`;
const ANGLE_FONT = `600 ${ANGLE_PX}px system-ui, sans-serif`;
const GAP_PX = 6; // between a vertebra and its name
const HOVER_PX = 9; // between a point and its label
const EDGE_PX = 8; // between an angle and the edge of the view
const APART_PX = 4; // between two angles
const MIN_NAMES_PX = 9; // heights of a body from which names and the labels of all points are shown
const MIN_POINT_LABELS_PX = 90;
const NAME_COLOR = cssColor(NAME);
const CHECK_COLOR = cssColor(DOUBTFUL);
const ANGLE_COLOR = cssColor(MEASURED);

/**
 * Texts in the order of importance: angles, the point under the mouse, vertebrae to be checked, other names. A name
 * that would lie on an earlier text is left out; angles are moved apart.
 *
 * @param {TextScene} scene
 * @param {Measure} measure
 * @returns {PlacedText[]}
 */
export function placeTexts(scene, measure) {
    /** @type {PlacedText[]} */
    const placed = [];
    /** @type {Box[]} */
    const taken = [];
    if (scene.showsAngles) {
        for (const curve of scene.curves) {
            placeAngle(scene, curve, measure, placed, taken);
        }
    }
    if (scene.showsNames) {
        for (const text of wantedNames(scene)) {
            text.width = measure(text.text, text.font);
            text.x -= text.isAtLeft ? text.width + 2 * HOVER_PX : 0;
            const box = boxOf(text);
            if (isInView(box, scene) && !taken.some((other) => isOverlapping(box, other))) {
                placed.push(text);
                taken.push(box);
            }
        }
    }
    return placed;
}

/**
 * The angle of a curve, between the ends of its lines on the side where they converge.
 *
 * @param {TextScene} scene
 * @param {{text: string, lines: Float64Array}} curve
 * @param {Measure} measure
 * @param {PlacedText[]} placed
 * @param {Box[]} taken
 */
function placeAngle(scene, { text, lines }, measure, placed, taken) {
    const [x0, y0, x1, y1, x2, y2, x3, y3] = lines;
    const isAtRight = (x1 - x0) * (y3 - y2) - (y1 - y0) * (x3 - x2) < 0;
    const width = measure(text, ANGLE_FONT);
    const outer = isAtRight ? Math.max(x1, x3) + EDGE_PX : Math.min(x0, x2) - EDGE_PX - width;
    const x = Math.max(Math.min(outer, scene.width - width - EDGE_PX), EDGE_PX);
    const y = (isAtRight ? y1 + y3 : y0 + y2) / 2;
    const look = { color: ANGLE_COLOR, font: ANGLE_FONT, hasPlate: true, isAtLeft: !isAtRight };
    const angle = { x, y, width, height: ANGLE_PX, text, ...look };
    let box = boxOf(angle);
    if (!isInView(box, scene)) {
        return;
    }
    for (const other of taken) {
        if (isOverlapping(box, other)) {
            angle.y = other.y1 + ANGLE_PX / 2 + APART_PX + 1;
            box = boxOf(angle);
        }
    }
    placed.push(angle);
    taken.push(box);
}

/**
 * Names of vertebrae, or labels of points where a body is large, the most important first.
 *
 * @param {TextScene} scene
 * @returns {PlacedText[]}
 */
function wantedNames(scene) {
    const { hovered, signs } = scene;
    /** @type {PlacedText[]} */
    const first = [];
    /** @type {PlacedText[]} */
    const last = [];
    if (hovered && (hovered.point !== CENTER_INDEX || scene.bodyHeight >= MIN_POINT_LABELS_PX)) {
        pushLabel(first, scene, hovered.vertebra, hovered.point);
    }
    for (let v = 0; v < V; v++) {
        if (scene.bodyHeight >= MIN_POINT_LABELS_PX) {
            for (let p = 0; p < P; p++) {
                pushLabel(signs[v] ? first : last, scene, v, p);
            }
        } else if (scene.bodyHeight >= MIN_NAMES_PX || signs[v] || hovered?.vertebra === v) {
            pushName(signs[v] || hovered?.vertebra === v ? first : last, scene, v);
        }
    }
    return [...first, ...last];
}

/**
 * Add the name of a vertebra, at its right.
 *
 * @param {PlacedText[]} texts
 * @param {TextScene} scene
 * @param {number} v
 */
function pushName(texts, { screen, signs }, v) {
    let right = -Infinity;
    let top = Infinity;
    let bottom = -Infinity;
    for (let i = 2 * P * v; i < 2 * P * (v + 1); i += 2) {
        if (screen[i] === screen[i]) {
            right = Math.max(right, screen[i]);
            top = Math.min(top, screen[i + 1]);
            bottom = Math.max(bottom, screen[i + 1]);
        }
    }
    if (right > -Infinity) {
        const text = signs[v] ? `${VERTEBRAE[v]} ${signs[v]}` : VERTEBRAE[v];
        texts.push(nameText(right + GAP_PX, (top + bottom) / 2, text, signs[v] !== ""));
    }
}

/**
 * Add the label of a point, beside the body.
 *
 * @param {PlacedText[]} texts
 * @param {TextScene} scene
 * @param {number} v
 * @param {number} p
 */
function pushLabel(texts, { screen, signs }, v, p) {
    const i = 2 * (P * v + p);
    if (screen[i] === screen[i]) {
        const sign = p === CENTER_INDEX && signs[v] ? ` ${signs[v]}` : "";
        const label = nameText(screen[i] + HOVER_PX, screen[i + 1], labelOf(v, p) + sign, signs[v] !== "");
        label.isAtLeft = p === TL || p === BL;
        texts.push(label);
    }
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {boolean} isHighlighted
 * @returns {PlacedText}
 */
function nameText(x, y, text, isHighlighted) {
    const color = isHighlighted ? CHECK_COLOR : NAME_COLOR;
    const font = isHighlighted ? CHECK_FONT : NAME_FONT;
    return { x, y, width: 0, height: NAME_PX, text, color, font, hasPlate: false, isAtLeft: false };
}

/**
 * @param {PlacedText} text
 * @returns {Box}
 */
function boxOf({ x, y, width, height, hasPlate }) {
    const margin = hasPlate ? APART_PX : 0;
    return {
        ...{ x0: x - margin, y0: y - height / 2 - margin },
        ...{ x1: x + width + margin, y1: y + height / 2 + margin },
    };
}

/**
 * @param {Box} one
 * @param {Box} other
 */
function isOverlapping(one, other) {
    return one.x0 < other.x1 && other.x0 < one.x1 && one.y0 < other.y1 && other.y0 < one.y1;
}

/**
 * @param {Box} box
 * @param {TextScene} scene
 */
function isInView(box, { width, height }) {
    return box.x1 > 0 && box.x0 < width && box.y1 > 0 && box.y0 < height;
}
