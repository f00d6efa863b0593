/** Words, numbers and decisions of a study with a plan. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { EditSession } from "../../../apps/vertebra_landmarks/browser/annotate/edit_session.js";
import { isOfReading } from "../../../apps/vertebra_landmarks/browser/annotate/image_loader.js";
import { chooseOfStudy } from "../../../apps/vertebra_landmarks/browser/annotate/next_image.js";
import { adjudicationBanner, readingBanner } from "../../../apps/vertebra_landmarks/browser/annotate/sections/reading.js";
import { Client } from "../../../apps/vertebra_landmarks/browser/api/client.js";
import { Spine } from "../../../apps/vertebra_landmarks/browser/editor/spine.js";
import { isListed } from "../../../apps/vertebra_landmarks/browser/overview/draft_list.js";
import { Study } from "../../../apps/vertebra_landmarks/browser/shell/study.js";
import { finalText, shiftText } from "../../../apps/vertebra_landmarks/browser/study/adjudicate/words.js";
import { csvOf, estimateText, numberText } from "../../../apps/vertebra_landmarks/browser/study/agreement/figures.js";
import { NEW_PLAN, namesIn, planSentences, shareOf } from "../../../apps/vertebra_landmarks/browser/study/overview/plan_form.js";

const READINGS = [{ number: 1, reader: "ada" }, { number: 2, reader: "ben" }];
const DRAFT = { key: "k", seconds: 1, edits: 1, landmarks: [], touched: [], baseVersion: 0, begunBy: "", imageLeftIs: null };
const slot = (kind, more = {}) => ({ number: 1, kind, blind: true, model: true, submitted: false, ...more });

test("a banner says what the reading is, and what is shown", () => {
    const second = readingBanner({ may_save: true, model: true, reading: slot("second") });
    assert.deepEqual(second, { title: "Second reading, blind", action: "release",
        sentences: ["Nothing of other readings is shown.", "Points of the model are offered."] });
    const repeat = readingBanner({ may_save: true, model: false, reading: slot("repeat") });
    assert.equal(repeat.title, "Repeat, blind");
    assert.match(repeat.sentences.join(" "), /nor your own first one.*No points of the model: place the points by hand/);
    const open = readingBanner({ may_save: true, model: true, reading: slot("first", { blind: false, submitted: true }) });
    assert.deepEqual([open.title, open.sentences.length, open.action], ["First reading", 1, ""]);
});

test("an adjudicator is told what submitting does", () => {
    const session = { isAdjudication: true, source: "", baseVersion: 0, part: null };
    assert.equal(adjudicationBanner(session).title, "To adjudicate");
    assert.equal(adjudicationBanner({ ...session, baseVersion: 3 }).title, "Final label");
    assert.equal(adjudicationBanner({ ...session, source: "2" }).title, "Adjudication: edit reading 2");
    assert.equal(adjudicationBanner({ ...session, isAdjudication: false, part: { may_save: false } }).title, "Not read yet");
});

test("unfinished work is offered to its user and for its reading only", () => {
    const session = (reading, kind = "first") => ({ reading, part: { reading: reading === null ? null : { kind } } });
    const draft = (reading, user = "ben") => ({ reading, user });
    assert.ok(isOfReading(draft(2), session(2), "ben"));
    assert.ok(!isOfReading(draft(2, "ada"), session(2), "ben"));
    assert.ok(!isOfReading(draft(1), session(3, "repeat"), "ben"));
    assert.ok(!isOfReading({ user: "ben" }, session(3, "repeat"), "ben"));
    const before = { user: "ben", baseVersion: 0, begunBy: "" }; // the plan, or of a release before readings
    assert.ok(isOfReading(before, session(1), "ben"));
    assert.ok(!isOfReading({ ...before, baseVersion: 2 }, session(1), "ben")); // with the points of somebody's label
    assert.ok(!isOfReading({ ...before, begunBy: "ada" }, session(1), "ben"));
    assert.ok(!isOfReading(draft(null), session(0), "ben"));
});

test("work on a reading that ran out goes on as the one that the user has now", () => {
    const work = (slotOf, more = {}) => ({ user: "ben", reading: slotOf.number, slot: slotOf, ...more });
    const session = (reading) => ({ reading: reading?.number ?? null, part: { may_save: true, model: true, reading } });
    const [first, second] = [slot("first"), slot("second", { number: 2 })];
    assert.ok(isOfReading(work(first), session(second), "ben"));
    assert.ok(isOfReading(work(first), session(null), "ben")); // the server begins it again when it is submitted
    assert.ok(!isOfReading(work(first), { ...session(null), part: { may_save: false, reading: null } }, "ben"));
    assert.ok(!isOfReading(work(first), session(slot("repeat", { number: 3 })), "ben"));
    assert.ok(!isOfReading(work(first), session({ ...second, submitted: true }), "ben"));
    assert.ok(!isOfReading(work({ ...first, submitted: true }), session(second), "ben"));
    assert.ok(!isOfReading(work(first), session(second), "ada"));
    const again = new EditSession("a", "here");
    again.part = { may_save: true, model: false, reading: null };
    again.resume({ load: () => {} }, { ...DRAFT, ...work(first) }, "ben");
    assert.deepEqual([again.reading, again.part.model], [1, true]);
});

test("the work of an adjudicator goes on with what it began with, and knows the readings that it was made from", () => {
    const session = (source, versions = { 1: 1, 2: 1 }) => {
        const one = new EditSession("a", "here", source);
        return Object.assign(one, { part: { may_save: true, reading: null }, readingVersions: versions });
    };
    const begun = { user: "cleo", reading: 0, source: "1" };
    assert.ok(isOfReading(begun, session("1"), "cleo"));
    assert.ok(!isOfReading(begun, session("2"), "cleo"));
    assert.ok(!isOfReading(begun, session("mean"), "cleo"));
    assert.ok(isOfReading(begun, session(""), "cleo")); // opened from the list of unfinished work
    assert.ok(isOfReading({ user: "cleo", reading: 0 }, session("2"), "cleo")); // kept by an earlier release
    const kept = session("1").draft({ spine: () => Spine.fromLandmarks([]), touched: [], edits: 2, origin: null }, "cleo");
    assert.deepEqual([kept.source, kept.readingVersions], ["1", { 1: 1, 2: 1 }]);
    const later = session("", { 1: 1, 2: 4 });
    assert.ok(later.isChangedSince(kept));
    assert.ok(!session("").isChangedSince(kept));
    assert.ok(session("").isChangedSince(begun)); // nobody knows
    later.resume({ load: () => {} }, { ...DRAFT, ...kept }, "cleo");
    assert.deepEqual([later.source, later.readingVersions], ["1", { 1: 1, 2: 1 }]); // so that the server refuses
});

test("unfinished work is listed for others only where the server has said that there is no plan", () => {
    const [unknown, without, planned] = [{ plan: null, status: null }, { plan: null, status: {} }, { plan: {}, status: {} }];
    const listed = (study, isOfStudy, user = "ben") => isListed({ user: "ada", isOfStudy }, study, user);
    assert.deepEqual([unknown, without, planned].map((study) => listed(study, false)), [false, true, false]);
    assert.deepEqual([unknown, without, planned].map((study) => listed(study, true)), [false, false, false]);
    assert.ok([unknown, without, planned].every((study) => listed(study, true, "ada")));
});

test("whether there is a plan is asked again where the server did not answer", async () => {
    const study = new Study({ get: () => Promise.resolve({ plan: NEW_PLAN, version: "1", you: {} }) });
    await study.known();
    assert.equal(study.plan, NEW_PLAN);
    const without = new Study({ get: () => Promise.reject(new Error("no answer")) });
    await assert.rejects(without.known(), /no answer/);
});

test("the open image is kept until it is given back", async () => {
    const asked = [];
    const study = (answers) => ({ next: () => Promise.resolve(answers.shift()), release: (image) => { asked.push(image); return Promise.resolve(); } });
    const other = { image: "b", reading: slot("first") };
    assert.equal(await chooseOfStudy(study([other]), "", "a", () => assert.fail()), other);
    assert.equal(await chooseOfStudy(study([{ image: "a" }]), "", "a", () => Promise.resolve(false)), null);
    assert.deepEqual(asked, []);
    assert.equal(await chooseOfStudy(study([{ image: "a" }, other]), "", "a", () => Promise.resolve(true)), other);
    assert.deepEqual(asked, ["a"]);
    const last = await chooseOfStudy(study([{ image: "a" }, { image: "a" }]), "", "a", () => Promise.resolve(true));
    assert.equal(last.image, null);
});

test("a server without a login is told who works, with every request", async () => {
    const sent = [];
    globalThis.fetch = (url, { headers }) => { sent.push(headers["X-User"]); return Promise.resolve(new Response("{}")); };
    const client = new Client("http://localhost/", { token: "" });
    await client.get("/study");
    client.statedUser = () => "Zoë \uD800%";
    await client.get("/study");
    client.needsToken = true;
    client.credentials.token = "t";
    await client.get("/study");
    assert.deepEqual(sent, [undefined, "Zo%C3%AB%20%EF%BF%BD%25", undefined]);
});

test("who has no part in the plan is told so", () => {
    const study = new Study(null);
    assert.equal(study.nextText, "Next image");
    assert.ok(study.hasPart);
    const show = (you) => study.show({ plan: NEW_PLAN, progress: null, you: { user: "", is_reader: false, is_adjudicator: false, ...you } });
    show({ user: "eve" });
    assert.ok(!study.hasPart);
    assert.equal(study.noPartText, "eve is neither reader nor adjudicator of the study plan: you may look, but not submit.");
    show({});
    assert.match(study.noPartText, /enter your name/);
    show({ is_adjudicator: true });
    assert.deepEqual([study.hasPart, study.nextText], [true, "Your next image"]);
    show({ is_reader: true });
    assert.equal(study.nextText, "Your next image");
});

test("shifted names are said in a sentence", () => {
    assert.equal(shiftText({ names_shift: 0, readings: READINGS }), "");
    assert.match(shiftText({ names_shift: 1, readings: READINGS }), /what ada calls T7, ben calls T8\. There is no mean\.$/);
    assert.match(shiftText({ names_shift: -1, readings: READINGS }), /what ada calls T7, ben calls T6\./);
    assert.equal(finalText({ final: { how: 2, by: "cleo" }, readings: READINGS }), "the reading of ben, chosen by cleo");
    assert.equal(finalText({ final: { how: "mean", by: "" }, readings: READINGS }), "the mean");
});

test("a plan is entered as names and percentages, and read as sentences", () => {
    assert.deepEqual(namesIn(" ada,ben\n cleo ,, "), ["ada", "ben", "cleo"]);
    assert.deepEqual([shareOf(50), shareOf(33.3), shareOf(0)], [0.5, 0.333, 0]);
    const said = planSentences({ ...NEW_PLAN, readers: ["ada", "ben"], adjudicators: ["cleo"], repeat: { share: 0.1, after_days: 14 },
        model: { first: true, second: false, repeat: false }, hold_out: { share: 0.07, images: ["a"] } });
    assert.deepEqual(said.slice(0, 4), ["ada, ben read.", "50 % of the images are read by two readers.",
        "cleo chooses the final label where there are two readings.", "10 % of the images are read once more by the same reader, 14 days later."]);
    assert.deepEqual(said.slice(-2), ["The model's points are offered in first readings.",
        "No model learns from 7 % of the images, nor from 1 named image."]);
});

test("figures and files of agreement", () => {
    assert.deepEqual([numberText(-2.04, 1), numberText(-0.01, 1), numberText("", 1), numberText(undefined, 1)], ["−2.0", "0.0", "–", "–"]);
    const row = { bias_deg: 0.44, bias_deg_low: -0.21, bias_deg_high: 1.02, sem_deg: 2, sem_deg_low: "", sem_deg_high: "" };
    assert.equal(estimateText(row, "bias_deg", 1), "0.4 (−0.2 to 1.0)");
    assert.equal(estimateText(row, "sem_deg", 1), "2.0");
    assert.equal(csvOf([{ a: "x, \"y\"", b: 1.5 }, { a: "", b: "line\nbreak" }]), "a,b\n\"x, \"\"y\"\"\",1.5\n,\"line\nbreak\"\n");
    assert.equal(csvOf([]), "");
});
