/** Comparing two images of a patient, and stored labels as they are measured. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { pairedCurves } from "../../../apps/vertebra_landmarks/browser/editor/measuring.js";
import { changeOrDash, compare, curveText, meaning } from "../../../apps/vertebra_landmarks/browser/follow_up/comparison.js";
import { measureBody, pointsOf } from "../../../apps/vertebra_landmarks/browser/follow_up/stored_points.js";

const curve = (upper_end, lower_end, angle_deg, half_width_deg = null) => ({ upper_end, lower_end, angle_deg, half_width_deg });
const ends = (angle_deg) => [{ upper_end: "T5", lower_end: "T12", angle_deg }];
const BEFORE = { id: "a", curves: [curve("T5", "T12", 24.1, 2.1), curve("L1", "L4", 18)], same_ends: ends(24.1) };
const AFTER = { id: "b", curves: [curve("T6", "T12", 30)], same_ends: ends(29.5) };
const followUp = (changes) => ({ patient: "p", images: [BEFORE, AFTER], changes });
const change = (from, to, change_deg, within_error) => ({ upper_end: "T5", lower_end: "T12", from, to, change_deg, within_error });

test("a change is the server's, in either direction of time", () => {
    const stated = followUp([change("a", "b", 5.4, false)]);
    const [there] = compare(stated, BEFORE, AFTER);
    assert.deepEqual([there.name, there.before, there.after, there.change, there.isWithinError], ["T5–T12", 24.1, 29.5, 5.4, false]);
    assert.equal(meaning(there), "larger, beyond measurement error");
    const [back] = compare(stated, AFTER, BEFORE);
    assert.deepEqual([back.change, meaning(back)], [-5.4, "smaller, beyond measurement error"]);
});

test("what the server does not state is not invented", () => {
    const [unknown] = compare(followUp([change("a", "c", 1, true)]), BEFORE, AFTER);
    assert.deepEqual([unknown.change.toFixed(1), meaning(unknown)], ["5.4", "measurement error not known"]);
    const missing = { ...AFTER, same_ends: ends(null) };
    const [none] = compare({ patient: "p", images: [BEFORE, missing], changes: [] }, BEFORE, missing);
    assert.deepEqual([changeOrDash(none.change), meaning(none)], ["–", "not measured in both images"]);
    const bent = { ...AFTER, same_ends: ends(-12) };
    const [turned] = compare({ patient: "p", images: [BEFORE, bent], changes: [change("a", "b", -36.1, false)] }, BEFORE, bent);
    assert.equal(meaning(turned), "to the other side, beyond measurement error");
    const [within] = compare(followUp([change("a", "b", 1, true)]), BEFORE, AFTER);
    assert.equal(meaning(within), "within measurement error");
});

test("the images' own curves are side by side, and none is left out", () => {
    const [thoracic, lumbar, other] = [curve("T5", "T12", 24.1, 2.1), curve("L1", "L4", 18), curve("T6", "T12", 30)];
    assert.deepEqual(pairedCurves(BEFORE.curves, AFTER.curves), [[thoracic, other], [lumbar, null]]);
    assert.deepEqual(pairedCurves(AFTER.curves, BEFORE.curves), [[other, thoracic], [null, lumbar]]);
    assert.deepEqual(pairedCurves([], AFTER.curves), [[null, other]]);
    assert.deepEqual(pairedCurves([curve("T12", "L4", 9)], AFTER.curves), [[curve("T12", "L4", 9), null], [null, other]]);
    assert.deepEqual([curveText(thoracic), curveText(lumbar)], ["24.1 ± 2.1°, T5–T12", "18.0°, L1–L4"]);
});

test("hidden and unknown points are neither drawn nor measured", () => {
    const landmarks = [
        { name: "T1", x: 5, y: 6, score: 0.9, error_px: 2, visible: true },
        { name: "T1 TL", x: 1, y: 2, score: 1, error_px: null, visible: true },
        { name: "T1 TR", x: 3, y: 4, score: 0.9, error_px: 2, visible: false },
        { name: "C7", x: 3, y: 4, score: 0.9, error_px: 2, visible: true },
    ];
    const xy = pointsOf(landmarks);
    assert.deepEqual([...xy.slice(0, 4)], [5, 6, 1, 2]);
    assert.ok(xy.slice(4).every(Number.isNaN));
    const body = measureBody({ landmarks: landmarks.slice(0, 3), version: 1 }, { width: 10, height: 20, image_left_is: null, orientation: null, pixel_aspect: 1.25 });
    assert.deepEqual(body.points, { T1: { center: [5, 6], TL: [1, 2] } });
    assert.deepEqual([body.scores, body.errors_px], [{ T1: { center: 0.9 } }, { T1: { center: 2 } }]); // TL: set by a person
    assert.deepEqual(body.image, { width: 10, height: 20, pixel_aspect: 1.25, image_left_is: null });
});
