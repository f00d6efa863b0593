/** The token of the signed-in user: in the tab, or in the browser where the user asked to be remembered. */

const KEY = "vertebraLandmarks.token";

/** Keeps a token in the session storage of the tab, or in the local storage with *remember*. */
export class Credentials {
    /** @param {Storage|null} tab @param {Storage|null} browser null where the browser forbids storage */
    constructor(tab, browser) {
        this.tab = tab;
        this.browser = browser;
        this.token = read(tab) || read(browser);
    }

    /** Whether the token outlives the tab. @returns {boolean} */
    get isRemembered() {
        return read(this.browser) !== "";
    }

    /**
     * Keep a token.
     * @param {string} token
     * @param {boolean} isRemembered also after the tab was closed
     */
    set(token, isRemembered) {
        this.clear();
        this.token = token;
        const storage = isRemembered ? this.browser : this.tab;
        try {
            storage?.setItem(KEY, token);
        } catch { /* storage is full or forbidden: the token lasts until the page is left */ }
    }

    /** Forget the token everywhere. */
    clear() {
        this.token = "";
        for (const storage of [this.tab, this.browser]) {
            try {
                storage?.removeItem(KEY);
            } catch { /* storage is forbidden: nothing is in it */ }
        }
    }
}

/** The storages of this page. @returns {Credentials} */
export function pageCredentials() {
    return new Credentials(storageOf("sessionStorage"), storageOf("localStorage"));
}

/** @param {Storage|null} storage @returns {string} */
function read(storage) {
    try {
        return storage?.getItem(KEY) ?? "";
    } catch {
        return "";
    }
}

/** @param {"sessionStorage"|"localStorage"} name @returns {Storage|null} */
function storageOf(name) {
    try {
        return globalThis[name] ?? null;
    } catch {
        return null;
    }
}
