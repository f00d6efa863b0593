/** Provenance of points that no user set: the model, and its statements about the spine as a whole. */

import { VERTEBRAE } from "./schema.js";

/** @typedef {import("../api/types.js").ImageWarning} ImageWarning */
/** @typedef {import("../api/types.js").Orientation} Orientation */
/** @typedef {import("../api/types.js").Origin} Origin */

/** Of points without a model, or of an unknown one. @type {Origin} */
export const UNKNOWN = Object.freeze({
    model_version: "",
    names_right: null,
    tilt_half_widths_deg: null,
    orientation: null,
    warnings: [],
});

/**
 * The provenance in a prediction, a label or a draft; other entries are ignored.
 * @param {Partial<Origin> | null | undefined} content
 * @returns {Origin}
 */
export function originIn(content) {
    const found = content ?? {};
    return {
        model_version: found.model_version || "",
        names_right: found.names_right ?? null,
        tilt_half_widths_deg: found.tilt_half_widths_deg ?? null,
        orientation: found.orientation
            ? { turn_deg: found.orientation.turn_deg, mirrored: found.orientation.mirrored }
            : null,
        warnings: found.warnings ?? [],
    };
}

/**
 * The same after a user shifted all names; the confidence in the old names is dropped.
 * @param {Origin} origin
 * @param {number} by levels, 1 or -1
 * @returns {Origin}
 */
export function shiftedOrigin(origin, by) {
    const widths = origin.tilt_half_widths_deg;
    return {
        ...origin,
        names_right: null,
        tilt_half_widths_deg:
            widths && Object.fromEntries(VERTEBRAE.map((name, v) => [name, widths[VERTEBRAE[v - by]] ?? null])),
    };
}
