/** What two images of a patient say about each curve. */

import { angleText, changeText } from "../shell/format.js";

/** @typedef {import("../api/types.js").FollowUp} FollowUp */
/** @typedef {import("../api/types.js").FollowUpImage} FollowUpImage */
/** @typedef {import("../api/types.js").Curve} Curve */

/**
 * @typedef {object} Compared a curve in two images
 * @property {string} name end vertebrae at which both are measured, such as "T5–T12"
 * @property {number|null} before degrees at the same end vertebrae, negative where the spine is bent to the other side
 *     than in the earliest image; null where an endplate is missing
 * @property {number|null} after
 * @property {string[]} texts both with their intervals, "–" where one is missing
 * @property {number|null} change degrees
 * @property {boolean|null} isWithinError null where the error is unknown
 */

/**
 * All curves of a patient in two of the images.
 * @param {FollowUp} followUp
 * @param {FollowUpImage} before
 * @param {FollowUpImage} after
 * @returns {Compared[]}
 */
export function compare(followUp, before, after) {
    const ends = endsOf(followUp);
    return ends.map(({ upper_end: upper, lower_end: lower }) => {
        const at = (/** @type {FollowUpImage} */ image) => image.same_ends.find((curve) =>
            curve.upper_end === upper && curve.lower_end === lower);
        const [first, second] = [at(before)?.angle_deg ?? null, at(after)?.angle_deg ?? null];
        const stated = statedChange(followUp, upper, lower, before.id, after.id);
        return {
            name: `${upper}–${lower}`,
            before: first,
            after: second,
            texts: [at(before), at(after)].map((measured) =>
                (typeof measured?.angle_deg === "number" ? intervalText(measured.angle_deg, measured.half_width_deg) : "–")),
            change: stated?.change ?? (first === null || second === null ? null : second - first),
            isWithinError: stated?.isWithinError ?? null,
        };
    });
}

/** End vertebrae at which the curves of all images are measured. @param {FollowUp} followUp */
export function endsOf(followUp) {
    /** @type {Map<string, {upper_end: string, lower_end: string}>} */
    const ends = new Map();
    for (const image of followUp.images) {
        for (const { upper_end, lower_end } of image.same_ends) ends.set(`${upper_end}–${lower_end}`, { upper_end, lower_end });
    }
    return [...ends.values()];
}

/** A change in words. @param {Compared} compared */
export function meaning({ before, after, change, isWithinError }) {
    if (change === null || before === null || after === null) return "not measured in both images";
    if (isWithinError === null) return "measurement error not known";
    if (isWithinError) return "within measurement error";
    const what = before * after < 0 ? "to the other side" : Math.abs(after) > Math.abs(before) ? "larger" : "smaller";
    return `${what}, beyond measurement error`;
}

/** An angle with its interval, such as "24.1 ± 2.1°". @param {number} angle @param {number|null|undefined} half degrees */
export function intervalText(angle, half) {
    return typeof half === "number" ? `${angleText(angle).slice(0, -1)} ± ${angleText(half)}` : angleText(angle);
}

/** A curve with its interval and its end vertebrae, such as "24.1 ± 2.1°, T5–T12". @param {Curve} curve */
export function curveText({ angle_deg: angle, half_width_deg: half, upper_end: upper, lower_end: lower }) {
    return `${intervalText(angle, half)}, ${upper}–${lower}`;
}

/** A change with its sign, "–" where it is unknown. @param {number|null} change */
export function changeOrDash(change) {
    return change === null ? "–" : changeText(change);
}

/**
 * The server's own statement, in either direction of time.
 * @param {FollowUp} followUp @param {string} upper @param {string} lower @param {string} before @param {string} after
 */
function statedChange({ changes }, upper, lower, before, after) {
    for (const one of changes) {
        if (one.upper_end !== upper || one.lower_end !== lower) continue;
        if (one.from === before && one.to === after) return { change: one.change_deg, isWithinError: one.within_error };
        if (one.from === after && one.to === before) return { change: -one.change_deg, isWithinError: one.within_error };
    }
    return null;
}
