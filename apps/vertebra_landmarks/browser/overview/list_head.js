/** The headings of the list, which sort it. */

import { h, icon } from "../shell/dom.js";

/** @typedef {import("./image_pages.js").SortKey} SortKey */
/** @typedef {{sort: SortKey, descending: boolean}} Order */

/** Columns: name, class, and what they sort by; the order that a first click gives. */
const COLUMNS = /** @type {const} */ ([
    ["Thumbnail", "thumb", null, false],
    ["Name", "", "name", false],
    ["State", "state", "labelled", true],
    ["Doubt", "doubt", "doubt", true],
    ["Largest angle", "number angle", null, false],
    ["Added", "added", "date", true],
]);

/** A row of headings; those that sort are buttons. */
export class ListHead {
    /** @param {Order} order at first @param {(order: Order) => void} onSort */
    constructor(order, onSort) {
        /** @type {Map<SortKey, {cell: HTMLElement, descendsFirst: boolean}>} */
        this.cells = new Map();
        this.order = order;
        const cells = COLUMNS.map(([name, className, sort, descendsFirst]) => {
            const cell = h("div", { role: "columnheader", class: `cell ${className}` });
            if (sort === null) {
                cell.append(h("span", { class: name === "Thumbnail" ? "visually-hidden" : "" }, name));
                return cell;
            }
            cell.append(h("button", {
                type: "button", class: "sort", "data-testid": `sort-${sort}`,
                onclick: () => onSort(this.#next(sort, descendsFirst)),
            }, name, icon("ascending"), icon("descending")));
            this.cells.set(sort, { cell, descendsFirst });
            return cell;
        });
        this.element = h("div", { role: "rowgroup", class: "list-head" },
            h("div", { role: "row", class: "head-row", "aria-rowindex": "1" }, ...cells));
        this.show(order);
    }

    /** Mark the column that the list is sorted by. @param {Order} order */
    show(order) {
        this.order = order;
        for (const [sort, { cell }] of this.cells) {
            const direction = order.descending ? "descending" : "ascending";
            cell.setAttribute("aria-sort", sort === order.sort ? direction : "none");
        }
    }

    /** @param {SortKey} sort @param {boolean} descendsFirst @returns {Order} */
    #next(sort, descendsFirst) {
        return { sort, descending: sort === this.order.sort ? !this.order.descending : descendsFirst };
    }
}
