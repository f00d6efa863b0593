/** The versions of the model with their errors, and the ways to serve another one. */

import { countText } from "../shell/format.js";
import { fill, h } from "../shell/dom.js";

/** @typedef {import("../api/types.js").ModelVersion} ModelVersion */

/** A table of all versions. */
export class VersionsCard {
    /** @param {(number: number, isOlder: boolean) => void} onServe serve another version */
    constructor(onServe) {
        this.onServe = onServe;
        this.body = h("tbody");
        this.note = h("p", { class: "hint" });
        const names = ["Version", "Made", "Trained on", "Held out", "Before (steps)", "After (steps)", "Publish gate"];
        const headings = names.map((name, column) => h("th", { scope: "col", class: column > 1 && column < 6 ? "number" : "" }, name));
        this.element = h("section", { class: "card", "aria-label": "Model versions" },
            h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Model versions"),
                h("p", { class: "hint small" }, "Mean error on held-out images before and after the training; a step is the distance of "
                    + "neighbouring vertebrae")), this.note),
            h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Model versions" },
                h("table", { class: "table versions", "data-testid": "versions" },
                    h("thead", {}, h("tr", {}, ...headings, h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Action")))),
                    this.body)));
    }

    /**
     * Show the versions, newest first.
     * @param {ModelVersion[]} versions
     * @param {number} served number of the one in use
     * @param {boolean} mayServe whether the user may serve another one
     */
    show(versions, served, mayServe) {
        this.note.textContent = mayServe ? "" : "Publishing and rolling back need the role admin.";
        const initial = { number: 0, name: "0", made: "", parent: 0, facts: {} };
        fill(this.body, ...[...versions, initial].sort((a, b) => b.number - a.number)
            .map((version) => this.#row(version, served, mayServe)));
    }

    /** @param {ModelVersion} version @param {number} served @param {boolean} mayServe */
    #row({ number, made, facts }, served, mayServe) {
        const { gate } = facts;
        const isServed = number === served;
        const isOlder = number < served;
        const text = isOlder ? "Roll back" : "Publish";
        const action = isServed || !mayServe ? null : h("button", {
            type: "button", class: "button small", "aria-label": `${text} to version ${number}`, "data-testid": `serve-${number}`,
            onclick: () => this.onServe(number, isOlder),
        }, text);
        return h("tr", { "data-served": String(isServed) },
            h("th", { scope: "row" }, number === 0 ? "0, shipped" : String(number), isServed && h("span", { class: "badge served" }, "served")),
            h("td", {}, made ? made.slice(0, 16).replace("T", " ") : ""),
            countCell(facts.trained_on), countCell(facts.held_out),
            errorCell(gate?.before), errorCell(gate?.after),
            h("td", { class: "gate", title: gate?.why ?? null }, gate ? gateText(gate) : ""),
            h("td", { class: "action" }, action));
    }
}

/** @param {import("../api/types.js").Gate} gate */
function gateText(gate) {
    const text = gate.is_passed ? "passed" : "not passed";
    return h("span", { class: "gate-text", "data-passed": String(gate.is_passed) }, gate.is_weak ? `${text}, weak check` : text);
}

/** @param {number|undefined} count */
function countCell(count) {
    return h("td", { class: "number" }, count === undefined ? "" : countText(count));
}

/** @param {number|null|undefined} steps */
function errorCell(steps) {
    return h("td", { class: "number" }, typeof steps === "number" ? steps.toFixed(4) : "");
}
