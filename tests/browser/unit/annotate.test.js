/** Parts of the page of an image that need no browser. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerError } from "../../../apps/vertebra_landmarks/browser/api/errors.js";
import { EditSession, MAX_PAUSE_S, WorkTimer } from "../../../apps/vertebra_landmarks/browser/annotate/edit_session.js";
import { KEYS, helpSections, nameOfKey } from "../../../apps/vertebra_landmarks/browser/annotate/keys.js";
import { OpenedImages, chooseNext } from "../../../apps/vertebra_landmarks/browser/annotate/next_image.js";
import { newKey } from "../../../apps/vertebra_landmarks/browser/api/random_key.js";
import { ViewTransform } from "../../../apps/vertebra_landmarks/browser/canvas/view_transform.js";
import { DraftError, Drafts, serverIdentity } from "../../../apps/vertebra_landmarks/browser/editor/drafts.js";
import { rotated } from "../../../apps/vertebra_landmarks/browser/editor/geometry.js";
import { Measuring, pointsBody } from "../../../apps/vertebra_landmarks/browser/editor/measuring.js";
import { NewestOnly } from "../../../apps/vertebra_landmarks/browser/editor/newest_only.js";
import { P, V } from "../../../apps/vertebra_landmarks/browser/editor/schema.js";
import { Spine } from "../../../apps/vertebra_landmarks/browser/editor/spine.js";
import { SpineEditor } from "../../../apps/vertebra_landmarks/browser/editor/spine_editor.js";

const later = (ms = 5) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A storage as the browser's. */
function storage() {
    const values = new Map();
    return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => values.set(key, value) };
}

/** Answers the strategy from a list, and lists the images that are left. */
function clientOf(choices, predicted = [], unlabelled = []) {
    const asked = [...choices];
    const pages = { predicted, unlabelled };
    return {
        post: () => Promise.resolve(asked.length ? { id: asked.shift() } : {}),
        get: (path) => {
            const state = new URLSearchParams(path.split("?")[1]).get("state");
            return Promise.resolve({ images: pages[state].map((id) => ({ id })) });
        },
    };
}

test("working time leaves out long pauses", () => {
    let now = 100;
    const timer = new WorkTimer(10, () => now);
    timer.touch();
    assert.equal(timer.seconds, 10);
    for (const step of [5, MAX_PAUSE_S, MAX_PAUSE_S + 1, 2]) {
        now += step;
        timer.touch();
    }
    assert.equal(timer.seconds, 10 + 5 + MAX_PAUSE_S + 2);
});

test("one job runs at a time, and of those that wait the newest is next", async () => {
    const [begun, ended] = [[], []];
    const jobs = new NewestOnly(async (value) => {
        begun.push(value);
        await later();
        ended.push(value);
    });
    for (const value of [1, 2, 3]) jobs.submit(value);
    assert.deepEqual(begun, [1]);
    assert.ok(jobs.isBusy);
    await jobs.idle();
    assert.deepEqual(ended, [1, 3]);
    assert.ok(!jobs.isBusy);
    jobs.submit(4);
    jobs.submit(5);
    jobs.clear();
    await jobs.idle();
    assert.deepEqual(ended, [1, 3, 4]);
});

test("measuring sends the points as they are when its turn comes, and nothing after its end", async () => {
    const [sent, measured] = [[], []];
    const client = { post: async (path, body) => {
        sent.push(body);
        await later();
        return { path, body };
    } };
    const measuring = new Measuring(client, (answer) => measured.push(answer.body), assert.fail);
    let state = "first";
    measuring.request(() => state);
    measuring.request(() => state);
    state = "newest";
    for (let waits = 0; measured.length < 2 && waits < 1_000; waits++) await later();
    assert.deepEqual(sent, ["first", "newest"]);
    assert.deepEqual(measured, sent);
    measuring.request(() => "late");
    measuring.close();
    await later(20);
    assert.deepEqual(measured, sent.slice(0, 2));
});

test("a measurement that fails is told, and the next one is sent", async () => {
    const failure = new ServerError("unreachable", "gone");
    const errors = [];
    let isUp = false;
    const client = { post: () => (isUp ? Promise.resolve("measured") : Promise.reject(failure)) };
    const answers = [];
    const measuring = new Measuring(client, (answer) => answers.push(answer), (error) => errors.push(error));
    measuring.request(() => ({}));
    await later();
    isUp = true;
    measuring.request(() => ({}));
    await later();
    assert.deepEqual([errors, answers], [[failure], ["measured"]]);
});

