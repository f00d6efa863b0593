/** The bar at the top: pages, help and user. */

import { fill, h, icon, nameElement } from "./dom.js";
import { hrefOf } from "./router.js";

/** @typedef {import("./router.js").PageName} PageName */

/** Pages that belong to another one. @type {Partial<Record<PageName, PageName>>} */
const PARTS = { agreement: "study", adjudicate: "study" };
const ROLE_TEXTS = {
    reader: "Reader: sees images and measurements",
    annotator: "Annotator: also saves labels and adds images",
    admin: "Administrator: also trains and publishes models",
};

/** Brand, links to the pages, help and user menu. */
export class Header {
    /**
     * @param {HTMLElement} parent
     * @param {import("./session.js").Session} session
     * @param {import("./study.js").Study} study
     * @param {{onHelp: () => void, onSignIn: () => void, onSignOut: () => void}} handlers
     */
    constructor(parent, session, study, handlers) {
        this.session = session;
        this.study = study;
        this.handlers = handlers;
        this.links = new Map([
            ["overview", link("overview", "images", "Images")],
            ["study", link("study", "study", "Study")],
            ["training", link("training", "training", "Training")],
        ]);
        this.userName = h("span", { class: "user-name" });
        this.userButton = h("button", {
            type: "button", class: "user-button", "data-testid": "user", "aria-haspopup": "dialog",
            onclick: () => this.#openUserMenu(),
        }, icon("user"), this.userName);
        const help = h("button", {
            type: "button", class: "icon-button", "aria-label": "Help and keys", title: "Help and keys (?)",
            "data-testid": "help", onclick: handlers.onHelp,
        }, icon("help"));
        fill(parent,
            h("a", { class: "brand", href: hrefOf("overview"), "aria-label": "Vertebra Landmarks, images" }, mark(),
                h("span", { class: "brand-name" }, "Vertebra Landmarks")),
            h("nav", { class: "pages", "aria-label": "Pages" }, ...this.links.values()),
            h("div", { class: "header-end" }, help, this.userButton));
        this.parent = parent;
        session.onChange(() => this.refresh());
        study.onChange(() => this.refresh());
        this.refresh();
    }

    /** Mark the present page. @param {PageName} page */
    setPage(page) {
        for (const [name, element] of this.links) {
            if (name === (PARTS[page] ?? page)) element.setAttribute("aria-current", "page");
            else element.removeAttribute("aria-current");
        }
    }

    /** Show the user, and the pages that are of use. */
    refresh() {
        const { session, study } = this;
        const studyLink = this.links.get("study");
        if (studyLink) studyLink.hidden = study.plan === null && !session.may("admin");
        const isSignedOut = session.hasLogin && session.owner === null;
        const name = session.userName;
        fill(this.userName, isSignedOut ? "Sign in" : name ? nameElement(name) : "Your name");
        const role = session.hasLogin && session.role ? `, ${session.role}` : "";
        this.userButton.setAttribute("aria-label", isSignedOut ? "Sign in" : `${name || "Your name"}: user${role}`);
    }

    #openUserMenu() {
        if (this.session.hasLogin && this.session.owner === null) return this.handlers.onSignIn();
        const dialog = h("dialog", { class: "dialog user-menu", "aria-labelledby": "user-title", "data-testid": "user-menu" });
        dialog.append(this.session.hasLogin ? this.#loginMenu(dialog) : this.#nameForm(dialog));
        dialog.addEventListener("close", () => dialog.remove());
        dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
        this.parent.append(dialog);
        dialog.showModal();
    }

    /** @param {HTMLDialogElement} dialog */
    #loginMenu(dialog) {
        const { session } = this;
        const isRemembered = session.client.credentials.isRemembered;
        return h("div", { class: "form" },
            h("h2", { id: "user-title" }, nameElement(session.userName)),
            h("p", { class: "hint", "data-testid": "role" }, session.role ? ROLE_TEXTS[session.role] : "No role"),
            h("p", { class: "hint" }, isRemembered
                ? "You are remembered on this computer until you sign out."
                : "You are signed in until this tab is closed."),
            h("div", { class: "dialog-buttons" },
                h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close"),
                h("button", {
                    type: "button", class: "button danger", "data-testid": "sign-out",
                    onclick: () => { dialog.close(); this.handlers.onSignOut(); },
                }, "Sign out")));
    }

    /** @param {HTMLDialogElement} dialog */
    #nameForm(dialog) {
        const input = h("input", { name: "name", value: this.session.userName, maxlength: 100, autofocus: true });
        const form = h("form", { class: "form" },
            h("h2", { id: "user-title" }, "Your name"),
            h("p", { class: "hint" }, "This server has no login. Your name is saved with your labels, so that others "
                + "know who made them", this.study.plan ? ", and says what is yours in this study." : "."),
            h("label", { class: "field" }, h("span", {}, "Name"), input),
            h("div", { class: "dialog-buttons" },
                h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel"),
                h("button", { type: "submit", class: "button primary" }, "Save")));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.session.setUserName(input.value);
            dialog.close();
        });
        return form;
    }
}

/** @param {PageName} page @param {string} drawing @param {string} text */
function link(page, drawing, text) {
    return h("a", { href: hrefOf(page), class: "page-link", "data-testid": `page-${page}` }, icon(drawing),
        h("span", {}, text));
}

/** The mark of the project: a curved spine. */
function mark() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", class: "mark", "aria-hidden": "true" })) {
        svg.setAttribute(name, value);
    }
    const bodies = [[9.5, 1.5, -8], [11.8, 6, -4], [12.6, 10.5, 6], [11.2, 15, 10], [8.9, 19.5, 4]];
    for (const [x, y, turn] of bodies) {
        const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        const size = { x: x - 3.4, y, width: 7.6, height: 3.2, rx: 1, transform: `rotate(${turn} ${x} ${y + 1.6})` };
        for (const [name, value] of Object.entries(size)) rect.setAttribute(name, String(value));
        svg.append(rect);
    }
    return svg;
}
