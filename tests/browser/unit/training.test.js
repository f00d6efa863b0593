/** The numbers of the plots, and which reports are about a training that was started. */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
    cumulativeLabels, errorsOfVersions, histogram, MAX_READERS, median, NAMELESS, OTHERS, runningMedian, stacked,
} from "../../../apps/vertebra_landmarks/browser/training/plot_data.js";
import { isOngoing, secondsLeft, START_TIMEOUT_MS, TrainingWatch } from "../../../apps/vertebra_landmarks/browser/training/training_watch.js";

test("labels add up over days without gaps, the most diligent reader first", () => {
    const { days, readers, totals } = cumulativeLabels([
        { day: "2026-11-30", user: "ada", count: 2 }, { day: "2026-11-27", user: "ben", count: 1 },
        { day: "2026-11-27", user: "ada", count: 3 }, { day: "2026-11-28", user: "", count: 1 },
    ]);
    assert.deepEqual(days.map((day) => new Date(day * 1000).toISOString()), [27, 28, 29, 30].map((day) => `2026-11-${day}T00:00:00.000Z`));
    assert.deepEqual(readers, ["ada", "ben", NAMELESS]);
    assert.deepEqual(totals, [[3, 3, 3, 5], [1, 1, 1, 1], [0, 1, 1, 1]]);
    assert.deepEqual(stacked(totals), [[3, 3, 3, 5], [4, 4, 4, 6], [4, 5, 5, 7]]);
});

test("many readers share a colour, and no label is lost", () => {
    const byDay = Array.from({ length: 20 }, (_, index) => ({ day: "2026-11-30", user: `u${index}`, count: 20 - index }));
    const { readers, totals } = cumulativeLabels(byDay);
    assert.equal(readers.length, MAX_READERS);
    assert.deepEqual([readers[0], readers.at(-1)], ["u0", OTHERS]);
    assert.equal(totals.reduce((sum, row) => sum + row[0], 0), 210);
});

test("without labels there is nothing to plot", () => {
    assert.deepEqual(cumulativeLabels([]), { days: [], readers: [], totals: [] });
    assert.deepEqual(histogram([]), { begins: [], counts: [] });
    assert.deepEqual(errorsOfVersions([]).numbers, []);
});

test("a bin holds its lower bound and not its upper one", () => {
    assert.deepEqual(histogram([0, 4.9, 5, 12, NaN, -1], 5), { begins: [0, 5, 10], counts: [2, 1, 1] });
});

test("medians", () => {
    assert.deepEqual([median([3]), median([4, 1]), median([9, 1, 5])], [3, 2.5, 5]);
    assert.deepEqual(runningMedian([1, 100, 2, 3, 4], 3), [50.5, 2, 3, 3, 3.5]);
});

test("versions without a measurement are left out", () => {
    const versions = [{ number: 1, facts: {} }, { number: 2, facts: { gate: { before: 0.2, after: 0.1 } } },
        { number: 3, facts: { gate: { before: null, after: null } } }];
    assert.deepEqual(errorsOfVersions(versions), { numbers: [2], before: [0.2], after: [0.1] });
});

test("the time left follows from the speed so far", () => {
    assert.equal(secondsLeft({ state: "running", percent: 25, elapsed_s: 60 }), 180);
    assert.equal(secondsLeft({ state: "running", percent: 0, elapsed_s: 60 }), null);
    assert.equal(secondsLeft({ state: "starting" }), null);
});

test("the report of the training before does not end the one that was started", () => {
    let now = 0;
    const watch = new TrainingWatch(() => now);
    const former = { state: "done", start_ts: 1 };
    assert.ok(isOngoing(watch.onStarted(former)));
    assert.deepEqual(watch.filter({ state: "done", start_ts: 1 }), { state: "starting" });
    assert.deepEqual(watch.filter({ state: "running", start_ts: 9 }), { state: "running", start_ts: 9 });
    assert.deepEqual(watch.filter(former), former); // from now on reports count as they are
    watch.onStarted(former);
    now = START_TIMEOUT_MS;
    assert.deepEqual(watch.filter(former), former); // it never began
    watch.onStarted(former);
    watch.onStopped();
    assert.deepEqual(watch.filter(former), former);
});