test("scores and errors are sent of points that no person has placed", () => {
    const spine = Spine.fromLandmarks([
        { name: "T7", x: 5, y: 6, score: 0.5, error_px: 2, visible: true },
        { name: "T7 TL", x: 1, y: 2, score: 1, error_px: null, visible: true },
        { name: "T8 BR", x: 3, y: -4, score: 0.25, error_px: null, visible: false },
        { name: "T99", x: 0, y: 0, score: 1, error_px: null, visible: true },
    ]);
    const editor = new SpineEditor();
    editor.load(spine);
    assert.deepEqual(pointsBody(editor), {
        points: { T7: { center: [5, 6], TL: [1, 2] } },
        hidden: { T8: { BR: [3, -4] } },
        scores: { T7: { center: 0.5 }, T8: { BR: 0.25 } },
        errors_px: { T7: { center: 2 } },
    });
});

test("a session knows what is kept and what is submitted", () => {
    const [editor, session] = [new SpineEditor(), new EditSession("a", "here")];
    assert.ok(session.isSaved && !session.isUnsaved);
    session.revision = 2;
    assert.ok(!session.isSaved && session.isUnsaved);
    session.savedRevision = 2;
    assert.ok(session.isSaved && session.isUnsaved);
    session.submittedRevision = 2;
    assert.ok(session.isSaved && !session.isUnsaved);
    session.isProposal = true;
    assert.ok(session.showsProposal(editor));
    editor.load(Spine.empty(), new Uint8Array(V * P).fill(1));
    assert.ok(!session.showsProposal(editor));
});

test("work that somebody else resumes names who began it", () => {
    const editor = new SpineEditor();
    editor.load(Spine.fromLandmarks([{ name: "T1", x: 1, y: 2, score: 1, error_px: null, visible: true }]));
    const first = new EditSession("a", "here");
    first.timer = new WorkTimer(30);
    editor.movePoint(0, 0, [3, 4]);
    const draft = { format: 1, ...first.draft(editor, "Ada") };
    assert.deepEqual([draft.user, draft.edits, draft.touched, draft.seconds], ["Ada", 1, ["T1"], 30]);
    const second = new EditSession("a", "here");
    second.resume(editor, draft, "Grace");
    assert.equal(second.begunBy, "Ada");
    assert.equal(second.edits(editor), 1);
    assert.deepEqual(editor.point(0, 0), [3, 4]);
    assert.ok(editor.isOwn && second.isUnsaved);
    second.resume(editor, draft, "Ada");
    assert.equal(second.begunBy, "");
});

test("keys are unique and named as they are pressed", () => {
    const all = KEYS.flatMap(({ keys }) => keys);
    assert.equal(new Set(all).size, all.length);
    const press = (key, modifiers = {}) =>
        nameOfKey({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...modifiers });
    assert.equal(press("n"), "N");
    assert.equal(press("N", { shiftKey: true }), "N");
    assert.equal(press("+", { shiftKey: true }), "+");
    assert.equal(press("z", { metaKey: true }), "Ctrl+Z");
    assert.equal(press("Z", { ctrlKey: true, shiftKey: true }), "Ctrl+Shift+Z");
    assert.equal(press("Tab", { shiftKey: true }), "Shift+Tab");
    assert.equal(press("n", { altKey: true }), "Alt+N");
    const shown = helpSections().flatMap(({ rows }) => rows.map(([keys]) => keys));
    assert.ok(KEYS.every(({ keys }) => shown.includes(keys[0])));
});

test("the next image is the strategy's, unless it was open already", async () => {
    const opened = new OpenedImages(storage(), () => "");
    opened.push("a");
    assert.equal(await chooseNext(clientOf(["b"]), "first", "a", opened), "b");
    opened.push("b");
    assert.equal(await chooseNext(clientOf(["a", "c"]), "first", "b", opened), "c");
    assert.equal(await chooseNext(clientOf([]), "first", "b", opened), "");
    const stuck = () => clientOf(Array(9).fill("a"), ["a", "d"], ["b", "c"]);
    assert.equal(await chooseNext(stuck(), "first", "b", opened), "c");
    for (const id of ["c", "d"]) opened.push(id);
    assert.equal(await chooseNext(stuck(), "first", "d", opened), "a"); // all were skipped: it starts over
    assert.deepEqual(opened.ids, ["d"]);
});

