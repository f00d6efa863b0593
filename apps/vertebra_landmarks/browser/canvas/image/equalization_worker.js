/** Worker that equalizes the contrast of one image: receives a `Sample`, answers with its `Ranks`. */

import { equalize } from "./equalization.js";

/** @typedef {import("./equalization.js").Sample} Sample */

onmessage = (/** @type {MessageEvent<Sample>} */ event) => {
    const ranks = equalize(event.data);
    postMessage(ranks, { transfer: [ranks.shares.buffer] });
};
