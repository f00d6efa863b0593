"""Where the label of a request belongs: to a reading, to an adjudication, or to the image as without a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ...store.label_sync import labeller
from .adjudication import ADJUDICATED, EDITED
from .gate import Gate
from .reading_rows import number_of
from .slot_store import NoSlotError
from .study import Study

SEEN = "reading_versions"
"""In the metadata of an edited final label: the versions of the readings that the adjudicator has seen, by number."""


class Saved(NamedTuple):
    """A label that was saved.

    Attributes:
        tag: of the label.
        version: of the label.
        reading: number of the reading; ``None`` where it is none.
    """

    tag: str
    version: int
    reading: int | None = None


def is_of_study(gate: Gate, tag: str) -> bool:
    """Whether labels of a tag are readings, or chosen from them."""
    return gate.plan is not None and (tag == FINAL or number_of(tag) is not None)


def save_label(
    store: StudiesDatastore,
    study: Study,
    gate: Gate,
    image: str,
    tag: str,
    content: bytes,
    metadata: Mapping[str, Any],
    base_version: int | None = None,
    number: int | None = None,
) -> Saved:
    """Save a label; in a study with a plan, ``final`` is the reading of a reader, or an adjudicator's choice.

    Args:
        store: the studies folder.
        study: of the folder.
        gate: of the user.
        image: its id.
        tag: of the label.
        content: of the Markups file.
        metadata: of the version.
        base_version: see ``Labels.save``.
        number: of the reading, where the client states it.

    Raises:
        NoSlotError: the user has nothing to save under this tag.
        SaveRefusedError, ImageNotFoundException, ValueError, OSError: see ``SlotStore.submit`` and
            ``Adjudications.save``.
    """
    plan, viewer = gate.plan, gate.viewer
    if viewer.name and not labeller(metadata):
        metadata = {**metadata, "user": viewer.name}
    own = {name: value for name, value in metadata.items() if name not in (ADJUDICATED, "reading")}
    if plan is None:
        if number is not None:
            raise NoSlotError("the studies folder has no study plan, so there are no readings")
        version = store.save_label_content(image, tag, content, dict(metadata), base_version)
        return Saved(tag, version)
    if number is None and not is_of_study(gate, tag):
        if not gate.shows_labels(image):
            raise NoSlotError(
                f"a reader of a blind study saves readings, with the tag {FINAL!r}, and no label {tag!r:.80}"
            )
        return Saved(tag, store.save_label_content(image, tag, content, own, base_version))
    if viewer.name in plan.adjudicators and number is None and tag == FINAL:
        seen = _versions(own.pop(SEEN, None))
        version = study.adjudications.save(plan, image, content, own, EDITED, viewer.name, seen, base_version)
        return Saved(FINAL, version)
    stated = number if number is not None else number_of(tag)
    reading, version = study.slots.submit(plan, viewer, image, content, own, base_version, stated)
    return Saved(reading.tag, version, reading.number)


def _versions(stated: object) -> dict[int, int] | None:
    """Versions of readings by number; ``None`` where the client states none.

    Raises:
        ValueError: they are no such table.
    """
    if stated is None:
        return None
    if not isinstance(stated, Mapping) or not all(str(number).isdecimal() for number in stated):
        raise ValueError(f"{SEEN} must be a table of numbers of readings and versions, got {stated!r:.80}")
    return {int(number): version for number, version in stated.items()}
