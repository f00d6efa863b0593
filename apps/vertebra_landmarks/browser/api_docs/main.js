/**
 * The description of the HTTP API by Swagger UI, from files of the server alone.
 */

/**
 * @typedef {{
 *     (options: Record<string, unknown>): unknown,
 *     presets: {apis: unknown},
 * }} SwaggerUIBundle
 */

/** Names of controls that Swagger UI leaves without one, by selector. @type {[string, (control: Element) => string][]} */
const NAMES = [
    ["[data-param-name] select:not([aria-label])", (control) =>
        control.closest("[data-param-name]")?.getAttribute("data-param-name") ?? ""],
    ["select:not([aria-label], [id], .content-type)", () => "Example"],
    [".close-modal:not([aria-label])", () => "Close"],
    [".modal-btn[aria-label]:not([data-named])", (control) => control.textContent ?? ""],
];

/**
 * Show paths and headings as plain texts: Swagger UI makes them links within the buttons that open an operation, which
 * screen readers do not announce.
 * @param {{React: {createElement: (...parts: unknown[]) => unknown}}} system
 */
const plainPaths = ({ React }) => ({
    wrapComponents: { DeepLink: () => (/** @type {{text: string}} */ { text }) => React.createElement("span", {}, text) },
});

/** Name what has no name, and let the keyboard scroll what scrolls. */
function complete() {
    for (const [selector, nameOf] of NAMES) {
        for (const control of document.querySelectorAll(selector)) {
            control.setAttribute("aria-label", nameOf(control));
            control.setAttribute("data-named", "");
        }
    }
    for (const text of document.querySelectorAll("pre:not([tabindex])")) text.setAttribute("tabindex", "0");
}

const { SwaggerUIBundle } = /** @type {{SwaggerUIBundle: SwaggerUIBundle}} */ (/** @type {unknown} */ (window));

SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [plainPaths],
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    syntaxHighlight: false, // whose colors are too pale on their ground
    validatorUrl: null, // which would send the description to another host
});
new MutationObserver(complete).observe(document.body, { childList: true, subtree: true });
