"""What a study plan names that is not there: a plan is right without it, but hardly what was meant."""

from __future__ import annotations

from collections.abc import Collection

from .plan import StudyPlan, image_key, named_images, person_key

_LISTED = 3


def plan_warnings(plan: StudyPlan, images: Collection[str]) -> list[str]:
    """A sentence on held-out images that are not in the studies folder, if there are any.

    Args:
        plan: of the study.
        images: ids of all images of the folder.
    """
    known = set(map(image_key, images))
    unknown = [name for name in plan.hold_out.images if known.isdisjoint(named_images(name))]
    if not unknown:
        return []
    return [
        f"hold_out of the study plan names {_listed(unknown)}, and the studies folder has no such image: an id is the "
        "name of the file without .png, .dcm and the like"
    ]


def reader_warnings(plan: StudyPlan, readers: Collection[str]) -> list[str]:
    """A sentence for each reader of stored readings who is no longer named in the plan.

    Args:
        plan: of the study.
        readers: of all readings; "" for those that nobody knows.
    """
    spelt = {person_key(name): name for name in plan.readers}
    gone = sorted({*readers} - {"", *plan.readers, *plan.adjudicators})
    found = []
    for name in gone:
        now = spelt.get(person_key(name))
        reason = f"the plan spells the name {now!r}" if now else "the plan may name the same person otherwise"
        found.append(
            f"{name!r:.80} has made readings and is no reader of the study plan: {reason}, and would then ask that "
            "person to read the same images a second time"
        )
    return found


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(f"{name!r:.80}" for name in list(names)[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
