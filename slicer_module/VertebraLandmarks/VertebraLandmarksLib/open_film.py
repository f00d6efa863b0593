"""The work on the film that is open: since when, how much, and where it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from .drafts import Draft, names_of
from .effort import Effort
from .keeping import Keeper
from .needs import Logic


@dataclass
class OpenFilm:
    """What belongs to one film from its opening to the next one's.

    Attributes:
        image_id: its name at the server, or the one that it would get.
        server: whose image it is, "" for a file of this computer.
        path: that file, ``None`` for an image of a server.
        session: upload session that holds the file, "" without one.
        keeper: when its draft is written.
        effort: time of work.
        edits_before: edits of the draft that was taken up.
        model_version: of the last prediction, "" without one.
        note: of its draft.
        now: seconds since 1970.
    """

    image_id: str
    server: str
    path: Optional[str]
    session: str
    keeper: Keeper
    effort: Effort
    edits_before: int = 0
    model_version: str = ""
    note: str = ""
    now: Callable[[], float] = field(default=time.time, repr=False)

    def draft(self, logic: Logic, user: str) -> Draft:
        """The work as it is now."""
        return Draft(
            key=self.keeper.key,
            image_id=self.image_id,
            server=self.server,
            user=user,
            markups=logic.markups(),
            touched=names_of(logic.editor.touched),
            seconds=self.effort.seconds,
            edits=self.edits_before + logic.editor.edits,
            saved=self.now(),
            source=self.path or "",
            note=self.note,
        )


def facts_of(draft: Draft, model_version: str) -> dict[str, Any]:
    """What is noted at the server about a label beside the name of the login.

    ``annotator`` is who worked, ``submitted`` when (UTC), ``seconds`` how long, ``edits`` how many steps, ``touched``
    how many points were set by hand, and ``model_version`` where the others come from.
    """
    return {
        "annotator": draft.user,
        "submitted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(draft.saved)),
        "seconds": round(draft.seconds, 1),
        "edits": draft.edits,
        "touched": len(draft.touched),
        "model_version": model_version,
        "client": "3D Slicer, VertebraLandmarks",
    }
