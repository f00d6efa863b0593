/** Search and filter above the list. */

import { countText } from "../shell/format.js";
import { fill, h, icon } from "../shell/dom.js";

/** @typedef {import("./image_pages.js").Query} Query */
/** @typedef {import("../api/types.js").ImageCounts} ImageCounts */

/** Pause in typing after which the list is searched, in milliseconds. */
export const SEARCH_DELAY_MS = 200;
/** States to filter by, and their names. @type {[Query["state"], string][]} */
const FILTERS = [
    ["all", "All"], ["unlabelled", "Unlabelled"], ["predicted", "Predicted"], ["labelled", "Labelled"],
    ["unreadable", "Unreadable"],
];

/** A search field and one button per state, with the number of its images. */
export class Toolbar {
    /**
     * @param {Query} query shown at first
     * @param {(change: Partial<Query>) => void} onChange
     */
    constructor(query, onChange) {
        this.onChange = onChange;
        /** @type {ReturnType<typeof setTimeout>|undefined} */
        this.timer = undefined;
        this.search = h("input", {
            type: "search", class: "input search-input", placeholder: "Search by name", "aria-label": "Search images by name",
            "data-testid": "search", maxlength: 200, value: query.search, autocomplete: "off", spellcheck: "false",
            oninput: () => this.#onInput(),
        });
        this.filters = new Map(FILTERS.map(([state, name]) => {
            const count = h("span", { class: "filter-count" });
            const button = h("button", {
                type: "button", class: "filter", "data-testid": `filter-${state}`,
                "aria-pressed": String(state === query.state), onclick: () => this.#onFilter(state),
            }, h("span", { class: "dot", "data-state": state === "all" ? null : state }), h("span", {}, name), count);
            return [state, { button, count }];
        }));
        this.element = h("div", { class: "toolbar" },
            h("div", { class: "search", role: "search" }, icon("search"), this.search),
            h("div", { class: "filters", role: "group", "aria-label": "Show images by state" },
                ...[...this.filters.values()].map(({ button }) => button)));
    }

    /** Show the numbers of images by state. @param {ImageCounts} counts */
    setCounts(counts) {
        for (const [state, { button, count }] of this.filters) {
            fill(count, countText(counts[state] ?? 0));
            button.hidden = state === "unreadable" && !counts.unreadable;
        }
    }

    /** Stop waiting for the end of typing. */
    close() {
        clearTimeout(this.timer);
    }

    #onInput() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.onChange({ search: this.search.value.trim() }), SEARCH_DELAY_MS);
    }

    /** @param {Query["state"]} state */
    #onFilter(state) {
        for (const [name, { button }] of this.filters) button.setAttribute("aria-pressed", String(name === state));
        this.onChange({ state });
    }
}
