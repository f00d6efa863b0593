/** Live measuring on the server: one request in flight at most, the newest state of the points next. */

import { NewestOnly } from "./newest_only.js";
import { P, POINTS, V, VERTEBRAE } from "./schema.js";

/** @typedef {import("../api/types.js").Curve} Curve */
/** @typedef {import("../api/types.js").Measurement} Measurement */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./spine_editor.js").SpineEditor} SpineEditor */

/**
 * @template T
 * @typedef {Record<string, Record<string, T>>} ByPoint values by vertebra and point
 */

/**
 * The points of an editor as `POST /measure` takes them: a point with neither score nor error was placed by a person.
 * @param {SpineEditor} editor
 * @returns {{points: ByPoint<Point>, hidden: ByPoint<Point>, scores: ByPoint<number>, errors_px: ByPoint<number>}}
 */
export function pointsBody(editor) {
    /** @type {ReturnType<typeof pointsBody>} */
    const body = { points: {}, hidden: {}, scores: {}, errors_px: {} };
    const { xy, scores, errors, visible } = editor.spine();
    for (let i = 0; i < V * P; i++) {
        const [vertebra, point] = [VERTEBRAE[Math.floor(i / P)], POINTS[i % P]];
        const position = /** @type {Point} */ ([xy[2 * i], xy[2 * i + 1]]);
        if (Number.isNaN(position[0])) continue;
        ((visible[i] ? body.points : body.hidden)[vertebra] ??= {})[point] = position;
        if (scores[i] !== 1) (body.scores[vertebra] ??= {})[point] = scores[i];
        if (!Number.isNaN(errors[i])) (body.errors_px[vertebra] ??= {})[point] = errors[i];
    }
    return body;
}

/**
 * Curves of two measurements with their own end vertebrae, those of the same part of the spine side by side.
 * @template {Curve} C
 * @param {readonly C[]} some
 * @param {readonly C[]} others
 * @returns {[C|null, C|null][]} every curve of both once
 */
export function pairedCurves(some, others) {
    const left = [...others];
    /** @type {[C|null, C|null][]} */
    const found = some.map((curve) => {
        const at = left.findIndex((other) => isSamePart(curve, other));
        return [curve, at < 0 ? null : left.splice(at, 1)[0]];
    });
    return [...found, .../** @type {[null, C][]} */ (left.map((curve) => [null, curve]))];
}

/** Whether two curves share at least half of the levels of the shorter one. @param {Curve} one @param {Curve} other */
function isSamePart(one, other) {
    const level = (/** @type {string} */ name) => VERTEBRAE.indexOf(name);
    const shared = Math.min(level(one.lower_end), level(other.lower_end)) - Math.max(level(one.upper_end), level(other.upper_end));
    const lengths = [one, other].map(({ upper_end, lower_end }) => level(lower_end) - level(upper_end));
    return shared > 0 && 2 * shared >= Math.min(...lengths);
}

/** Measures the newest state of the points whenever it has changed. */
export class Measuring {
    /** @type {NewestOnly<() => object>} */
    #requests;
    #controller = new AbortController();

    /**
     * @param {import("../api/client.js").Client} client
     * @param {(measured: Measurement) => void} onMeasured
     * @param {(error: unknown) => void} onError the measurement that is shown is then out of date
     */
    constructor(client, onMeasured, onError) {
        this.#requests = new NewestOnly(async (makeBody) => {
            const { signal } = this.#controller;
            try {
                const measured = await client.post("/measure", makeBody(), { signal });
                if (!signal.aborted) onMeasured(measured);
            } catch (error) {
                if (!signal.aborted) onError(error);
            }
        });
    }

    /**
     * Measure, now or after the request that runs.
     * @param {() => object} makeBody called when the request is sent, so that it holds the newest points
     */
    request(makeBody) {
        this.#requests.submit(makeBody);
    }

    /** Cancel the request that runs; nothing is called back any more. */
    close() {
        this.#requests.clear();
        this.#controller.abort();
    }
}
