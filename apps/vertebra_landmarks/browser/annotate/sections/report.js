/** The report of the submitted label, a PDF that is printed on the paper of the country. */

import { withQuery } from "../../api/client.js";
import { FINAL } from "../image_loader.js";

/** @typedef {import("../workspace.js").Workspace} Workspace */

/** Regions that print on Letter, by the Unicode CLDR; all others print on A4. */
const LETTER_REGIONS = new Set(["BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE"]);

/**
 * Paper of the region of a language, such as "en-US"; without a region it is where most speak the language.
 * @param {string} language
 * @returns {"a4" | "letter"}
 */
export function pageSizeOf(language) {
    try {
        return LETTER_REGIONS.has(new Intl.Locale(language).maximize().region ?? "") ? "letter" : "a4";
    } catch { // some systems state what is no language tag, such as "en-US@posix"
        return "a4";
    }
}

/**
 * Open the report in a tab of its own.
 * @param {Workspace} workspace
 */
export async function openReport(workspace) {
    const { context, session } = workspace;
    const tab = window.open("", "_blank"); // at once: later it would count as a pop-up
    if (tab) tab.opener = null;
    const path = withQuery("/report", { image: session.imageId, tag: FINAL, page: pageSizeOf(navigator.language) });
    const report = await workspace.run("report", "Making the report", ({ controller }) =>
        context.client.blob(path, { signal: controller.signal })
    );
    if (!report) {
        tab?.close();
        return;
    }
    const address = URL.createObjectURL(report);
    if (tab) tab.location.href = address;
    else context.messages.show("The browser has blocked the tab of the report. Allow pop-ups of this page.", "error");
    if (session.isUnsaved && workspace.editor.edits) {
        context.messages.show("The report shows what the server has: your edits are not submitted yet.");
    }
}
