/** Kinds of changes of the points. */

export const [LOADED, ADOPTED, MOVED, HIDDEN, PLACED] = ["loaded", "adopted", "moved", "hidden", "placed"];
export const [SHIFTED, UNDONE, REDONE, CANCELLED, LOCKED] = ["shifted", "undone", "redone", "cancelled", "locked"];

/**
 * A change of the points.
 * @typedef {object} Change
 * @property {string} kind one of the constants above; `LOCKED` also for unlocking
 * @property {readonly number[]} vertebrae indices of those that may have changed, from top to bottom
 * @property {boolean} isOngoing whether this is a part of a drag that goes on
 */
