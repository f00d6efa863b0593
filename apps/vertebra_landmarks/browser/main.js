/** The page: builds the shell, asks who the user is, and opens the page that the address names. */

import { Client } from "./api/client.js";
import { pageCredentials } from "./api/credentials.js";
import { messageOf, ServerError } from "./api/errors.js";
import { fill, h } from "./shell/dom.js";
import { Header } from "./shell/header.js";
import { HelpSheet } from "./shell/help_sheet.js";
import { Messages } from "./shell/messages.js";
import { PageProbe } from "./shell/page_probe.js";
import { Router, routeOf } from "./shell/router.js";
import { Session } from "./shell/session.js";
import { browserSettings } from "./shell/settings.js";
import { SignIn } from "./shell/sign_in.js";
import { Study } from "./shell/study.js";

/** @typedef {import("./shell/router.js").Page} Page */
/** @typedef {import("./shell/router.js").Route} Route */
/** @typedef {import("./shell/context.js").Context} Context */

const probe = new PageProbe();
window.vertebraLandmarks = probe;

/** Titles of the browser's tab for pages without an image. */
const TITLES = { overview: "Images", image: "Image", adjudicate: "Adjudication", "follow-up": "Follow-up", training: "Training",
    study: "Study", agreement: "Agreement" };
/** @type {import("./shell/help_sheet.js").HelpSection} */
const GENERAL_KEYS = { title: "Everywhere", rows: [["?", "Show or hide this list"], ["Tab", "Next control"]] };

/**
 * Open the page of a route.
 * @param {Route} route
 * @param {HTMLElement} container empty
 * @param {Context} context
 * @returns {Promise<Page>}
 */
async function openRoute(route, container, context) {
    switch (route.page) {
        case "image": {
            const { openAnnotate } = await import("./annotate/page.js").catch(notLoaded);
            return openAnnotate(container, route.id, context, route.reading);
        }
        case "adjudicate": {
            const { openAdjudicate } = await import("./study/adjudicate/page.js").catch(notLoaded);
            return openAdjudicate(container, route.id, context);
        }
        case "study": {
            const { openStudy } = await import("./study/overview/page.js").catch(notLoaded);
            return openStudy(container, context);
        }
        case "agreement": {
            const { openAgreement } = await import("./study/agreement/page.js").catch(notLoaded);
            return openAgreement(container, context);
        }
        case "follow-up": {
            const { openFollowUp } = await import("./follow_up/page.js").catch(notLoaded);
            return openFollowUp(container, route.id, context);
        }
        case "training": {
            const { openTraining } = await import("./training/page.js").catch(notLoaded);
            return openTraining(container, context);
        }
        default: {
            const { openOverview } = await import("./overview/page.js").catch(notLoaded);
            return openOverview(container, context);
        }
    }
}

/** Load the modules of a page while the server is asked whether it has a login. @param {Route} route */
function preload({ page }) {
    const module = { overview: "./overview/page.js", image: "./annotate/page.js", training: "./training/page.js",
        "follow-up": "./follow_up/page.js", adjudicate: "./study/adjudicate/page.js", study: "./study/overview/page.js",
        agreement: "./study/agreement/page.js" }[page];
    import(module).catch(() => {}); // it is said when the page is opened
}

/** @returns {never} */
function notLoaded() {
    throw new ServerError("failed", "This part of the page could not be loaded; check that the server runs, then reload.");
}

/**
 * What is shown where a page cannot be opened.
 * @param {HTMLElement} container
 * @param {unknown} error
 * @param {Context} context
 * @returns {Page}
 */
function showFailure(container, error, context) {
    fill(container, h("div", { class: "empty", role: "alert" }, h("h1", {}, "This page cannot be shown"),
        h("p", {}, messageOf(error)),
        h("button", { type: "button", class: "button primary", onclick: () => context.router.reload() }, "Try again")));
    return { close: () => Promise.resolve(true) };
}

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
    const element = document.getElementById(id);
    if (!element) throw new Error(`index.html has no element ${id}`);
    return element;
}

