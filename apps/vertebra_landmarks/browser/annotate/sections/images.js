/** Section Images: the open image, the next one by strategy, and the one before. */

import { h, nameElement } from "../../shell/dom.js";
import { button, row, section, selectBox, setOptions, setText } from "./controls.js";

/** @typedef {import("../page.js").AnnotatePage} AnnotatePage */

const LABELS = {
    "": "no points yet",
    prediction: "points of the model",
    label: "submitted before",
    draft: "your unfinished work",
    reading: "points of the reading that you edit",
};
const STRATEGY = "strategy";

/** Choice of the image to work on. */
export class ImagesSection {
    /** @param {AnnotatePage} page */
    constructor(page) {
        this.page = page;
        const { settings, router } = page.workspace.context;
        this.next = button("Next image", "Open the image that the server chooses (N).", () => void page.navigation.next(), {
            "data-testid": "next",
        });
        this.previous = button("Previous", "Open the previous image (P).", () => page.navigation.previous(), {
            "data-testid": "previous",
        });
        this.strategy = selectBox(
            "Next by", "How the server chooses the next image that has no label yet.", [],
            (value) => settings.set(STRATEGY, value), "strategy"
        );
        this.points = h("p", { class: "hint", "data-testid": "points-from" });
        this.shown = "";
        this.element = section(
            settings, "images", "Images", true,
            row(h("p", { class: "image-name" }, nameElement(page.workspace.session.imageId)),
                h("a", { class: "link", href: router.href("follow-up", page.workspace.session.imageId) }, "Follow-up")),
            this.points,
            row(this.previous, this.next, h("label", { class: "inline" }, "by", this.strategy))
        );
    }

    /** Show image and strategies. */
    refresh() {
        const { workspace, opened } = this.page;
        const { session, label, editor } = workspace;
        const strategies = Object.keys(workspace.context.session.info?.strategies ?? {});
        if (strategies.join() !== this.shown) {
            this.shown = strategies.join();
            setOptions(this.strategy, strategies.map((value) => ({ value, text: value.replaceAll("_", " ") })));
            const wanted = workspace.context.settings.get(STRATEGY, "");
            if (strategies.includes(wanted)) this.strategy.value = wanted;
        }
        const { study } = workspace.context;
        this.next.disabled = workspace.jobs.has("next") || !study.hasPart;
        this.next.title = study.hasPart ? "Open the image that the server chooses (N)." : study.noPartText;
        this.previous.disabled = !opened.previous;
        const points = session.begunBy ? `unfinished work of ${session.begunBy}` : LABELS[label];
        const isChanged = session.isUnsaved && session.edits(editor) > 0;
        const text = `${points}${isChanged ? ", changed" : ""}`;
        setText(this.points, text.charAt(0).toUpperCase() + text.slice(1));
        setText(this.next, workspace.jobs.has("next") ? "Choosing …" : study.nextText);
    }
}
