/** What the server has of an image: its pixels, and its submitted label or stored prediction. */

import { withQuery } from "../api/client.js";
import { ServerError } from "../api/errors.js";

/** @typedef {import("../api/client.js").Client} Client */
/** @typedef {import("../api/types.js").Label} Label */

export const [FINAL, PREDICTED] = ["final", "original"];

/**
 * A label; null without one.
 * @param {Client} client
 * @param {string} imageId
 * @param {string} tag
 * @param {AbortSignal | null} signal
 * @returns {Promise<Label | null>}
 */
export async function fetchLabel(client, imageId, tag, signal = null) {
    try {
        return await client.get(withQuery("/landmarks", { image: imageId, tag }), { signal });
    } catch (error) {
        if (error instanceof ServerError && error.kind === "not_found") return null;
        throw error;
    }
}

/**
 * The submitted label, else the stored prediction; null without either.
 * @param {Client} client
 * @param {string} imageId
 * @param {AbortSignal | null} signal
 * @returns {Promise<Label | null>}
 */
export async function fetchPoints(client, imageId, signal = null) {
    return (await fetchLabel(client, imageId, FINAL, signal)) ?? fetchLabel(client, imageId, PREDICTED, signal);
}

/**
 * Points around fixed ones.
 * @param {Client} client
 * @param {string} imageId
 * @param {Record<string, Record<string, [number, number]>>} fixed pixels of points to keep, by vertebra and point
 * @param {AbortSignal} signal
 * @returns {Promise<import("../api/types.js").Prediction & Partial<import("../editor/origin.js").Origin>>}
 */
export function infer(client, imageId, fixed, signal) {
    const path = withQuery("/infer/vertebra_landmarks", { image: imageId, output: "json" });
    const params = JSON.stringify(Object.keys(fixed).length ? { fixed } : {});
    return client.form(path, { params }, null, { signal });
}
