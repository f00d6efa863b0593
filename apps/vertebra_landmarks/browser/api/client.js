/** Client of the server's HTTP API: the only way in which this page reaches anything. */

import { badAnswer, cancelled, errorOfStatus, ServerError, unreachable } from "./errors.js";
import { NpyReader } from "./npy.js";

/** @typedef {import("./types.js").Radiograph} Radiograph */
/** @typedef {import("./types.js").ImageFacts} ImageFacts */
/** @typedef {(done: number, total: number) => void} OnProgress bytes so far and in all; total 0 where unknown */
/** @typedef {{signal?: AbortSignal|null}} Cancellable */
/** @typedef {{status: number, body: string}} RawAnswer */

const FACTS = "X-Image-Facts";
/** By which a server without login is told who works here. */
const STATED_USER = "X-User";

/**
 * An address with a query; empty and undefined values are left out.
 * @param {string} path such as "/images"
 * @param {Record<string, string|number|boolean|null|undefined>} values
 * @returns {string}
 */
export function withQuery(path, values) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) {
        if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
    }
    return query.toString() ? `${path}?${query}` : path;
}

/**
 * Requests to the server this page came from. Every method rejects with a `ServerError`.
 *
 * A request that the server answers with 401 asks `onUnauthorized` and is repeated where that says so.
 */
export class Client {
    /**
     * @param {string} base address of the page, which all paths are relative to
     * @param {import("./credentials.js").Credentials} credentials
     */
    constructor(base, credentials) {
        this.base = base;
        this.credentials = credentials;
        /** Whether the server has a login: then no request is sent without a token. */
        this.needsToken = false;
        /** Who works here, stated with every request where the server has no login; "" for nobody. @type {() => string} */
        this.statedUser = () => "";
        /** Asks the user to sign in; false where they decline. @type {() => Promise<boolean>} */
        this.onUnauthorized = () => Promise.resolve(false);
    }

    /** JSON of a GET. @param {string} path @param {Cancellable} [options] @returns {Promise<any>} */
    get(path, options) {
        return this.#json("GET", path, null, options);
    }

    /** JSON of a POST with a JSON body. @param {string} path @param {unknown} body @param {Cancellable} [options] */
    post(path, body, options) {
        return this.#json("POST", path, body, options);
    }

    /** JSON of a PUT with a JSON body. @param {string} path @param {unknown} body @param {Cancellable} [options] */
    put(path, body, options) {
        return this.#json("PUT", path, body, options);
    }

    /** JSON of a DELETE. @param {string} path @param {Cancellable} [options] @returns {Promise<any>} */
    delete(path, options) {
        return this.#json("DELETE", path, null, options);
    }

    /**
     * Content of a GET, such as a thumbnail or a report.
     * @param {string} path
     * @param {Cancellable} [options]
     * @returns {Promise<Blob>}
     */
    async blob(path, options = {}) {
        const response = await this.#fetched("GET", path, null, options.signal ?? null);
        try {
            return await response.blob();
        } catch {
            throw options.signal?.aborted ? cancelled() : unreachable();
        }
    }

    /**
     * JSON of a multipart form, with the progress of its upload.
     * @param {string} path
     * @param {Record<string, string|Blob>} fields texts and files by name
     * @param {OnProgress|null} [onProgress] of the upload
     * @param {Cancellable & {method?: "POST"|"PUT"}} [options]
     * @returns {Promise<any>}
     */
    async form(path, fields, onProgress = null, options = {}) {
        const { method = "POST", signal = null } = options;
        await this.#requireToken();
        let { token } = this.credentials;
        let answer = await this.#sentForm(path, fields, onProgress, method, signal);
        while (answer.status === 401 && await this.#hasOtherToken(token)) {
            ({ token } = this.credentials);
            answer = await this.#sentForm(path, fields, onProgress, method, signal);
        }
        if (answer.status >= 400) throw errorOfStatus(answer.status, detailOf(answer.body));
        return parsed(answer.body);
    }

    /**
     * The pixels of an image in their full depth, bone bright, as the file stores them.
     * @param {string} imageId
     * @param {Cancellable & {onProgress?: OnProgress}} [options]
     * @returns {Promise<Radiograph>}
     */
    async pixels(imageId, { signal = null, onProgress = () => {} } = {}) {
        const path = withQuery("/datastore/image/pixels", { image: imageId });
        const response = await this.#fetched("GET", path, null, signal);
        const facts = /** @type {ImageFacts} */ (parsed(response.headers.get(FACTS) ?? ""));
        if (facts === null) throw badAnswer("the facts of the image are missing");
        const npy = new NpyReader();
        const stream = response.body?.getReader();
        try {
            for (let piece = await stream?.read(); piece && !piece.done; piece = await stream?.read()) {
                npy.add(piece.value);
                onProgress(npy.received, npy.total);
            }
        } catch (error) {
            if (error instanceof ServerError) throw error;
            throw signal?.aborted ? cancelled() : unreachable();
        }
        return { ...npy.finish(), facts };
    }

