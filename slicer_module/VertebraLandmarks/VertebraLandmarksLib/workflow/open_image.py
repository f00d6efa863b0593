"""The work on the film that is open: since when, how much, and where it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from ..client.responses import LabelFacts
from .drafts import Draft, names_of
from .effort import Effort
from .keeping import Keeper
from .needs import Logic


@dataclass(eq=False)
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
        begun_by: who worked on that, "" where it is the same person.
        final: the label that a person submitted, as far as is known; ``None`` without one.
        note: of its draft.
        is_proposal: whether a model's points were shown when it was opened, and were not submitted since.
        predictions: of the editor, when it was opened or submitted last.
        changes: of the points that the editor told of.
        image_left_is: the patient's side at the left of the image, as the person states it and no server knows yet.
        now: seconds since 1970.
    """

    image_id: str
    server: str
    path: Optional[str]
    session: str
    keeper: Keeper
    effort: Effort
    edits_before: int = 0
    begun_by: str = ""
    final: Optional[LabelFacts] = None
    note: str = ""
    is_proposal: bool = False
    predictions: int = 0
    changes: int = 0
    image_left_is: Optional[str] = None
    now: Callable[[], float] = field(default=time.time, repr=False)

    def shows_proposal(self, logic: Logic) -> bool:
        """Whether points that are shown are a model's, which nobody submitted or placed."""
        editor = logic.editor
        is_new = self.is_proposal or editor.predictions != self.predictions
        return is_new and not bool(editor.touched.all())

    def edits(self, logic: Logic) -> int:
        """Steps of work on it."""
        return self.edits_before + logic.editor.edits

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
            edits=self.edits(logic),
            saved=self.now(),
            source=self.path or "",
            note=self.note,
            origin=logic.editor.origin,
            is_proposal=self.shows_proposal(logic),
            begun_by=self.begun_by,
            image_left_is=self.image_left_is,
        )


def facts_of(draft: Draft) -> dict[str, Any]:
    """What is noted at the server about a label beside the name of the login.

    ``annotator`` is who worked, ``begun_by`` who did before, ``submitted`` when (UTC), ``seconds`` how long, ``edits``
    how many steps, ``touched`` how many points were set by hand, and ``model_version`` where the others come from, with
    what that model said of them (``Origin``). ``image_left_is`` is the patient's side there as the annotator states it.
    """
    return {
        "annotator": draft.user,
        "begun_by": draft.begun_by,
        "submitted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(draft.saved)),
        "seconds": round(draft.seconds, 1),
        "edits": draft.edits,
        "touched": len(draft.touched),
        **({} if draft.image_left_is is None else {"image_left_is": draft.image_left_is}),
        **draft.origin.as_facts(),
        "client": "3D Slicer, VertebraLandmarks",
    }
