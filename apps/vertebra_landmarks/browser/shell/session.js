/** Who uses the page, what they may do, and what the server says of itself. */

/** @typedef {import("../api/types.js").Owner} Owner */
/** @typedef {import("../api/types.js").ServerInfo} ServerInfo */
/** @typedef {"reader"|"annotator"|"admin"} Role */

/** The user of requests where the server has no login. */
const ANYBODY = "anybody";
/** @type {Role[]} */
const ROLES = ["reader", "annotator", "admin"];
/** Setting: the name that a user of a server without login has entered. */
export const USER_NAME = "userName";

/** The signed-in user and the server, as known so far. */
export class Session {
    /**
     * @param {import("../api/client.js").Client} client
     * @param {import("./settings.js").Settings} settings
     */
    constructor(client, settings) {
        this.client = client;
        this.settings = settings;
        this.hasLogin = false;
        /** @type {Owner|null} null until the server has said who the user is */
        this.owner = null;
        /** Resolves when the server has said who the user is, or does not. @type {Promise<unknown>} */
        this.ready = Promise.resolve();
        /** @type {ServerInfo|null} null until `info` was loaded */
        this.info = null;
        /** @type {Set<() => void>} */
        this.listeners = new Set();
    }

    /** Call back on every change. @param {() => void} listener @param {AbortSignal} [signal] ends it */
    onChange(listener, signal) {
        this.listeners.add(listener);
        signal?.addEventListener("abort", () => this.listeners.delete(listener));
    }

    /** Name of the user: of the login, else the one entered in this browser; "" where none was. @returns {string} */
    get userName() {
        const name = this.owner?.username ?? "";
        return this.hasLogin && name ? name : this.settings.get(USER_NAME, "");
    }

    /** Enter the name of the user of a server without login. @param {string} name */
    setUserName(name) {
        this.settings.set(USER_NAME, name.trim());
        this.#changed();
    }

    /** The highest role of the user. @returns {Role|null} null while it is unknown */
    get role() {
        return ROLES.filter((role) => this.owner?.roles.includes(role)).at(-1) ?? null;
    }

    /** Whether the user may do what needs a role. @param {Role} role */
    may(role) {
        return this.role !== null && ROLES.indexOf(this.role) >= ROLES.indexOf(role);
    }

    /**
     * Ask the server whether it has a login, and who the user is.
     * @returns {Promise<{hasPasswords: boolean}>} whether an identity provider checks passwords
     */
    async loadLogin() {
        const { enabled, realm } = await this.client.get("/auth/");
        this.hasLogin = this.client.needsToken = Boolean(enabled);
        this.#changed();
        return { hasPasswords: Boolean(realm) };
    }

    /** Ask the server who the user is. @returns {Promise<void>} */
    loadOwner() {
        const asked = this.#loadOwner();
        this.ready = asked.catch(() => {});
        return asked;
    }

    async #loadOwner() {
        this.owner = await this.client.get("/auth/token/valid");
        if (this.owner?.username === ANYBODY && !this.hasLogin) this.owner.username = "";
        this.#changed();
    }

    /** Ask the server for models, strategies and the state of the training. @returns {Promise<ServerInfo>} */
    async loadInfo() {
        const info = /** @type {ServerInfo} */ (await this.client.get("/info/"));
        this.info = info;
        this.#changed();
        return info;
    }

    #changed() {
        for (const listener of this.listeners) listener();
    }
}
