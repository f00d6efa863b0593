/** Section View: gray window and layers. */

import { h } from "../../shell/dom.js";
import { button, checkBox, row, section, selectBox } from "./controls.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

/** Layers with their texts and explanations, in the order of the panel. */
const LAYERS = /** @type {const} */ ([
    ["centers", "Centers", "Show the 17 centers."],
    ["corners", "Corners", "Show the 68 corners."],
    ["outlines", "Outlines", "Show the outline of every vertebra. Green: certain, or set by you; towards yellow: less " +
        "certain; red (?): doubtful; orange (!): anatomically implausible."],
    ["endplates", "Endplates", "Show the endplates that the angles are measured between."],
    ["angles", "Angles", "Show Cobb lines and angles."],
    ["names", "Names", "Show the names of vertebrae, and of corners when you zoom in or hover over them."],
    ["image", "Image", "Show the radiograph."],
]);
const ALL = LAYERS.map(([name]) => name);
const POINTS_ONLY = ["image", "centers", "corners"];
const IMAGE_ONLY = ["image"];
const CHANGED = "Set with the mouse";
/** Height of the window in CSS pixels from which the section is open at first. */
const ROOMY_PX = 850;

/** Gray window, and layers of image and overlay. */
export class ViewSection {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.view = page.view;
        this.settings = page.workspace.context.settings;
        this.window = selectBox(
            "Window", "Range of gray values shown from black to white. Drag with the right button to change it.",
            page.view.presets.map((value) => ({ value, text: value })), () => this.#setWindow(), "window"
        );
        this.invert = checkBox("Invert", "Invert the gray values: bone becomes dark (W).",
            this.settings.get("invert", false), (isOn) => this.#setInverted(isOn), "invert");
        this.equalize = checkBox("Equalize", "Equalize the contrast, so that dark and bright parts show (E).",
            this.settings.get("equalize", false), (isOn) => this.#setEqualized(isOn), "equalize");
        this.boxes = new Map(LAYERS.map(([name, text, title]) => [
            name, checkBox(text, title, this.settings.get(`layer.${name}`, true), () => this.#showLayers(),
                `layer-${name}`),
        ]));
        this.element = section(
            this.settings, "view", "View", window.innerHeight >= ROOMY_PX,
            row(this.window, this.invert.element, this.equalize.element,
                button("Fit", "Fit the whole image into the view (0).", () => page.view.fit(), { "data-testid": "fit" })),
            h("div", { class: "layers", role: "group", "aria-label": "Show" },
                ...[...this.boxes.values()].map(({ element }) => element))
        );
    }

    /** Apply the settings to an image that was just shown. */
    apply() {
        this.window.value = this.settings.get("window", this.view.presets[0]);
        if (!this.window.value) this.window.value = this.view.presets[0];
        this.#setWindow();
        this.view.setInverted(this.invert.input.checked);
        void this.view.setEqualized(this.equalize.input.checked);
        this.#showLayers();
    }

    /** The user changed the window with the mouse: choosing a preset again takes it back. */
    onWindow() {
        if (this.window.value !== CHANGED) {
            if (!this.window.namedItem(CHANGED)) this.window.append(h("option", { value: CHANGED, id: CHANGED }, CHANGED));
            this.window.value = CHANGED;
        }
    }

    /** Switch between bright and dark bone. */
    toggleInverted() {
        this.invert.input.checked = !this.invert.input.checked;
        this.#setInverted(this.invert.input.checked);
    }

    /** Switch the equalization on or off. */
    toggleEqualized() {
        this.equalize.input.checked = !this.equalize.input.checked;
        this.#setEqualized(this.equalize.input.checked);
    }

    /** Switch from everything to the points only, to the image only, and back to everything. */
    nextLayers() {
        const shown = ALL.filter((name) => this.boxes.get(name)?.input.checked);
        const isMoreThan = (/** @type {string[]} */ few) => shown.some((name) => !few.includes(name));
        const wanted = isMoreThan(POINTS_ONLY) ? POINTS_ONLY : isMoreThan(IMAGE_ONLY) ? IMAGE_ONLY : ALL;
        this.boxes.forEach(({ input }, name) => { input.checked = wanted.includes(name); });
        this.#showLayers();
    }

    #showLayers() {
        /** @type {Record<string, boolean>} */
        const layers = {};
        this.boxes.forEach(({ input }, name) => {
            layers[name] = input.checked;
            this.settings.set(`layer.${name}`, input.checked);
        });
        this.view.setLayers(layers);
    }

    #setWindow() {
        if (this.window.value === CHANGED) return;
        this.window.namedItem(CHANGED)?.remove();
        this.settings.set("window", this.window.value);
        this.view.setPreset(this.window.value);
    }

    /** @param {boolean} isOn */
    #setInverted(isOn) {
        this.settings.set("invert", isOn);
        this.view.setInverted(isOn);
    }

    /** @param {boolean} isOn */
    #setEqualized(isOn) {
        this.settings.set("equalize", isOn);
        void this.view.setEqualized(isOn);
    }
}
