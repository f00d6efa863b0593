"""Pages of the images of a study for somebody from whom labels are hidden: as if those labels were not there.

All rows are looked at, since what is hidden depends on the plan; a study of thousands of images takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import select

from ..filenames import casefold_key
from ..store.images import FINAL, PREDICTED
from ..store.schema import GONE, LABELLED, UNREADABLE, images
from ..store.store_context import StoreContext
from .image_list import Query, Sort, State

HIDDEN = {"user": None, "labelled_at": None, "seconds": None, "edits": None, "version": None}
"""What the list says of an image without a label."""


class Sees(Protocol):
    """What a user sees, see ``readings.gate.Gate``."""

    def shows_labels(self, image: str) -> bool:
        """Whether everything that was made of an image is shown."""

    def tag(self, image: str, tag: str) -> str | None:
        """Tag under which the user sees a label; ``None`` where it is hidden."""


Describe = Callable[["list[int]"], "list[dict[str, Any]]"]


def blind_page(context: StoreContext, query: Query, sees: Sees, describe: Describe) -> dict[str, Any]:
    """A page of the list, as ``ImageList.page`` has it.

    Images are sorted by name where the order would tell something: by doubt, and those whose label is hidden by it.

    Args:
        context: the studies folder and its rows.
        query: which images.
        sees: what the user sees.
        describe: what the list says of some images, by their keys, to somebody who sees everything.
    """
    columns = (images.c[name] for name in ("key", "id", "folded", "state", "is_predicted", "added_at", "labelled_at"))
    rows = select(*columns).where(images.c.store == context.key, images.c.state != GONE)
    with context.database.reading(snapshot=True) as connection:
        found = connection.execute(rows.order_by(images.c.folded, images.c.id)).all()
    states = {row.key: _state(row, sees) for row in found}
    counts = dict.fromkeys((state.value for state in State), 0)
    for state in states.values():
        counts[state.value] += 1
        counts[State.ALL.value] += 1
    search = casefold_key(query.search) if query.search else ""
    matching = [row for row in found if query.state in (State.ALL, states[row.key]) and search in row.folded]
    if query.sort is Sort.DATE:
        matching.sort(key=lambda row: row.added_at)
    elif query.sort is Sort.LABELLED:
        matching.sort(key=lambda row: row.labelled_at if states[row.key] is State.LABELLED else 0)
    if query.descending:
        matching.reverse()
    page = matching[query.offset : query.offset + query.limit]
    entries = describe([row.key for row in page])
    shown = [blind_entry(entry, states[row.key], sees) for row, entry in zip(page, entries, strict=True)]
    return {"total": len(matching), "counts": counts, "images": shown}


def _state(row: Any, sees: Sees) -> State:
    if row.state == UNREADABLE:
        return State.UNREADABLE
    if row.state == LABELLED and sees.shows_labels(row.id):
        return State.LABELLED
    is_predicted = row.is_predicted and sees.tag(row.id, PREDICTED) is not None
    return State.PREDICTED if is_predicted else State.UNLABELLED


def blind_entry(entry: dict[str, Any], state: State, sees: Sees) -> dict[str, Any]:
    """An image of the list, without what is hidden.

    Args:
        entry: of the list for somebody who sees everything.
        state: as the user sees it.
        sees: what the user sees.
    """
    if state is State.LABELLED and sees.tag(entry["id"], FINAL) == FINAL:
        return entry
    shown = {**entry, **HIDDEN, "state": state.value, "largest_angle_deg": None}
    return {**shown, "doubt": entry["doubt"] if state is State.PREDICTED else None}
