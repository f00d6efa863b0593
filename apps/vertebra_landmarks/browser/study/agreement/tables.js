/** The tables of agreement as elements. */

import { h, nameElement } from "../../shell/dom.js";
import { estimateText, numberText } from "./figures.js";

/** @typedef {import("../../api/types.js").TableRow} TableRow */
/** @typedef {[string, (row: TableRow) => string]} Column heading and text of a row; the first is the name of the row */

/** Which readings are compared. @param {TableRow} row */
const nameOf = ({ comparison, first, second }) => (comparison === "intra-reader" ? `${first}, first − repeat` : `${first} − ${second}`);

/** @type {Record<string, Column[]>} */
const COLUMNS = {
    angles: [
        ["Comparison", nameOf], ["Angle", ({ angle }) => String(angle)], ["Images", ({ images }) => String(images)],
        ["Bias (°)", (row) => estimateText(row, "bias_deg", 1)],
        ["Limits of agreement (°)", (row) => `${numberText(row.lower_limit_deg, 1)} to ${numberText(row.upper_limit_deg, 1)}`],
        ["ICC(2,1)", (row) => estimateText(row, "icc_2_1", 2)], ["SEM (°)", (row) => estimateText(row, "sem_deg", 1)],
        ["MDC (°)", (row) => numberText(row.mdc_deg, 1)],
    ],
    overall: [
        ["Readings", ({ readings }) => String(readings)], ["Images", ({ images }) => String(images)],
        ["ICC(1,1)", (row) => estimateText(row, "icc_1_1", 2)], ["ICC(2,1)", (row) => estimateText(row, "icc_2_1", 2)],
        ["SEM (°)", (row) => estimateText(row, "sem_deg", 1)], ["MDC (°)", (row) => numberText(row.mdc_deg, 1)],
    ],
    end_vertebrae: [
        ["Comparison", nameOf], ["End", ({ end }) => String(end)], ["Curves", ({ curves }) => String(curves)],
        ["Same", (row) => String(row.same)], ["One level", (row) => String(row.one_level)], ["More", (row) => String(row.more)],
        ["Share of same", (row) => estimateText(row, "same_share", 2)],
    ],
    names: [
        ["Comparison", nameOf], ["Images", ({ images }) => String(images)], ["Names shifted", (row) => String(row.names_shifted)],
        ["Share", (row) => estimateText(row, "names_shifted_share", 2)], ["Curves in both", (row) => String(row.curves_in_both)],
        ["In one only", (row) => String(row.curves_in_one)],
    ],
};
/** Headings of columns without numbers. */
const WORDS = ["Angle", "End"];
const TITLES = /** @type {const} */ ([
    ["angles", "Angles", "With 95 % intervals. ICC: intraclass correlation; SEM: standard error of measurement; MDC: minimal detectable change."],
    ["overall", "All readings together", "Of the largest angle of each reading."],
    ["end_vertebrae", "End vertebrae", "How often both readings took the same vertebra, of the curves that both have."],
    ["names", "Names and curves", "Images in which one reading names all vertebrae a level off, and curves that one reading has alone."],
]);

/**
 * Cards of all tables that have rows.
 * @param {Record<string, TableRow[]>} tables
 * @returns {HTMLElement[]}
 */
export function tableCards(tables) {
    return TITLES.filter(([name]) => tables[name]?.length).map(([name, title, hint]) => h("section", { class: "card", "aria-label": title },
        h("div", { class: "card-head" }, h("div", {}, h("h2", {}, title), h("p", { class: "hint small" }, hint))),
        h("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": title }, table(name, tables[name]))));
}

/** Of a column: words begin at the left, numbers end at the right. @param {string} heading @param {number} index */
const classOf = (heading, index) => (index === 0 || WORDS.includes(heading) ? null : "number");

/** @param {string} name @param {TableRow[]} rows */
function table(name, rows) {
    const columns = COLUMNS[name];
    return h("table", { class: "table", "data-testid": `table-${name}` },
        h("thead", {}, h("tr", {}, ...columns.map(([heading], index) => h("th", { scope: "col", class: classOf(heading, index) }, heading)))),
        h("tbody", {}, ...rows.map((row) => h("tr", {}, ...columns.map(([heading, textOf], index) => (index
            ? h("td", { class: classOf(heading, index) }, textOf(row)) : h("th", { scope: "row" }, nameElement(textOf(row)))))))));
}
