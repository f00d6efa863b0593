/** Sentences of adjudication. */

/** @typedef {import("../../api/types.js").ImageReadings} ImageReadings */

/** By how much names differ, as a sentence; "" where they do not. @param {ImageReadings} found */
export function shiftText({ names_shift: shift, readings }) {
    if (!shift) return "";
    const [first, second] = readings.map(({ reader }) => reader || "the other");
    return `The readings name the vertebrae differently: what ${first} calls T7, ${second} calls ${shift > 0 ? "T8" : "T6"}. There is no mean.`;
}

/** @param {import("../../shell/study.js").Study} study @param {number} count of readings that are shown */
export function whyNot(study, count) {
    if (!study.isAdjudicator) return "The final label is chosen by an adjudicator of the study plan.";
    return count ? "This image has one reading only." : "This image has no readings yet.";
}

/** How the final label was chosen, in words. @param {ImageReadings} found */
export function finalText({ final, readings }) {
    const how = final?.how === "mean" ? "the mean" : final?.how === "edited" ? "an edited reading"
        : `the reading of ${readings.find(({ number }) => number === final?.how)?.reader || "one reader"}`;
    return final?.by ? `${how}, chosen by ${final.by}` : how;
}

/** @param {string} text of the server, without an end */
export function sentence(text) {
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