    /**
     * Get a token for a name and a password, and keep it.
     * @param {string} name
     * @param {string} password
     * @param {boolean} isRemembered see `Credentials`
     */
    async signIn(name, password, isRemembered) {
        const body = new URLSearchParams({ username: name, password });
        const response = await this.#once("POST", "/auth/token", body, null);
        if (!response.ok) throw errorOfStatus(response.status, detailOf(await textOf(response)));
        const token = parsed(await textOf(response))?.access_token;
        if (typeof token !== "string" || token === "") throw badAnswer("there is no token in it");
        this.credentials.set(token, isRemembered);
    }

    /**
     * @param {string} method
     * @param {string} path
     * @param {unknown} body null for none
     * @param {Cancellable} [options]
     * @returns {Promise<any>}
     */
    async #json(method, path, body, options = {}) {
        const response = await this.#fetched(method, path, body, options.signal ?? null);
        let content;
        try {
            content = await response.text();
        } catch {
            throw options.signal?.aborted ? cancelled() : unreachable();
        }
        return parsed(content);
    }

    /**
     * A response that is no error, after the user has signed in where that is required.
     * @param {string} method
     * @param {string} path
     * @param {unknown} body
     * @param {AbortSignal|null} signal
     */
    async #fetched(method, path, body, signal) {
        await this.#requireToken();
        let { token } = this.credentials;
        let response = await this.#once(method, path, body, signal);
        while (response.status === 401 && await this.#hasOtherToken(token)) {
            ({ token } = this.credentials);
            response = await this.#once(method, path, body, signal);
        }
        if (!response.ok) throw errorOfStatus(response.status, detailOf(await textOf(response)));
        return response;
    }

    async #requireToken() {
        if (!this.needsToken || this.credentials.token !== "" || await this.onUnauthorized()) return;
        throw errorOfStatus(401, "");
    }

    /**
     * Whether there is a token other than the one that was refused: from a sign-in meanwhile, or from one now.
     * @param {string} refused
     */
    async #hasOtherToken(refused) {
        return this.credentials.token !== refused || await this.onUnauthorized();
    }

    /**
     * @param {string} method
     * @param {string} path
     * @param {unknown} body
     * @param {AbortSignal|null} signal
     */
    async #once(method, path, body, signal) {
        const headers = this.#headers();
        /** @type {string|URLSearchParams|null} */
        let content = null;
        if (body instanceof URLSearchParams) {
            content = body;
        } else if (body !== null && body !== undefined) {
            headers["Content-Type"] = "application/json";
            content = JSON.stringify(body);
        }
        try {
            return await fetch(this.#address(path), { method, headers, body: content, signal });
        } catch {
            throw signal?.aborted ? cancelled() : unreachable();
        }
    }

    /**
     * `fetch` has no progress of uploads.
     * @param {string} path
     * @param {Record<string, string|Blob>} fields
     * @param {OnProgress|null} onProgress
     * @param {string} method
     * @param {AbortSignal|null} signal
     * @returns {Promise<RawAnswer>}
     */
    #sentForm(path, fields, onProgress, method, signal) {
        const form = new FormData();
        for (const [name, value] of Object.entries(fields)) form.append(name, value);
        return new Promise((resolve, reject) => {
            if (signal?.aborted) return reject(cancelled());
            const request = new XMLHttpRequest();
            request.open(method, this.#address(path));
            for (const [name, value] of Object.entries(this.#headers())) request.setRequestHeader(name, value);
            request.upload.onprogress = (event) => onProgress?.(event.loaded, event.lengthComputable ? event.total : 0);
            request.onload = () => resolve({ status: request.status, body: request.responseText });
            request.onerror = () => reject(unreachable());
            request.onabort = () => reject(cancelled());
            signal?.addEventListener("abort", () => request.abort(), { once: true });
            request.send(form);
        });
    }

    /** @param {string} path */
    #address(path) {
        return new URL(path.replace(/^\/+/, ""), this.base).href;
    }

    /** @returns {Record<string, string>} */
    #headers() {
        const { token } = this.credentials;
        const user = this.needsToken ? "" : this.statedUser().replace(/\p{Surrogate}/gu, "\uFFFD");
        return { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(user ? { [STATED_USER]: encodeURIComponent(user) } : {}) };
    }
}

/** @param {Response} response */
async function textOf(response) {
    try {
        return await response.text();
    } catch {
        return "";
    }
}

/** @param {string} body @returns {any} null for an empty body */
function parsed(body) {
    if (body === "") return null;
    try {
        return JSON.parse(body);
    } catch {
        throw badAnswer("it is not JSON");
    }
}

/** The sentence of an error response, "" without one. @param {string} body */
function detailOf(body) {
    try {
        const { detail } = JSON.parse(body);
        return typeof detail === "string" ? detail : "";
    } catch {
        return "";
    }
}
