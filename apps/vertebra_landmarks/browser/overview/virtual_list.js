/** A list of any length that holds elements for the visible rows only; all rows have the same height. */

/** Rows beyond either end of the view that have elements, so that scrolling shows no gaps. */
const OVERSCAN = 8;

/**
 * @template {{element: HTMLElement}} Row
 * @typedef {object} ListHandlers
 * @property {() => Row} create makes an empty row
 * @property {(row: Row, index: number) => void} update shows the image of an index in a row
 * @property {(first: number, last: number) => void} onView rows came into view; called at most once per frame
 * @property {(index: number) => void} onOpen Enter was pressed on a row
 */

/**
 * The rows inside a scrolling element that has the focus; arrow keys move the selected row.
 * @template {{element: HTMLElement}} Row
 */
export class VirtualList {
    /**
     * @param {HTMLElement} scroller scrolls, and takes the keys
     * @param {HTMLElement} body inside of it; holds the rows
     * @param {number} rowHeight CSS pixels
     * @param {ListHandlers<Row>} handlers
     */
    constructor(scroller, body, rowHeight, handlers) {
        this.scroller = scroller;
        this.body = body;
        this.rowHeight = rowHeight;
        this.handlers = handlers;
        this.count = 0;
        this.selected = -1;
        /** @type {Map<number, Row>} */
        this.rows = new Map();
        /** @type {Row[]} */
        this.spare = [];
        this.frame = 0;
        scroller.addEventListener("scroll", () => this.schedule(), { passive: true });
        scroller.addEventListener("keydown", (event) => this.#onKey(event));
        this.resizing = new ResizeObserver(() => this.schedule());
        this.resizing.observe(scroller);
    }

    /** First and last row in view. @returns {[number, number]} last is below first where there is none */
    get view() {
        const top = Math.max(0, this.scroller.scrollTop);
        const height = this.scroller.clientHeight - this.body.offsetTop;
        const first = Math.floor(top / this.rowHeight);
        return [first, Math.min(this.count - 1, Math.floor((top + Math.max(0, height)) / this.rowHeight))];
    }

    /** Set the number of rows. @param {number} count */
    setCount(count) {
        this.count = count;
        this.body.style.height = `${count * this.rowHeight}px`;
        if (this.selected >= count) this.selected = count - 1;
        this.refresh();
    }

    /** Show all visible rows anew. */
    refresh() {
        for (const [index, row] of this.rows) if (index < this.count) this.#show(row, index);
        this.schedule();
    }

    /** Draw in the next frame. */
    schedule() {
        this.frame ||= requestAnimationFrame(() => {
            this.frame = 0;
            this.#draw();
        });
    }

    /** Select a row and bring it into view. @param {number} index */
    select(index) {
        const next = Math.max(-1, Math.min(this.count - 1, index));
        const before = this.selected;
        this.selected = next;
        if (next >= 0) {
            const top = next * this.rowHeight;
            const height = this.scroller.clientHeight - this.body.offsetTop;
            if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
            else if (top + this.rowHeight > this.scroller.scrollTop + height) {
                this.scroller.scrollTop = top + this.rowHeight - height;
            }
        }
        this.#draw();
        for (const changed of [before, next]) {
            const row = this.rows.get(changed);
            if (row) this.#show(row, changed);
        }
    }

    /** Release everything. */
    close() {
        cancelAnimationFrame(this.frame);
        this.resizing.disconnect();
    }

    #draw() {
        const [viewFirst, viewLast] = this.view;
        const first = Math.max(0, viewFirst - OVERSCAN);
        const last = Math.min(this.count - 1, viewLast + OVERSCAN);
        for (const [index, row] of this.rows) {
            if (index >= first && index <= last) continue;
            this.rows.delete(index);
            this.spare.push(row);
        }
        for (let index = first; index <= last; index += 1) {
            if (this.rows.has(index)) continue;
            const row = this.spare.pop() ?? this.handlers.create();
            this.rows.set(index, row);
            row.element.style.transform = `translateY(${index * this.rowHeight}px)`;
            this.#show(row, index);
            if (!row.element.isConnected) this.body.append(row.element);
        }
        for (const row of this.spare.splice(0)) row.element.remove();
        const active = this.rows.get(this.selected);
        if (active) this.scroller.setAttribute("aria-activedescendant", active.element.id);
        else this.scroller.removeAttribute("aria-activedescendant");
        this.handlers.onView(first, last);
    }

    /** @param {Row} row @param {number} index */
    #show(row, index) {
        row.element.setAttribute("aria-rowindex", String(index + 2)); // the first is that of the headings
        row.element.setAttribute("aria-selected", String(index === this.selected));
        this.handlers.update(row, index);
    }

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        if (event.target !== this.scroller || event.ctrlKey || event.altKey || event.metaKey) return;
        const page = Math.max(1, Math.floor((this.scroller.clientHeight - this.body.offsetTop) / this.rowHeight) - 1);
        /** @type {Record<string, number>} */
        const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -this.count, End: this.count };
        const step = steps[event.key];
        if (step !== undefined) {
            event.preventDefault();
            this.select(Math.max(0, this.selected + step));
        } else if (event.key === "Enter" && this.selected >= 0) {
            event.preventDefault();
            this.handlers.onOpen(this.selected);
        }
    }
}
