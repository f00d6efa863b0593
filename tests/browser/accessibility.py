"""Checks of a page for people who use keys or a screen reader: axe-core, and a walk with the Tab key."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from . import node_tools

SERIOUS = ("serious", "critical")
AXE = node_tools.MODULES / "axe-core" / "axe.min.js"
MAX_TABS = 400
RUN_AXE = """() => axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
})"""
CONTROLS = """() => {
    const dialog = document.querySelector("dialog:modal");
    const all = (dialog ?? document).querySelectorAll(
        'a[href], button, input, select, textarea, summary, iframe, [tabindex]');
    const isReachable = (element) => element.tabIndex >= 0 && !element.disabled && !element.closest("[inert]")
        && element.checkVisibility({checkVisibilityCSS: true}) && element.getClientRects().length > 0;
    const isStop = (element) => {
        if (element.type !== "radio") return true;
        const group = [...document.getElementsByName(element.name)];
        return element.checked || !group.some((other) => other.checked) && group[0] === element;
    };
    window.stops = [...all].filter((element) => isReachable(element) && isStop(element));
    return window.stops.map(describe);
}"""
DESCRIBE = """() => {
    window.describe = (element) => {
        const {tagName, dataset, id, className} = element;
        const text = (element.ariaLabel ?? element.textContent ?? "").trim().slice(0, 40);
        return `${tagName.toLowerCase()} ${dataset.testid ?? id ?? className} "${text}"`;
    };
}"""
FOCUSED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const looks = (target) => {
        const style = getComputedStyle(target);
        return {
            outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
            other: [style.boxShadow, style.borderColor, style.backgroundColor, style.outlineColor].join(),
        };
    };
    const box = element.getBoundingClientRect();
    const isInView = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    return {
        index: window.stops.indexOf(element), name: describe(element), isInView,
        isMarked: looks(element).outline || element.matches(":has(:focus-visible)") ,
        takesTab: element.getAttribute("role") === "application", // until Escape is pressed
    };
}"""


def serious_findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical: rule, element and why."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate(RUN_AXE)
    return [
        f"{violation['id']}: {node['html'][:150]}: {node.get('failureSummary', '')[:300]}"
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def walk(page: Page) -> dict[str, list[str]]:
    """Press Tab until the focus is back at the first control.

    Returns:
        Names of the controls that were ``missed``, of those ``unmarked`` while they had the focus, and of those
        ``outside`` of the window then.
    """
    page.evaluate(DESCRIBE)
    names: list[str] = page.evaluate(CONTROLS)
    reached: set[int] = set()
    unmarked, outside = [], []
    first: str | None = None
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUSED)
        if focus is None:
            continue
        if focus["index"] in reached and focus["name"] == first:
            break
        first = first or focus["name"]
        reached.add(focus["index"])
        unmarked += [] if focus["isMarked"] else [focus["name"]]
        outside += [] if focus["isInView"] else [focus["name"]]
        if focus["takesTab"]:
            page.keyboard.press("Escape")
    missed = [name for index, name in enumerate(names) if index not in reached]
    return {"missed": missed, "unmarked": unmarked, "outside": outside}
