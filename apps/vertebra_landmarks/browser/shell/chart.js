/** A card with a plot, its legend, what is under the pointer, and the same numbers as a table. */

import { fill, h, nameElement } from "./dom.js";

/** Height of plots in CSS pixels, unless a page says otherwise. */
const PLOT_HEIGHT = 230;
/** Rows of the table at most: the plot shows the rest. */
const MAX_TABLE_ROWS = 400;

/**
 * @typedef {object} PlotContent
 * @property {string} summary what the plot shows in one sentence, for those who cannot see it
 * @property {[string, string][]} legend name and colour of each series
 * @property {uPlot.Options} options width and height are set by the card
 * @property {uPlot.AlignedData} data
 * @property {(index: number|null) => string} readout what is at an index, null for none
 * @property {string[]} headings of the table
 * @property {string[][]} rows of the table
 */

/** One plot. */
export class Chart {
    /** @param {string} title @param {string} hint what the numbers mean @param {string} testId @param {number} [height] */
    constructor(title, hint, testId, height = PLOT_HEIGHT) {
        this.height = height;
        this.legend = h("ul", { class: "legend", "aria-hidden": "true" });
        this.readout = h("p", { class: "readout", "aria-hidden": "true" });
        this.frame = h("div", { class: "plot" });
        this.details = h("details", { class: "plot-table" });
        this.element = h("section", { class: "card chart", "data-testid": testId },
            h("div", { class: "card-head" }, h("div", {}, h("h2", {}, title), h("p", { class: "hint small" }, hint)), this.readout),
            this.legend, this.frame, this.details);
        /** @type {uPlot|null} */
        this.plot = null;
        this.resizing = new ResizeObserver(() => this.#resize());
        this.resizing.observe(this.frame);
    }

    /** Show a plot in place of the one before. @param {PlotContent} content */
    show(content) {
        this.plot?.destroy();
        fill(this.frame);
        this.frame.setAttribute("role", "img");
        this.frame.setAttribute("aria-label", content.summary);
        fill(this.legend, ...content.legend.map(([name, color]) => {
            const swatch = h("span", { class: "swatch" });
            swatch.style.background = color;
            return h("li", {}, swatch, nameElement(name));
        }));
        this.readout.textContent = content.readout(null);
        const size = { width: Math.max(200, this.frame.clientWidth), height: this.height };
        const hooks = { setCursor: [(/** @type {uPlot} */ plot) => {
            this.readout.textContent = content.readout(plot.cursor.idx ?? null);
        }] };
        this.plot = new uPlot({ ...content.options, ...size, legend: { show: false }, hooks }, content.data, this.frame);
        this.#showTable(content);
    }

    /** Show a sentence where there is nothing to plot. @param {string} sentence */
    showEmpty(sentence) {
        this.plot?.destroy();
        this.plot = null;
        this.frame.removeAttribute("role");
        this.frame.removeAttribute("aria-label");
        fill(this.frame, h("p", { class: "plot-empty" }, sentence));
        fill(this.legend);
        fill(this.readout);
        this.details.hidden = true;
    }

    /** Release the plot. */
    close() {
        this.resizing.disconnect();
        this.plot?.destroy();
    }

    #resize() {
        const width = this.frame.clientWidth;
        if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
    }

    /** @param {PlotContent} content */
    #showTable({ headings, rows, summary }) {
        this.details.hidden = false;
        const shown = rows.slice(-MAX_TABLE_ROWS);
        fill(this.details, h("summary", {}, "Table"), h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": summary },
            h("table", { class: "table" },
                h("caption", { class: "visually-hidden" }, summary),
                h("thead", {}, h("tr", {}, ...headings.map((name, column) =>
                    h("th", { scope: "col", class: column ? "number" : null }, nameElement(name))))),
                h("tbody", {}, ...shown.map((row) => h("tr", {}, ...row.map((text, column) =>
                    column ? h("td", { class: "number" }, text) : h("th", { scope: "row" }, nameElement(text)))))))));
    }
}

/** Colours of the page, which the canvas cannot read by itself. */
export function plotColors() {
    const style = getComputedStyle(document.documentElement);
    const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    return { text: color("--text-soft"), grid: color("--border"), accent: color("--measured"), sure: color("--sure"),
        faint: color("--text-faint"), font: `12px ${style.getPropertyValue("--font").trim()}` };
}

/** Colours of series, told apart also by people who confuse red and green. */
export const SERIES_COLORS = ["#69c3ff", "#ffaa3c", "#6ee68c", "#e58fd0", "#f5eb5f", "#a99cff", "#8f9bab"];

/**
 * An axis with its title.
 * @param {string} label with the unit
 * @param {Partial<uPlot.Axis>} [more]
 * @returns {uPlot.Axis}
 */
export function axis(label, more = {}) {
    const { text, grid, font } = plotColors();
    return {
        label, stroke: text, font, labelFont: font, labelSize: 22, labelGap: 2, gap: 6,
        grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 5 }, ...more,
    };
}

/** Of horizontal axes, which need less room. */
export const X_AXIS = { size: 30 };
const DAY_S = 86400;

/**
 * A horizontal axis of time.
 * @param {string} label
 * @param {(seconds: number) => Date} [dateOf] in the time zone of the plot
 * @returns {uPlot.Axis}
 */
export function timeAxis(label, dateOf = (seconds) => new Date(seconds * 1000)) {
    return axis(label, { ...X_AXIS, space: 70, values: (plot, splits) => {
        const span = ((plot.scales.x.max ?? 0) - (plot.scales.x.min ?? 0)) / DAY_S;
        /** @type {Intl.DateTimeFormatOptions} */
        const parts = span < 2 ? { hour: "2-digit", minute: "2-digit" } : span < 400 ? { day: "numeric", month: "short" }
            : { month: "short", year: "numeric" };
        const texts = splits.map((seconds) => dateOf(seconds).toLocaleString("en-GB", parts));
        return texts.map((text, at) => (text === texts[at - 1] ? "" : text));
    } });
}
