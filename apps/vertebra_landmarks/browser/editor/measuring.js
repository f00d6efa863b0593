/** Live measuring on the server: one request in flight at most, the newest state of the points next. */

import { NewestOnly } from "./newest_only.js";
import { POINTS, V, VERTEBRAE } from "./schema.js";

/** @typedef {import("../api/types.js").Measurement} Measurement */
/** @typedef {import("./spine_editor.js").SpineEditor} SpineEditor */

/**
 * Values by vertebra and point of the points that a model predicted: those with a score below 1, or an error.
 * @param {SpineEditor} editor
 * @param {(i: number) => number | null} valueAt null for points without
 * @returns {Record<string, Record<string, number>>}
 */
function valuesOf(editor, valueAt) {
    /** @type {Record<string, Record<string, number>>} */
    const found = {};
    const { xy } = editor;
    for (let i = 0; i < V * POINTS.length; i++) {
        const value = Number.isFinite(xy[2 * i]) ? valueAt(i) : null;
        if (value !== null) {
            (found[VERTEBRAE[Math.floor(i / POINTS.length)]] ??= {})[POINTS[i % POINTS.length]] = value;
        }
    }
    return found;
}

/**
 * The points of an editor as `POST /measure` takes them.
 * @param {SpineEditor} editor
 * @returns {{points: object, scores: object, errors_px: object}}
 */
export function pointsBody(editor) {
    const { scores, errors } = editor;
    return {
        points: editor.visible(),
        scores: valuesOf(editor, (i) => (scores[i] === 1 ? null : scores[i])),
        errors_px: valuesOf(editor, (i) => (Number.isNaN(errors[i]) ? null : errors[i])),
    };
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
