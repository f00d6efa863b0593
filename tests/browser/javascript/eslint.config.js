/** Rules for the page's JavaScript; run in the repository root, see ../test_javascript.py. */
import js from "@eslint/js";
import globals from "globals";

const page = "apps/vertebra_landmarks/browser/**/*.js";

export default [
    {ignores: ["**/vendor/**"]},
    js.configs.recommended,
    {
        files: [page],
        languageOptions: {
            ecmaVersion: 2022,
            sourceType: "module",
            globals: {...globals.browser, uPlot: "readonly"},
        },
    },
    {
        linterOptions: {reportUnusedDisableDirectives: "error"},
        rules: {
            "curly": ["error", "multi-line"],
            "eqeqeq": ["error", "always"],
            "max-depth": ["error", 4],
            "max-lines": ["error", 500],
            "max-lines-per-function": ["error", {max: 60, skipComments: true}],
            "no-alert": "error",
            "no-console": "error",
            "no-eval": "error",
            "no-implied-eval": "error",
            "no-new-func": "error",
            "no-script-url": "error",
            "no-shadow": ["error", {allow: ["_"]}],
            "no-throw-literal": "error",
            "no-unused-vars": ["error", {args: "after-used", caughtErrors: "none"}],
            "no-var": "error",
            "object-shorthand": "error",
            "prefer-const": "error",
            "require-await": "error",
        },
    },
    {
        files: ["tests/browser/**/*.js"],
        languageOptions: {globals: globals.node},
        rules: {"no-console": "off"},
    },
];
