"""Edit session of the open image: autosave policy, working time, and the draft that is written."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional

from ..client.responses import LabelInfo
from .drafts import Draft, Drafts, names_of
from .state import Logic

MAX_PAUSE_S = 60.0
"""A longer pause is no work."""


class WorkTimer:
    """A clock that runs while somebody works.

    Args:
        seconds: worked before, where work is taken up again.
        clock: seconds from any moment on.
    """

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last: Optional[float] = None

    def active(self) -> None:
        """Somebody did something; the time since the last such moment counts unless it was a long pause."""
        now = self._clock()
        pause = 0.0 if self._last is None else now - self._last
        self._seconds += pause if pause <= MAX_PAUSE_S else 0.0
        self._last = now

    @property
    def seconds(self) -> float:
        """Worked so far."""
        return self._seconds


QUIET_INTERVAL_S, MAX_DELAY_S = 0.4, 1.0
"""Work is written when nothing happened for so long, and at the latest so long after the first change."""
RETRY_INTERVAL_S = 5.0


class AutosavePolicy:
    """The draft of one film. Revisions count changes; all but ``write`` and ``forget`` belong to one thread.

    Args:
        drafts: where it is written.
        key: of the draft.
        clock: seconds from any moment on.
        resumed_key: key of the draft that this one goes on with and replaces, "" where there is none; another Slicer may
            have been offered that too, so this one has a name of its own.

    Attributes:
        revision: changes so far.
        kept: the newest one on the disk.
        submitted: the newest one at the server.
    """

    def __init__(
        self, drafts: Drafts, key: str, clock: Callable[[], float] = time.monotonic, resumed_key: str = ""
    ) -> None:
        self.key, self._taken_up = key, resumed_key
        self.revision = self.kept = 1 if resumed_key else 0
        self.submitted = 0
        self._drafts, self._clock = drafts, clock
        self._first: Optional[float] = None
        self._due: Optional[float] = None
        self._lock = threading.Lock()
        self._written = self._forgotten = 0
        self._is_released = False

    @property
    def is_saved(self) -> bool:
        """Whether nothing would be lost now."""
        return max(self.kept, self.submitted) >= self.revision

    @property
    def is_unsaved(self) -> bool:
        """Whether there is anything that the server does not have."""
        return self.submitted < self.revision

    def changed(self) -> None:
        """The person changed something."""
        now = self._clock()
        self.revision += 1
        if self._due is None:
            self._first = now
        self._due = min(now + QUIET_INTERVAL_S, (self._first or now) + MAX_DELAY_S)

    def is_due(self) -> bool:
        """Whether it is time to write; then it is so once."""
        if self._due is None or self._clock() < self._due:
            return False
        self._due = None
        return not self.is_saved

    def later(self) -> None:
        """Writing failed; try again in a while."""
        self._due = self._clock() + RETRY_INTERVAL_S

    def write(self, draft: Draft, revision: int) -> int:
        """Write the draft unless a newer one is written, or submitted, already; on any thread.

        Returns:
            The revision.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            if revision >= self._written and revision > self._forgotten:
                if not self._is_released:
                    self._drafts.hold(self.key)
                self._drafts.save(replace(draft, key=self.key))
                self._written = revision
                self._replace_taken_up()
        return revision

    def forget(self, revision: int) -> None:
        """Remove the draft unless it is newer than what the server has now; on any thread.

        Raises:
            OSError: it cannot be removed.
        """
        with self._lock:
            self._forgotten = max(self._forgotten, revision)
            if self._written <= revision:
                self._drafts.remove(self.key)
                self._replace_taken_up()

    def release(self) -> None:
        """The film is no longer open here: the draft may be offered to all again; on any thread."""
        with self._lock:
            self._is_released = True
            self._drafts.release(self.key)

    def _replace_taken_up(self) -> None:
        if self._taken_up:
            with contextlib.suppress(OSError):  # what matters is written; tried again with the next writing
                self._drafts.remove(self._taken_up)
                self._taken_up = ""


@dataclass(eq=False)
class EditSession:
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
    keeper: AutosavePolicy
    effort: WorkTimer
    edits_before: int = 0
    begun_by: str = ""
    final: Optional[LabelInfo] = None
    note: str = ""
    is_proposal: bool = False
    prediction_count: int = 0
    changes: int = 0
    image_left_is: Optional[str] = None
    now: Callable[[], float] = field(default=time.time, repr=False)

    def shows_proposal(self, logic: Logic) -> bool:
        """Whether points that are shown are a model's, which nobody submitted or placed."""
        editor = logic.editor
        is_new = self.is_proposal or editor.prediction_count != self.prediction_count
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


def label_info_of(draft: Draft) -> dict[str, Any]:
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
        **draft.origin.as_dict(),
        "client": "3D Slicer, VertebraLandmarks",
    }
