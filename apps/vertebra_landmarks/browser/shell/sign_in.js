/** The sign-in dialog, which appears when the server refuses a request for want of a token. */

import { messageOf } from "../api/errors.js";
import { fill, h } from "./dom.js";

/** @typedef {import("../api/client.js").Client} Client */

/** Asks for name and token, at most once at a time. */
export class SignIn {
    /**
     * @param {HTMLElement} parent where the dialog is added
     * @param {Client} client
     */
    constructor(parent, client) {
        this.parent = parent;
        this.client = client;
        /** Whether an identity provider checks passwords; else tokens are entered. */
        this.hasPasswords = false;
        /** @type {Promise<boolean>|null} */
        this.asking = null;
        this.isDeclined = false;
        /** Called after every sign-in. @type {() => void} */
        this.onSignedIn = () => {};
    }

    /**
     * A request was refused: ask the user to sign in.
     *
     * Once the user has declined, only requests that follow a click or a key ask again, not those in the background.
     * @returns {Promise<boolean>} whether they did
     */
    request() {
        return this.isDeclined ? Promise.resolve(false) : this.open();
    }

    /** Ask the user to sign in. @returns {Promise<boolean>} whether they did */
    open() {
        this.asking ??= this.#ask().then((isSignedIn) => {
            if (isSignedIn) this.onSignedIn();
            else this.#onDeclined();
            return isSignedIn;
        }).finally(() => { this.asking = null; });
        return this.asking;
    }

    /** Ask no more until the user presses something. */
    #onDeclined() {
        this.isDeclined = true;
        for (const type of ["pointerdown", "keydown"]) {
            document.addEventListener(type, () => { this.isDeclined = false; }, { once: true, capture: true });
        }
    }

    /** @returns {Promise<boolean>} */
    #ask() {
        return new Promise((resolve) => {
            const { dialog, form, error, submit } = this.#dialog();
            let isSignedIn = false;
            form.addEventListener("submit", async (event) => {
                event.preventDefault();
                const data = new FormData(form);
                const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
                submit.disabled = true;
                fill(error);
                try {
                    await this.client.signIn(text("name"), text("password"), data.has("remember"));
                    isSignedIn = true;
                    dialog.close();
                } catch (failure) {
                    fill(error, messageOf(failure));
                    submit.disabled = false;
                }
            });
            dialog.addEventListener("close", () => {
                dialog.remove();
                resolve(isSignedIn);
            });
            this.parent.append(dialog);
            dialog.showModal();
        });
    }

    #dialog() {
        const secret = this.hasPasswords ? "Password" : "Token";
        const error = h("p", { class: "form-error", role: "alert" });
        const submit = h("button", { type: "submit", class: "button primary", "data-testid": "sign-in" }, "Sign in");
        const dialog = h("dialog", { class: "dialog", "aria-labelledby": "sign-in-title", "data-testid": "sign-in-dialog" });
        const close = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Not now");
        const form = h("form", { class: "form", autocomplete: "on" },
            h("h2", { id: "sign-in-title" }, "Sign in"),
            h("p", { class: "hint" }, this.hasPasswords
                ? "With your name and password at the login server of your institution."
                : "With the name and the token that the server's administrator gave you."),
            h("label", { class: "field" }, h("span", {}, "Name"),
                h("input", { name: "name", autocomplete: "username", required: true, autofocus: true, maxlength: 200 })),
            h("label", { class: "field" }, h("span", {}, secret),
                h("input", { name: "password", type: "password", autocomplete: "current-password", required: true })),
            h("label", { class: "check" }, h("input", { type: "checkbox", name: "remember" }),
                h("span", {}, "Remember me on this computer")),
            h("p", { class: "hint" }, "Without it, you are signed out when this tab is closed."),
            error,
            h("div", { class: "dialog-buttons" }, close, submit));
        dialog.append(form);
        return { dialog, form, error, submit };
    }
}
