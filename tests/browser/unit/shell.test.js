/** Addresses, settings and words of the shell. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { agoText, changeText, durationText } from "../../../apps/vertebra_landmarks/browser/shell/format.js";
import { PageProbe } from "../../../apps/vertebra_landmarks/browser/shell/page_probe.js";
import { hrefOf, routeOf, Router } from "../../../apps/vertebra_landmarks/browser/shell/router.js";
import { Settings } from "../../../apps/vertebra_landmarks/browser/shell/settings.js";

const HOSTILE = ["a/b", "#/training", "<img src=x>", "\u202Etxt", "😀", "50 %", "a?b&c=d", "x".repeat(200), "..", " "];

/** Enough of a window for the router. */
class FakeWindow extends EventTarget {
    #hash = "";
    location = Object.defineProperty({}, "hash", { get: () => this.#hash, set: (hash) => { this.#go(hash); } });
    history = { replaceState: (_, __, hash) => { this.#hash = hash; } };
    #go(hash) {
        this.#hash = hash;
        this.dispatchEvent(new Event("hashchange"));
    }
}

const settled = () => new Promise((resolve) => { setTimeout(resolve, 5); });

test("any image id survives the address", () => {
    for (const id of HOSTILE) {
        assert.deepEqual(routeOf(hrefOf("image", id)), { page: "image", id });
        assert.deepEqual(routeOf(hrefOf("follow-up", id)), { page: "follow-up", id });
    }
    assert.equal(routeOf(hrefOf("image", "a\uD800b")).id, "a\uFFFDb"); // no lone surrogate has an address
});

test("unknown and malformed addresses are the overview", () => {
    for (const hash of ["", "#", "#/", "#/nowhere", "#/image", "#/image/", "#/image/%E0%A4%A", "#x"]) {
        assert.deepEqual(routeOf(hash), { page: "overview", id: "" });
    }
    assert.deepEqual(routeOf("#/training"), { page: "training", id: "" });
});

test("a page that wants to stay stays, with its address", async () => {
    const window = new FakeWindow();
    const opened = [];
    let mayClose = false;
    const router = new Router(window, (route) => {
        opened.push(route.page);
        return Promise.resolve({ close: () => Promise.resolve(mayClose) });
    });
    await router.follow();
    router.go("training");
    await settled();
    assert.deepEqual([opened, window.location.hash], [["overview"], ""]);
    mayClose = true;
    router.go("training");
    await settled();
    assert.deepEqual([opened, window.location.hash], [["overview", "training"], "#/training"]);
    await router.reload();
    assert.deepEqual(opened, ["overview", "training", "training"]);
});

test("when addresses change faster than pages open, the last one counts", async () => {
    const window = new FakeWindow();
    const opened = [];
    const router = new Router(window, async (route) => {
        await settled();
        opened.push(route.id || route.page);
        return { close: () => Promise.resolve(true) };
    });
    void router.follow();
    for (const id of ["a", "b", "c"]) router.go("image", id);
    await settled();
    await settled();
    await settled();
    assert.deepEqual([opened[0], opened.at(-1), opened.length], ["overview", "c", 2]);
});

test("settings have the type of their default, whatever is stored", () => {
    const values = new Map([["vertebraLandmarks.settings.size", '"big"'], ["vertebraLandmarks.settings.on", "{broken"]]);
    const settings = new Settings({ getItem: (name) => values.get(name) ?? null, setItem: (name, text) => values.set(name, text) });
    assert.equal(settings.get("size", 3), 3);
    assert.equal(settings.get("on", true), true);
    settings.set("size", 5);
    assert.equal(new Settings({ getItem: (name) => values.get(name) ?? null }).get("size", 3), 5);
    const forbidden = new Settings(null);
    forbidden.set("on", false);
    assert.equal(forbidden.get("on", true), false);
});

test("ready waits for the image that is being opened", async () => {
    const probe = new PageProbe();
    assert.deepEqual([probe.position("T7"), probe.state().image], [null, null]);
    const image = { id: "a", position: () => ({ x: 1, y: 2 }), screenPosition: () => null, state: () => ({ image: "a", edits: 0, version: 1 }) };
    probe.shown(image);
    assert.equal(await probe.ready, image);
    assert.deepEqual([probe.position("T7"), probe.state().version], [{ x: 1, y: 2 }, 1]);
    const first = probe.ready;
    probe.opening();
    assert.notEqual(probe.ready, first);
    assert.equal(probe.state().image, null);
});

test("ready belongs to the image that is asked for, also before the present one is left", async () => {
    const probe = new PageProbe();
    const image = { id: "a", position: () => null, screenPosition: () => null, state: () => ({ image: "a", edits: 0, version: 1 }) };
    probe.shown(image);
    const first = probe.ready;
    probe.leaving();
    assert.notEqual(probe.ready, first);
    assert.equal(probe.state().image, "a");
    probe.staying();
    assert.equal(await probe.ready, image);
    probe.opening();
    const failed = probe.ready;
    probe.failed(new Error("there is no such image"));
    await assert.rejects(failed, /no such image/);
    probe.opening();
    probe.shown(image);
    assert.equal(await probe.ready, image);
});

test("times and changes are words", () => {
    assert.deepEqual([0, 59.4, 60, 200, 3600, 3900].map(durationText), ["0 s", "59 s", "1 min", "3 min 20 s", "1 h", "1 h 5 min"]);
    assert.deepEqual([0, 61, 7200, 86400, 3 * 86400].map((ago) => agoText(1e9 - ago, 1e9)),
        ["just now", "1 min ago", "2 h ago", "1 day ago", "3 days ago"]);
    assert.match(agoText(1e9 - 8 * 86400, 1e9), /^\d{4}-\d\d-\d\d$/);
    assert.deepEqual([4.05, -2, -0.04, 0].map(changeText), ["+4.0°", "−2.0°", "0.0°", "0.0°"]);
});
