/** The page of agreement: how far apart the readers are, and how well each repeats the own reading. */

import { withQuery } from "../../api/client.js";
import { messageOf } from "../../api/errors.js";
import { fill, h, icon } from "../../shell/dom.js";
import { plural } from "../../shell/format.js";
import { BlandAltman } from "./bland_altman.js";
import { CornerPlot } from "./corner_plot.js";
import { csvOf, save } from "./figures.js";
import { tableCards } from "./tables.js";

/** @typedef {import("../../api/types.js").Agreement} Agreement */
/** @typedef {import("../../api/types.js").AngleComparison} AngleComparison */
/** @typedef {import("../../shell/context.js").Context} Context */

/**
 * Open the page of agreement.
 * @param {HTMLElement} container empty
 * @param {Context} context
 * @returns {import("../../shell/router.js").Page}
 */
export function openAgreement(container, context) {
    const page = new AgreementPage(container, context);
    void page.load();
    return { close: () => Promise.resolve(page.close()) };
}

class AgreementPage {
    /** @type {Agreement | null} */
    #found = null;
    #request = new AbortController();

    /** @param {HTMLElement} container @param {Context} context */
    constructor(container, context) {
        this.context = context;
        this.unaided = h("input", { type: "checkbox", "data-testid": "unaided", onchange: () => void this.load() });
        this.comparison = h("select", { class: "select", "aria-label": "Comparison", "data-testid": "comparison", onchange: () => this.#showAngles() });
        this.angle = h("select", { class: "select", "aria-label": "Angle", "data-testid": "angle", onchange: () => this.#showPlots() });
        this.plot = new BlandAltman();
        this.corners = new CornerPlot();
        this.hint = h("p", { class: "hint", "data-testid": "agreement-hint" });
        this.empty = h("div", { class: "empty", "data-testid": "empty", role: "status" });
        this.tables = h("div", { class: "agreement-tables" });
        this.problems = h("ul", { class: "warnings", "aria-label": "Left out" });
        this.methods = h("p", { class: "methods", "data-testid": "methods" });
        this.files = h("div", { class: "row" });
        this.content = h("div", { class: "agreement-content", hidden: true },
            h("div", { class: "row" }, h("label", { class: "inline" }, "Comparison", this.comparison), h("label", { class: "inline" }, "Angle", this.angle)),
            h("div", { class: "plots" }, this.plot.element, this.corners.element), this.tables,
            h("section", { class: "card", "aria-label": "Methods" }, h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Methods, for a paper"),
                h("p", { class: "hint small" }, "What was done here, with the main results and the sources."))), this.methods),
            h("section", { class: "card", "aria-label": "Files" }, h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Files"),
                h("p", { class: "hint small" }, "The same tables as scripts/agreement.py writes; that also compares a model with the readers."))), this.files));
        container.classList.add("scrolling");
        fill(container, h("div", { class: "study" },
            h("div", { class: "study-head" },
                h("div", {}, h("h1", {}, h("a", { class: "icon-button", href: context.router.href("study"), "aria-label": "Back to the study" }, icon("back")), "Agreement"), this.hint),
                h("label", { class: "check" }, this.unaided, "Leave out readings that began with the model's points")),
            this.problems, this.empty, this.content));
        context.setHelp([]);
    }

    /** Ask the server. */
    async load() {
        this.#request.abort();
        this.#request = new AbortController();
        const { signal } = this.#request;
        this.#showEmpty("Comparing all readings", "This takes a moment where readings have changed.");
        try {
            const path = withQuery("/study/agreement", { unaided: this.unaided.checked || null });
            const found = /** @type {Agreement} */ (await this.context.client.get(path, { signal }));
            if (!signal.aborted) this.#show(found);
        } catch (error) {
            if (!signal.aborted) this.#showEmpty("The agreement cannot be shown", messageOf(error));
        }
    }

    /** Leave the page. @returns {boolean} */
    close() {
        this.#request.abort();
        this.plot.close();
        this.corners.close();
        return true;
    }

    /** @param {string} title @param {string} text */
    #showEmpty(title, text) {
        this.content.hidden = true;
        this.empty.hidden = false;
        this.hint.textContent = "";
        fill(this.empty, h("h2", {}, title), h("p", {}, text));
    }

    /** @param {Agreement} found */
    #show(found) {
        this.#found = found;
        fill(this.problems, ...found.problems.map((text) => h("li", {}, text)),
            found.left_out > found.problems.length && h("li", {}, `and ${plural(found.left_out - found.problems.length, "other")}`));
        const reason = found.hidden ? "The agreement is not shown to you" : "No agreement yet";
        if (found.sentence) return this.#showEmpty(reason, `${found.sentence.charAt(0).toUpperCase()}${found.sentence.slice(1)}.`);
        const { readers = [], images = 0, tables = {}, plots = [], methods = "", results = "" } = found;
        this.empty.hidden = true;
        this.content.hidden = false;
        this.hint.textContent = `${plural(images, "image")} read by ${readers.join(", ")}`;
        const titles = [...new Set(plots.map(({ title }) => title))];
        const chosen = this.comparison.value;
        fill(this.comparison, ...titles.map((title) => h("option", { value: title }, title)));
        if (titles.includes(chosen)) this.comparison.value = chosen;
        fill(this.tables, ...tableCards(tables));
        this.methods.textContent = methods;
        fill(this.files, ...Object.entries(tables).filter(([, rows]) => rows.length).map(([name, rows]) =>
            fileButton(`${name}.csv`, () => save(`${name}.csv`, csvOf(rows), "text/csv"))),
        fileButton("methods.txt", () => save("methods.txt", methods || results, "text/plain")));
        this.#showAngles();
    }

    #showAngles() {
        const angles = this.#plots.filter(({ title }) => title === this.comparison.value).map(({ angle }) => angle);
        const chosen = this.angle.value;
        fill(this.angle, ...angles.map((angle) => h("option", { value: angle }, angle)));
        if (angles.includes(chosen)) this.angle.value = chosen;
        this.#showPlots();
    }

    #showPlots() {
        const shown = this.#plots.find(({ title, angle }) => title === this.comparison.value && angle === this.angle.value);
        if (!shown) return;
        const { angles = [], corners = [] } = this.#found?.tables ?? {};
        const isOf = (/** @type {import("../../api/types.js").TableRow} */ row) =>
            row.comparison === shown.comparison && row.first === shown.first && row.second === shown.second;
        this.plot.show(shown, angles.find((row) => isOf(row) && row.angle === shown.angle));
        this.corners.show(shown.title, corners.filter(isOf));
    }

    /** @returns {AngleComparison[]} */
    get #plots() {
        return this.#found?.plots ?? [];
    }
}

/** @param {string} name @param {() => void} onClick */
function fileButton(name, onClick) {
    return h("button", { type: "button", class: "button small", "data-testid": `file-${name}`, onclick: onClick }, icon("draft"), name);
}
