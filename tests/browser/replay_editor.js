/** Runs the page's editor on the operations of a test, read from the input as JSON; prints what each one led to. */

import { readFileSync } from "node:fs";

import { dragAlong } from "../../apps/vertebra_landmarks/browser/editor/geometry.js";
import { UprightMap, orientationOf } from "../../apps/vertebra_landmarks/browser/editor/orientation.js";
import { PlacementGuide, sortCorners, spineDirection } from "../../apps/vertebra_landmarks/browser/editor/placement_guide.js";
import { Spine } from "../../apps/vertebra_landmarks/browser/editor/spine.js";
import { SpineEditor } from "../../apps/vertebra_landmarks/browser/editor/spine_editor.js";

/** JSON has no NaN: null stands for it. */
const numbers = (values) => Float64Array.from(values, (value) => value ?? NaN);
const plain = (values) => Array.from(values, (value) => (Number.isNaN(value) ? null : Number(value)));
const spineOf = ({ xy, scores, errors, visible }) =>
    new Spine(numbers(xy), numbers(scores), numbers(errors), Uint8Array.from(visible));
const plainSpine = (spine) => ({
    xy: plain(spine.xy), scores: plain(spine.scores), errors: plain(spine.errors), visible: plain(spine.visible),
});

const OPERATIONS = {
    load: (editor, a) => editor.load(spineOf(a.spine), a.touched && Uint8Array.from(a.touched), a.origin, a.isOwn),
    propose: (editor, a) => editor.propose(spineOf(a.spine), a.origin),
    adopt: (editor, a) => editor.adopt(spineOf(a.spine), a.origin),
    follow: (editor, a) => editor.follow(spineOf(a.spine), a.origin),
    movePoint: (editor, a) => editor.movePoint(a.v, a.p, a.xy),
    place: (editor, a) => editor.place(a.v, a.p, a.xy),
    placeCorners: (editor, a) => editor.placeCorners(a.v, a.corners),
    moveVertebra: (editor, a) => editor.moveVertebra(a.v, a.xy),
    rotateVertebra: (editor, a) => editor.rotateVertebra(a.v, a.degrees),
    hide: (editor, a) => editor.hide(a.v, a.p),
    shiftNames: (editor, a) => editor.shiftNames(a.by),
    setLocked: (editor, a) => { editor.locked = a.isOn; },
    setOwn: (editor, a) => { editor.isOwn = a.isOn; },
    begin: (editor) => editor.begin(),
    end: (editor) => editor.end(),
    cancel: (editor) => editor.cancel(),
    undo: (editor) => editor.undo(),
    redo: (editor) => editor.redo(),
};

function stateOf(editor) {
    return {
        ...plainSpine(editor.spine()), shown: plain(editor.xy), touched: plain(editor.touched), origin: editor.origin,
        fixed: editor.fixed(), edits: editor.edits, predictionCount: editor.predictionCount, canUndo: editor.canUndo,
        canRedo: editor.canRedo, isChanged: editor.isChanged, isTouched: editor.isTouched, locked: editor.locked,
    };
}

function replayEditor({ operations }) {
    const editor = new SpineEditor();
    let changes = [];
    editor.subscribe((change) => changes.push(change));
    return operations.map(({ name, values }) => {
        changes = [];
        let result;
        try {
            result = OPERATIONS[name](editor, values) ?? null;
        } catch (error) {
            if (!(error instanceof RangeError)) throw error;
            result = "refused";
        }
        return { result, changes, state: stateOf(editor) };
    });
}

function replayGuide({ xy, order, operations }) {
    const guide = order ? new PlacementGuide(numbers(xy), order) : new PlacementGuide(numbers(xy));
    return [guide.current, ...operations.map(({ name, v }) => {
        if (name === "advance") guide.advance(numbers(xy));
        else if (name === "skipVertebra") guide.skipVertebra(numbers(xy));
        else if (name === "back") guide.back();
        else guide.goTo(v, name === "goToMissing" ? numbers(xy) : null);
        return guide.current;
    })];
}

const CASES = {
    editor: replayEditor,
    guide: replayGuide,
    dragAlong: ({ points, targets }) => dragAlong(points, targets.map((target) => [...numbers(target)])),
    sortCorners: ({ points, down }) => (down ? sortCorners(points, down) : sortCorners(points)),
    spineDirection: ({ xy, v, position }) => spineDirection(numbers(xy), v, position),
    cutTo: ({ spine, width, height, kept }) =>
        plainSpine(spineOf(spine).cutTo(width, height, kept && Uint8Array.from(kept))),
    landmarks: ({ spine }) => spineOf(spine).toLandmarks(),
    orientation: ({ xy, width, height, stated }) => orientationOf(numbers(xy), width, height, stated),
    upright: ({ width, height, orientation, point }) => {
        const map = new UprightMap(width, height, orientation);
        const upright = map.toUpright(point);
        return { upright, back: map.toStored(upright), size: [map.width, map.height], shift: map.shiftToStored(point) };
    },
};

const cases = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(cases.map(({ kind, ...values }) => CASES[kind](values))));
