/** Stored labels, as they are drawn and as they are measured. */

import { P, POINTS, V, VERTEBRAE } from "../editor/schema.js";

/** @typedef {{name: string, x: number, y: number, score: number|null, error_px: number|null, visible: boolean}} Landmark */
/**
 * @typedef {object} StoredLandmarks answer of `GET /landmarks`
 * @property {number} version
 * @property {Landmark[]} landmarks
 * @property {{user?: string, ts?: number, image_left_is?: string|null}} [info]
 * @property {{names_right?: number|null, tilt_half_widths_deg?: Record<string, number|null>|null, warnings?: unknown[],
 *     orientation?: import("../api/types.js").Orientation|null}} [origin]
 */

/** Vertebra and point of a name such as "T7" or "T7 TL". @param {string} name @returns {[string, string]} */
function split(name) {
    const [vertebra, point = "center"] = name.split(" ");
    return [vertebra, point];
}

/**
 * Positions as the view takes them.
 * @param {Landmark[]} landmarks
 * @returns {Float64Array} V x P x 2 stored pixels, NaN where a point is absent
 */
export function pointsOf(landmarks) {
    const xy = new Float64Array(V * P * 2).fill(NaN);
    for (const { name, x, y, visible } of landmarks) {
        const [vertebra, point] = split(name);
        const [v, p] = [VERTEBRAE.indexOf(vertebra), POINTS.indexOf(point)];
        if (visible && v >= 0 && p >= 0) xy.set([x, y], 2 * (v * P + p));
    }
    return xy;
}

/**
 * Body of `POST /measure` for a stored label.
 * @param {StoredLandmarks} stored
 * @param {import("../api/types.js").ImageFacts} facts of the image
 */
export function measureBody({ landmarks, info = {}, origin = {} }, facts) {
    /** @type {Record<string, Record<string, [number, number]>>} */
    const points = {};
    /** @type {Record<string, Record<string, number>>} */
    const scores = {};
    /** @type {Record<string, Record<string, number>>} */
    const errors = {};
    for (const { name, x, y, visible, score, error_px: error } of landmarks) {
        if (!visible) continue;
        const [vertebra, point] = split(name);
        (points[vertebra] ??= {})[point] = [x, y];
        if (typeof error !== "number") continue; // placed by a person
        (errors[vertebra] ??= {})[point] = error;
        if (typeof score === "number") (scores[vertebra] ??= {})[point] = score;
    }
    return {
        points, scores, errors_px: errors,
        image: {
            width: facts.width, height: facts.height, pixel_aspect: facts.pixel_aspect,
            image_left_is: facts.image_left_is ?? info.image_left_is ?? null,
        },
        orientation: origin.orientation ?? facts.orientation ?? null,
        origin: { names_right: origin.names_right ?? null, tilt_half_widths_deg: origin.tilt_half_widths_deg ?? null,
            warnings: origin.warnings ?? [] },
        label: info.ts ? { user: info.user ?? "", ts: info.ts } : null, user: "", is_proposal: false,
    };
}
