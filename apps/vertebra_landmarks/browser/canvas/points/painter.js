/** Draws outlines, endplates, Cobb lines, points and texts on a canvas. */

import { CENTER_INDEX, P, V } from "../../editor/schema.js";
import { CORNER, HOVERED, MEASURED, SURE, cssColor } from "./colors.js";

/** @typedef {CanvasRenderingContext2D} Context with CSS pixels of the view */
/** @typedef {import("./points_layer.js").Drawing} Drawing */

/** Room in CSS pixels that marks take around their points. */
export const MARK_PX = 14;

/** Around lines, so that they show on bright bone. */
export const HALO = "rgba(0, 0, 0, 0.5)";
/** The same around texts. */
export const TEXT_HALO = "rgba(0, 0, 0, 0.8)";
const PLATE = "rgba(12, 16, 22, 0.72)"; // behind angles
const SURE_COLOR = cssColor(SURE);
const CORNER_COLOR = cssColor(CORNER);
const HOVERED_COLOR = cssColor(HOVERED);
const MEASURED_COLOR = cssColor(MEASURED);
const LINE_PX = 1.5;
const COBB_PX = 2;
const HALO_PX = 1.5; // added to the width of a line
const TEXT_HALO_PX = 3;
const PLATE_MARGIN_PX = 4;
const DASHES_PX = [4, 4];
const MIN_RADIUS_PX = 1.25;
const MAX_RADIUS_PX = 5;
const RADIUS_OF_HEIGHT = 0.11;
const LINE_OF_RADIUS = 0.5; // of small marks
const CENTER_OF_RADIUS = 0.8;
const HOVERED_GROWTH_PX = 2;
const SELECTED_GROWTH_PX = 5;
const [TL, TR, BL, BR] = [1, 2, 3, 4];
const SIDES = [TL, BL, TR, BR];
const ENDPLATES = [TL, TR, BL, BR];
/** Pairs of points between which the outline of a vertebra runs. */
export const OUTLINE = [...SIDES, ...ENDPLATES];

/**
 * Draw everything that the layers include.
 *
 * @param {Context} context
 * @param {Drawing} drawing
 */
