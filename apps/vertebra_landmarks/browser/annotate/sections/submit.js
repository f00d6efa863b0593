/** Section Submit: stores the points as the final label of the image; its report. */

import { fill, h } from "../../shell/dom.js";
import { durationText } from "../../shell/format.js";
import { button, checkBox, row, setText } from "./controls.js";
import { openReport } from "./report.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

/** Setting: whether the next image is opened once the label is stored; in a study it is, unless the user says no. */
const NEXT_AFTER = "nextAfterSubmit";

/** Submits the label, after warnings are confirmed. */
export class SubmitSection {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { settings, session } = page.workspace.context;
        this.submit = h("button", { type: "button", class: "button primary", "data-testid": "submit",
            title: "Send the points to the server: as the final label of this image, or as your reading of it (Ctrl+Enter).",
            onclick: () => void page.submission.submit() }, "Submit");
        this.nextAfter = checkBox("then next", "Open the next image once the label is stored.",
            false, (isOn) => settings.set(NEXT_AFTER, isOn), "next-after-submit");
        this.report = button("Report", "Open the report of the submitted label as PDF in a new tab.",
            () => void openReport(page.workspace), { "data-testid": "report" });
        this.effort = h("p", { class: "hint", "data-testid": "effort",
            title: "Number of edits and working time, which are stored with the label." });
        /** @type {HTMLInputElement} */
        this.name = h("input", { class: "input name-input", "data-testid": "annotator-name",
            "aria-label": "Annotator", placeholder: "Your name",
            title: "Stored with the labels that you submit.", autocomplete: "name", maxlength: 80,
            onchange: () => session.setUserName(this.name.value) });
        this.question = h("div", { class: "submit-question", role: "group", "aria-label": "To confirm",
            "data-testid": "submit-question", hidden: true });
        this.element = h("section", { class: "submit-section", "aria-label": "Submit" },
            this.question, row(this.submit, this.nextAfter.element, this.report), row(this.effort, this.name));
    }

    /** Enable submitting, and show the effort. */
    refresh() {
        const { workspace, submission } = this.page;
        const { context, image, jobs, session, editor } = workspace;
        const mayLabel = workspace.mayEdit;
        this.nextAfter.input.checked = context.settings.get(NEXT_AFTER, context.study.plan !== null);
        const { question } = submission;
        const isAsking = question !== null && question.changeCount === session.changeCount;
        this.submit.disabled = image === null || !mayLabel || jobs.has("submit") || submission.conflict !== null;
        setText(this.submit, jobs.has("submit") ? "Submitting …" : isAsking ? "Submit anyway" : "Submit");
        this.report.disabled = image === null;
        this.name.hidden = context.session.hasLogin;
        if (document.activeElement !== this.name) this.name.value = context.user();
        const seconds = durationText(Math.floor(session.timer.seconds));
        const edits = session.edits(editor);
        const saved = workspace.isInMemoryOnly ? ", not kept in this browser" : !session.isSaved ? ", being saved …"
            : session.isUnsaved ? ", kept in this browser" : "";
        const effort = `${edits} edit${edits === 1 ? "" : "s"} in ${seconds}${saved}`;
        setText(this.effort, mayLabel ? effort : "You may look at this image, but not submit.");
        this.#showQuestion(isAsking ? question.texts : []);
    }

    /** @param {string[]} texts */
    #showQuestion(texts) {
        if (this.question.dataset.texts === texts.join()) return;
        this.question.dataset.texts = texts.join();
        this.question.hidden = !texts.length;
        fill(this.question, ...texts.map((text) => h("p", {}, text)),
            button("Look again", "Do not submit yet.", () => this.page.submission.withdraw(), { "data-testid": "look-again" }));
        if (texts.length) this.submit.scrollIntoView({ block: "nearest" }); // on small windows both do not fit
    }
}