/** Build the shell, then open the page of the address. */
function start() {
    const main = byId("main");
    const overlays = byId("overlays");
    const client = new Client(document.baseURI.replace(/#.*$/s, ""), pageCredentials());
    const settings = browserSettings();
    const session = new Session(client, settings);
    const study = new Study(client);
    const messages = new Messages(overlays);
    const signIn = new SignIn(overlays, client);
    const help = new HelpSheet(overlays);
    const router = new Router(window, async (route) => {
        header.setPage(route.page);
        help.set([GENERAL_KEYS]);
        document.title = `${route.id || TITLES[route.page]} – Vertebra Landmarks`;
        messages.hideError();
        const container = h("div", { class: "page" });
        fill(main, container);
        let page;
        try {
            page = await openRoute(route, container, context);
        } catch (error) {
            probe.failed(error);
            page = showFailure(container, error, context);
        }
        if (router.page !== null && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
        return page;
    });
    const header = new Header(byId("header"), session, study, {
        onHelp: () => help.toggle(),
        onSignIn: () => void signIn.open().then((isSignedIn) => isSignedIn ? router.reload() : undefined),
        onSignOut: () => void signOut(context),
    });
    const setHelp = (/** @type {import("./shell/help_sheet.js").HelpSection[]} */ sections) =>
        help.set([...sections, GENERAL_KEYS]);
    /** @type {Context} */
    const context = { client, settings, session, study, messages, router, probe, user: () => session.userName, setHelp,
        toggleHelp: () => help.toggle() };
    client.onUnauthorized = () => signIn.request();
    client.statedUser = () => session.userName;
    signIn.onSignedIn = () => {
        void session.loadOwner().catch((error) => messages.show(messageOf(error), "error"));
        void study.load();
    };
    byId("skip").addEventListener("click", (event) => {
        event.preventDefault();
        main.focus();
    });
    document.addEventListener("keydown", (event) => {
        if (event.key === "?" && !isTyping(event.target)) help.toggle();
    });
    for (const type of /** @type {const} */ (["dragover", "drop"])) { // else the browser leaves the page for the file
        window.addEventListener(type, (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
    }
    preload(routeOf(window.location.hash));
    void identify(session, signIn, messages).then(() => {
        void study.load();
        void router.follow();
        followUser(context);
    });
}

/**
 * Show what another user may see, once a name is entered, or somebody else has signed in.
 * @param {Context} context
 */
function followUser({ session, study, router }) {
    const present = () => session.hasLogin ? session.owner?.username ?? null : session.userName;
    let known = present();
    session.onChange(() => {
        const [before, now] = [known, present()];
        if (now === null || now === before) return;
        known = now;
        if (before === null) return; // the server has said who it is: nothing of others was shown
        const wasStudy = study.plan !== null;
        const asked = study.load();
        if (wasStudy) void router.reload(); // at once: what was shown is of the user before
        else void asked.then(() => { if (study.plan !== null) void router.reload(); });
    });
}

/**
 * Ask the server whether it has a login, and then, without waiting for it, who the user is.
 * @param {Session} session
 * @param {SignIn} signIn
 * @param {Messages} messages
 */
async function identify(session, signIn, messages) {
    const onError = (/** @type {unknown} */ error) => messages.show(messageOf(error), "error");
    try {
        signIn.hasPasswords = (await session.loadLogin()).hasPasswords;
        void session.loadOwner().catch(onError);
    } catch (error) {
        onError(error);
    }
}

/** @param {Context} context */
async function signOut(context) {
    if (context.router.page && !await context.router.page.close()) return;
    context.client.credentials.clear();
    window.location.reload();
}

/** Whether keys go into a text. @param {EventTarget|null} target */
function isTyping(target) {
    return target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=range]), textarea, select");
}

start();
