/**
 * The description of the HTTP API by Swagger UI, from files of the server alone.
 */

/**
 * @typedef {{
 *     (options: Record<string, unknown>): unknown,
 *     presets: {apis: unknown},
 * }} SwaggerUIBundle
 */

const { SwaggerUIBundle } = /** @type {{SwaggerUIBundle: SwaggerUIBundle}} */ (/** @type {unknown} */ (window));

SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null, // which would send the description to another host
});
