/** Keys of the page that annotates: one table, for the keys and for the help. */

/**
 * @typedef {object} KeyRow
 * @property {string} name of the action
 * @property {readonly string[]} keys as `nameOfKey` writes them; the first is shown in the help
 * @property {string} text what it does
 * @property {string} [shown] keys as the help shows them, where they are more than the first
 */

/** Keys that work wherever the focus is, except where a text is typed. @type {readonly KeyRow[]} */
export const KEYS = [
    { name: "next", keys: ["N"], text: "Next image" },
    { name: "previous", keys: ["P"], text: "Previous image" },
    { name: "infer", keys: ["I"], text: "Find landmarks; your corrections stay" },
    { name: "submit", keys: ["Ctrl+Enter"], text: "Submit" },
    { name: "undo", keys: ["Ctrl+Z"], text: "Undo" },
    { name: "redo", keys: ["Ctrl+Y", "Ctrl+Shift+Z"], text: "Redo" },
    { name: "layers", keys: ["L"], text: "Show everything, the points only, the image only" },
    { name: "doubt", keys: ["D"], text: "Next vertebra to check" },
    { name: "hide", keys: ["X"], text: "Not visible: the point under the mouse, else the selected one" },
    { name: "place", keys: ["G"], text: "Start or stop placing points" },
    { name: "dragMode", keys: ["M"], text: "What dragging moves: the point, the vertebra, or its rotation" },
    { name: "rotateLeft", keys: ["["], text: "Rotate the vertebra anticlockwise" },
    { name: "rotateRight", keys: ["]"], text: "Rotate the vertebra clockwise" },
    { name: "namesUp", keys: ["PageUp"], text: "Names one level up" },
    { name: "namesDown", keys: ["PageDown"], text: "Names one level down" },
    { name: "zoomIn", keys: ["+", "="], text: "Zoom in" },
    { name: "zoomOut", keys: ["-"], text: "Zoom out" },
    { name: "fit", keys: ["0"], text: "Show the whole image" },
    { name: "invert", keys: ["W"], text: "Invert: bone becomes dark" },
    { name: "equalize", keys: ["E"], text: "Equalize the contrast" },
    { name: "help", keys: ["H"], text: "Show or hide this list" },
];

/** Keys while the image has the focus, handled by `PointKeys`. @type {readonly [string, string][]} */
export const POINT_KEYS = [
    ["Tab Shift+Tab", "Next or previous point"],
    ["← ↑ → ↓", "Move the selected point by 1 pixel; without one, move the image"],
    ["Shift+→", "Move it by ¼ pixel"],
    ["Ctrl+→", "Move it by 10 pixels"],
    ["Enter", "While placing: place the point at the cross, which the arrows move"],
    ["Esc", "Stop placing; else leave the points, and Tab goes on"],
];

/** Mouse and fingers, for the help. @type {readonly [string, string][]} */
const POINTER_ROWS = [
    ["Drag", "Move a point, or the image"],
    ["Wheel", "Zoom"],
    ["Right-drag", "Change contrast and brightness"],
    ["Double-click", "Show the whole image"],
];

/** Keys that scroll, and act only while the focus is outside the panel. */
const SCROLLING = ["PageUp", "PageDown"];
const BY_KEY = new Map(KEYS.flatMap((row) => row.keys.map((key) => [key, row.name])));

/**
 * Name of the pressed key, such as "N", "Ctrl+Shift+Z" or "+"; Command counts as Ctrl. Shift counts only beside Ctrl or
 * a key that writes nothing, as keyboards differ in what needs it.
 * @param {KeyboardEvent} event
 * @returns {string}
 */
export function nameOfKey(event) {
    const isCtrl = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const isShift = event.shiftKey && (isCtrl || event.key.length > 1);
    return `${isCtrl ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${isShift ? "Shift+" : ""}${key}`;
}

/** What the help sheet shows. @returns {import("../shell/help_sheet.js").HelpSection[]} */
export function helpSections() {
    return [
        { title: "Annotate", rows: KEYS.map(({ keys, text }) => [keys[0], text]) },
        { title: "In the image", rows: [...POINT_KEYS] },
        { title: "Mouse", rows: [...POINTER_ROWS] },
    ];
}

/** Calls actions when their keys are pressed. */
export class Keys {
    /**
     * @param {Record<string, () => unknown>} actions by name, one for each row of `KEYS`
     * @param {HTMLElement} panel scrolls with the keys in it
     */
    constructor(actions, panel) {
        const missing = KEYS.filter(({ name }) => !actions[name]).map(({ name }) => name);
        if (missing.length) throw new Error(`no action for the keys ${missing.join(", ")}`);
        this.actions = actions;
        this.panel = panel;
        this.onKey = (/** @type {KeyboardEvent} */ event) => this.#handle(event);
        document.addEventListener("keydown", this.onKey);
    }

    /** Listen no more. */
    remove() {
        document.removeEventListener("keydown", this.onKey);
    }

    /** @param {KeyboardEvent} event */
    #handle(event) {
        const name = nameOfKey(event);
        const action = BY_KEY.get(name);
        const target = event.target instanceof Element ? event.target : document.body;
        if (!action || event.defaultPrevented || event.isComposing || target.closest("dialog")) return;
        if (isTyping(target) && name !== "Ctrl+Enter") return;
        if (target.matches("select") && !name.startsWith("Ctrl+")) return;
        if (SCROLLING.includes(name) && this.panel.contains(target)) return;
        event.preventDefault();
        this.actions[action]();
    }
}

/** Whether keys go into a text. @param {Element} target */
function isTyping(target) {
    return target.matches("textarea, input:not([type=checkbox], [type=range], [type=radio])");
}
