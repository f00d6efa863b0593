/** Where two readings differ, by vertebra: those that only one has first, then the largest differences. */

import { fill, h } from "../../shell/dom.js";

/** @typedef {import("../../api/types.js").Difference} Difference */

/** Corners that lie closer than this are one place for a person, in pixels of the image. */
const MIN_BAR_PX = 4;

/** A list to go through with clicks or arrow keys. */
export class DifferenceList {
    /** @type {Difference[]} */
    #differences = [];
    /** Index of the vertebra that is shown; -1 for none. */
    selected = -1;

    /** @param {(vertebra: string) => void} onSelect */
    constructor(onSelect) {
        this.onSelect = onSelect;
        this.list = h("ul", { class: "differences", "data-testid": "differences" });
        this.element = h("section", { class: "difference-section", "aria-label": "Differences" },
            h("h2", {}, "Differences"),
            h("p", { class: "hint" }, "Mean distance of the corners, and the angle between the endplates. Click, or ↑ and ↓, to zoom there."),
            this.list);
    }

    /**
     * Show differences.
     * @param {Difference[]} differences
     * @param {(vertebra: string) => string} ownerOf who has a vertebra that the other reading lacks
     */
    show(differences, ownerOf) {
        this.#differences = differences;
        this.selected = -1;
        const largest = Math.max(MIN_BAR_PX, ...differences.map(({ corners_px: px }) => px ?? 0));
        fill(this.list, ...differences.map((difference, index) => h("li", {}, h("button", {
            type: "button", class: "difference", "data-testid": `difference-${difference.vertebra}`,
            onclick: () => this.select(index),
        }, h("b", {}, difference.vertebra), ...contentOf(difference, largest, ownerOf)))));
    }

    /** Go down or up the list; from the end to the beginning. @param {number} by 1 or -1 */
    move(by) {
        const count = this.#differences.length;
        if (count) this.select(this.selected < 0 ? (by > 0 ? 0 : count - 1) : (this.selected + by + count) % count);
    }

    /** @param {number} index */
    select(index) {
        this.selected = index;
        [...this.list.children].forEach((item, i) => {
            const button = /** @type {HTMLElement} */ (item.firstElementChild);
            if (i !== index) return button.removeAttribute("aria-current");
            button.setAttribute("aria-current", "true");
            button.scrollIntoView({ block: "nearest" });
        });
        this.onSelect(this.#differences[index].vertebra);
    }
}

/**
 * @param {Difference} difference
 * @param {number} largest pixels of the longest bar
 * @param {(vertebra: string) => string} ownerOf
 */
function contentOf({ vertebra, corners_px: corners, center_px: center, tilt_deg: tilt, is_missing: isMissing }, largest, ownerOf) {
    if (isMissing) return [h("span", { class: "missing" }, `only ${ownerOf(vertebra)} has it`)];
    const px = corners ?? center;
    const bar = h("span", { class: "bar-fill" });
    bar.style.width = `${(100 * (px ?? 0)) / largest}%`;
    return [
        h("span", { class: "bar", "aria-hidden": "true" }, bar),
        h("span", { class: "number" }, px === null ? "–" : `${px.toFixed(1)} px`),
        h("span", { class: "number" }, tilt === null ? "–" : `${tilt.toFixed(1)}°`),
    ];
}