test("the only image without a label is not opened again", async () => {
    const opened = new OpenedImages(null, () => "");
    const only = clientOf(["a", "a"], ["a"]);
    await assert.rejects(chooseNext(only, "first", "a", opened), /only image left without a label/);
});

test("images opened in the tab are remembered, and the way back is found", () => {
    const kept = storage();
    let user = "ada";
    const opened = new OpenedImages(kept, () => user);
    assert.equal(opened.back(), "");
    for (const id of ["a", "a", "b", "c"]) opened.push(id);
    const again = new OpenedImages(kept, () => user);
    assert.equal(again.previous, "b");
    assert.equal(again.back(), "b");
    again.push("b");
    assert.deepEqual(again.ids, ["a", "b"]);
    user = "ben"; // at the same computer: nothing of ada's is left, nor comes again
    assert.deepEqual([again.ids, again.previous], [[], ""]);
    again.push("x");
    user = "ada";
    assert.deepEqual([again.ids, new OpenedImages(kept, () => user).ids], [[], []]);
    for (const broken of ["{broken", '["a", "b"]', '{"user": "ada"}']) {
        kept.setItem("vertebraLandmarks.opened", broken);
        assert.deepEqual(new OpenedImages(kept, () => user).ids, []);
    }
});

test("a browser without storage says so", async () => {
    const drafts = new Drafts(undefined);
    await assert.rejects(drafts.list("here"), DraftError);
    await assert.rejects(drafts.save({ key: "a" }), /storage is full or blocked/);
    const broken = { open: () => { throw new Error("denied"); } };
    await assert.rejects(new Drafts(broken).remove("a"), DraftError);
});

test("keys of drafts are unique, and servers differ by their address", () => {
    assert.match(newKey(), /^[0-9a-f]{32}$/);
    assert.notEqual(newKey(), newKey());
    assert.equal(serverIdentity("http://a:8000/#/image/x"), serverIdentity("http://a:8000/index.html"));
    assert.notEqual(serverIdentity("http://a:8000/"), serverIdentity("http://a:8001/"));
    assert.notEqual(serverIdentity("http://a/one/"), serverIdentity("http://a/two/"));
});

const isNear = (/** @type {ArrayLike<number>} */ one, /** @type {ArrayLike<number>} */ other) =>
    Array.from(one).forEach((value, i) => assert.ok(Math.abs(value - other[i]) < 1e-9, `${[...one]} is not ${[...other]}`));

test("pixels that are not square are shown in the proportions of the patient, however the image lies", () => {
    const lies = [0, 90, 180, 270].flatMap((turn_deg) => [{ turn_deg, mirrored: false }, { turn_deg, mirrored: true }]);
    for (const orientation of lies) {
        const shown = new ViewTransform(100, 300, orientation, 1.25);
        shown.resize(500, 700);
        const isTurned = orientation.turn_deg % 180 !== 0;
        const proportions = isTurned ? 300 / 125 : 125 / 300;
        assert.ok(Math.abs(shown.width / shown.height - proportions) < 1e-9);
        for (const at of [[0, 0], [99, 299], [12.5, 7.25]]) {
            const screen = shown.toScreen(at);
            isNear(shown.toStored(...screen), at);
            const all = new Float64Array(2);
            shown.allToScreen(Float64Array.from(at), all);
            isNear(all, screen);
            const [a, b, c, d, e, f] = shown.screenToEdges();
            isNear([a * screen[0] + c * screen[1] + e - 0.5, b * screen[0] + d * screen[1] + f - 0.5], at);
        }
        const [start, along, down] = [[0, 0], [4, 0], [0, 5]].map((at) => shown.toScreen(at));
        const length = (/** @type {number[]} */ to) => Math.hypot(to[0] - start[0], to[1] - start[1]);
        isNear([length(along)], [length(down)]);
    }
    const square = new ViewTransform(100, 300);
    assert.deepEqual([square.width, square.height, square.toUpright([3, 4])], [100, 300, [3, 4]]);
});

test("a vertebra that is turned keeps its shape in the patient", () => {
    isNear(rotated([4, 0], [0, 0], 90, 1.25), [0, 5]);
    isNear(rotated([0, 5], [0, 0], 90, 1.25), [-4, 0]);
    isNear(rotated([1, 3], [1, 1], 90), [-1, 1]);
});