export function paint(context, drawing) {
    context.lineCap = context.lineJoin = "round";
    if (drawing.layers.outlines || drawing.layers.endplates) {
        paintBodies(context, drawing);
    }
    if (drawing.layers.angles) {
        paintCobbLines(context, drawing);
    }
    const radius = Math.min(Math.max(drawing.bodyHeight * RADIUS_OF_HEIGHT, MIN_RADIUS_PX), MAX_RADIUS_PX);
    if (drawing.layers.corners) {
        paintCorners(context, drawing, radius);
    }
    if (drawing.layers.centers) {
        paintCenters(context, drawing, CENTER_OF_RADIUS * radius);
    }
    paintHovered(context, drawing, radius);
    paintSelected(context, drawing, radius);
    paintTexts(context, drawing);
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 */
function paintBodies(context, { screen, styles, layers }) {
    context.beginPath();
    for (let v = 0; v < V; v++) {
        traceLines(context, screen, v, layers.outlines ? OUTLINE : ENDPLATES);
    }
    strokeAs(context, HALO, LINE_PX + HALO_PX);
    for (let v = 0; v < V; v++) {
        if (layers.outlines) {
            context.beginPath();
            traceLines(context, screen, v, SIDES);
            strokeAs(context, styles[v].pale, LINE_PX);
        }
        context.beginPath();
        traceLines(context, screen, v, ENDPLATES);
        strokeAs(context, layers.endplates ? styles[v].bright : styles[v].pale, LINE_PX);
    }
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 */
function paintCobbLines(context, { curves }) {
    context.beginPath();
    for (const { lines } of curves) {
        for (let i = 0; i < lines.length; i += 4) {
            context.moveTo(lines[i], lines[i + 1]);
            context.lineTo(lines[i + 2], lines[i + 3]);
        }
    }
    strokeAs(context, HALO, COBB_PX + HALO_PX);
    strokeAs(context, MEASURED_COLOR, COBB_PX);
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 * @param {number} radius CSS pixels
 */
function paintCorners(context, { screen, styles }, radius) {
    context.beginPath();
    for (let v = 0; v < V; v++) {
        traceCorners(context, screen, v, radius);
    }
    const width = Math.min(LINE_OF_RADIUS * radius, LINE_PX);
    strokeAs(context, HALO, width + HALO_PX);
    for (let v = 0; v < V; v++) {
        context.beginPath();
        traceCorners(context, screen, v, radius);
        strokeAs(context, styles[v].isDoubtful ? styles[v].bright : CORNER_COLOR, width);
    }
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 * @param {number} radius CSS pixels
 */
function paintCenters(context, { screen, styles }, radius) {
    for (let v = 0; v < V; v++) {
        context.beginPath();
        traceCircle(context, screen, v, CENTER_INDEX, radius);
        strokeAs(context, HALO, HALO_PX);
        context.fillStyle = styles[v].isDoubtful ? styles[v].bright : SURE_COLOR;
        context.fill();
    }
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 * @param {number} radius CSS pixels
 */
function paintHovered(context, { screen, hovered, layers }, radius) {
    if (hovered && (hovered.point === CENTER_INDEX ? layers.centers : layers.corners)) {
        context.beginPath();
        traceCircle(context, screen, hovered.vertebra, hovered.point, radius + HOVERED_GROWTH_PX);
        strokeAs(context, HALO, LINE_PX + 2 * HALO_PX);
        strokeAs(context, HOVERED_COLOR, LINE_PX);
    }
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 * @param {number} radius CSS pixels
 */
function paintSelected(context, { screen, selected }, radius) {
    if (!selected) {
        return;
    }
    context.beginPath();
    if (selected.point === null) {
        traceLines(context, screen, selected.vertebra, OUTLINE);
    } else {
        traceCircle(context, screen, selected.vertebra, selected.point, radius + SELECTED_GROWTH_PX);
    }
    strokeAs(context, HALO, LINE_PX + HALO_PX);
    context.setLineDash(DASHES_PX);
    strokeAs(context, HOVERED_COLOR, LINE_PX);
    context.setLineDash([]);
}

/**
 * @param {Context} context
 * @param {Drawing} drawing
 */
function paintTexts(context, { texts }) {
    context.textBaseline = "middle";
    context.strokeStyle = TEXT_HALO;
    context.lineWidth = TEXT_HALO_PX;
    for (const { x, y, width, height, text, color, font, hasPlate } of texts) {
        context.font = font;
        if (hasPlate) {
            const margin = PLATE_MARGIN_PX;
            context.fillStyle = PLATE;
            context.fillRect(x - margin, y - height / 2 - margin, width + 2 * margin, height + 2 * margin);
        } else {
            context.strokeText(text, x, y);
        }
        context.fillStyle = color;
        context.fillText(text, x, y);
    }
}

/**
 * Add lines between pairs of points of a vertebra, where both are there.
 *
 * @param {Context} context
 * @param {Float64Array} screen
 * @param {number} v
 * @param {number[]} points start, end, start, end, ...
 */
export function traceLines(context, screen, v, points) {
    for (let k = 0; k < points.length; k += 2) {
        const a = 2 * (P * v + points[k]);
        const b = 2 * (P * v + points[k + 1]);
        if (!Number.isNaN(screen[a] + screen[b])) {
            context.moveTo(screen[a], screen[a + 1]);
            context.lineTo(screen[b], screen[b + 1]);
        }
    }
}

/**
 * @param {Context} context
 * @param {Float64Array} screen
 * @param {number} v
 * @param {number} radius CSS pixels
 */
function traceCorners(context, screen, v, radius) {
    for (let p = TL; p <= BR; p++) {
        traceCircle(context, screen, v, p, radius);
    }
}

/**
 * Add a circle around a point, where it is there.
 *
 * @param {Context} context
 * @param {Float64Array} screen
 * @param {number} v
 * @param {number} p
 * @param {number} radius CSS pixels
 */
function traceCircle(context, screen, v, p, radius) {
    const x = screen[2 * (P * v + p)];
    const y = screen[2 * (P * v + p) + 1];
    if (!Number.isNaN(x)) {
        context.moveTo(x + radius, y);
        context.arc(x, y, radius, 0, 2 * Math.PI);
    }
}

/**
 * @param {Context} context
 * @param {string} color
 * @param {number} width CSS pixels
 */
export function strokeAs(context, color, width) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.stroke();
}
