/** Building of elements: texts are always texts, never markup. */

/** @typedef {Node|string|null|undefined|false} Child */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string|number|boolean|null|undefined|((event: any) => unknown)>} [attributes] functions are
 *     listeners by name, such as `onclick`; `true` sets an empty attribute, `false`, null and undefined set none
 * @param {...Child} children strings become text nodes
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
    }
    element.append(...present(children));
    return element;
}

/**
 * A name that others chose, such as an image id or a user: isolated, so that its writing direction changes nothing
 * around it, and with the whole name as its tooltip, since the style may cut it short.
 * @param {string} name
 * @param {string} [className]
 * @returns {HTMLElement}
 */
export function nameElement(name, className = "name") {
    return h("bdi", { class: className, title: name, dir: "auto" }, name);
}

/**
 * A drawing from the page's own set.
 * @param {string} name of a path of `ICONS`
 * @returns {SVGSVGElement}
 */
export function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" })) {
        svg.setAttribute(key, value);
    }
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[name] ?? "");
    svg.append(path);
    return svg;
}

/**
 * Replace all children.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
    parent.replaceChildren(...present(children));
}

/** @param {Child[]} children @returns {(Node|string)[]} */
function present(children) {
    return /** @type {(Node|string)[]} */ (children.filter((child) => child !== null && child !== undefined
        && child !== false && child !== ""));
}

/** Paths on a 16 x 16 grid, drawn as lines. @type {Record<string, string>} */
const ICONS = {
    images: "M2.5 2.5h4.2v4.2H2.5zM9.3 2.5h4.2v4.2H9.3zM2.5 9.3h4.2v4.2H2.5zM9.3 9.3h4.2v4.2H9.3z",
    training: "M2 13.5h12M4 11V8M7 11V4.5M10 11V6.5M13 11V3",
    study: "M5.5 3a2 2 0 1 1 0 4 2 2 0 0 1 0-4M10.5 3a2 2 0 1 1 0 4 2 2 0 0 1 0-4M1.8 13c.3-2.3 1.7-3.7 3.7-3.7S8.9 10.7 9.2 13M10.5 9.3c2 0 3.4 1.4 3.7 3.7",
    search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 14 14",
    add: "M8 3v10M3 8h10",
    next: "M3 8h9M8.5 4.5 12 8l-3.5 3.5",
    close: "M4 4l8 8M12 4l-8 8",
    user: "M8 2.5a2.7 2.7 0 1 1 0 5.4 2.7 2.7 0 0 1 0-5.4M2.8 13.5c.5-2.6 2.5-4 5.2-4s4.7 1.4 5.2 4",
    help: "M5.7 6a2.4 2.4 0 1 1 3.6 2.1c-.9.5-1.3.9-1.3 1.9M8 12.3v.4",
    ascending: "M8 13V3.5M4.5 7 8 3.5 11.5 7",
    descending: "M8 3v9.5M4.5 9 8 12.5 11.5 9",
    back: "M13 8H4M7.5 4.5 4 8l3.5 3.5",
    stop: "M4 4h8v8H4z",
    upload: "M8 11V3M4.8 6.2 8 3l3.2 3.2M2.5 13.5h11",
    draft: "M3 13l.6-2.8 7.2-7.2 2.2 2.2-7.2 7.2z",
};
