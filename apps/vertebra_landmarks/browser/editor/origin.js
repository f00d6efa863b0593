/** Provenance of points that no user set: the model, and its statements about the spine as a whole. */

import { VERTEBRAE } from "./schema.js";

/**
 * How the stored raster is turned upright: mirrored left to right if `mirrored`, then turned clockwise.
 * @typedef {{turn_deg: number, mirrored: boolean}} Orientation
 */

/** @typedef {{code: string, message: string, vertebrae: string[]}} ImageWarning */

/**
 * As in responses, label information and drafts.
 * @typedef {object} Origin
 * @property {string} model_version "" where unknown
 * @property {number | null} names_right probability that all names are right; null where the model does not state it
 * @property {Record<string, number | null> | null} tilt_half_widths_deg each vertebra's part in the interval of an
 *     angle; null where the model does not state them
 * @property {Orientation | null} orientation how the model turned the raster upright; null where unknown
 * @property {ImageWarning[]} warnings about the image as a whole
 */

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
