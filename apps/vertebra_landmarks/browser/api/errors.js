/** Errors of server requests: a kind for the program and one sentence for the user. */

/**
 * @typedef {"refused"|"unauthorized"|"forbidden"|"not_found"|"conflict"|"busy"|"unreachable"|"cancelled"|"failed"
 * } ErrorKind
 */

/** A request failed; nothing was changed on the server unless the message says so. */
export class ServerError extends Error {
    /**
     * @param {ErrorKind} kind for the program
     * @param {string} message one sentence for the user
     * @param {number} status of the response; 0 where none came
     */
    constructor(kind, message, status = 0) {
        super(message);
        this.name = "ServerError";
        this.kind = kind;
        this.status = status;
    }
}

/** Whether an error is a request that was cancelled, which needs no message. @param {unknown} error */
export function isCancelled(error) {
    return error instanceof ServerError && error.kind === "cancelled";
}

/** What to show for an error of any origin. @param {unknown} error @returns {string} one sentence */
export function messageOf(error) {
    if (error instanceof ServerError) return error.message;
    return `The page failed: ${(error instanceof Error ? error.message : String(error)).replace(/\.$/, "")}.`;
}

/** @type {Record<number, [ErrorKind, string]>} */
const BY_STATUS = {
    400: ["refused", "The server did not accept this"],
    401: ["unauthorized", "The server requires you to sign in"],
    403: ["forbidden", "You are not allowed to do this"],
    404: ["not_found", "The server does not have this"],
    408: ["busy", "The server did not receive all of the data in time; try again"],
    409: ["conflict", "The server has something newer"],
    413: ["refused", "This is larger than the server accepts"],
    412: ["refused", "The image has changed"],
    415: ["refused", "The server cannot read this image"],
    422: ["refused", "No spine was found in this image"],
    429: ["busy", "The server is busy with this already; wait a moment and try again"],
    503: ["busy", "The server is too busy; wait a moment and try again"],
    507: ["failed", "The server's disk is full; nothing was stored"],
};

/**
 * The error for an HTTP status.
 * @param {number} status 400 or above
 * @param {string} detail the server's own sentence, which is shown where there is one; may be empty
 * @returns {ServerError}
 */
export function errorOfStatus(status, detail) {
    const [kind, fallback] = BY_STATUS[status] ??
        (status < 500 ? ["refused", "The server did not accept this"] : ["failed", "The server failed; try again"]);
    return new ServerError(/** @type {ErrorKind} */ (kind), asSentence(detail || fallback), status);
}

/** The error where no response came. @returns {ServerError} */
export function unreachable() {
    return new ServerError("unreachable", "The server does not respond; check that it runs, then try again.");
}

/** The error of a request that was cancelled. @returns {ServerError} */
export function cancelled() {
    return new ServerError("cancelled", "This was cancelled.");
}

/** The error where the answer is not what this page expects. @param {string} what @returns {ServerError} */
export function badAnswer(what) {
    const message = `The server's answer cannot be read (${what}); reload the page, which may be older than the server.`;
    return new ServerError("failed", message);
}

/** Begin a word of letters with a capital one, not a name such as max_epochs, and end with a full stop. @param {string} text */
function asSentence(text) {
    const trimmed = text.trim();
    const first = /^[a-z]+[\s,:]/.test(trimmed) ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : trimmed;
    return /[.!?]$/.test(first) ? first : `${first}.`;
}
