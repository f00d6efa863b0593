"""Edit session of the open image: autosave policy, working time, and the draft that is written."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional

from ..client.readings import EDITED
from ..client.responses import LabelInfo
from ..client.study import Reading
from .drafts import Draft, Drafts, names_of
from .state import LogicProtocol

MAX_PAUSE_S = 60.0
"""Longer pauses do not count as working time."""
QUIET_INTERVAL_S, MAX_DELAY_S = 0.4, 1.0
"""A draft is written after this time without changes, and at the latest this long after the first change."""
RETRY_INTERVAL_S = 5.0


class WorkTimer:
    """Working time without pauses.

    Args:
        seconds: worked before, where work is resumed.
        clock: monotonic time in seconds.
    """

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last: Optional[float] = None

    def touch(self) -> None:
        """Note activity: the time since the last one counts, unless it was a long pause."""
        now = self._clock()
        pause = 0.0 if self._last is None else now - self._last
        self._seconds += pause if pause <= MAX_PAUSE_S else 0.0
        self._last = now

    @property
    def seconds(self) -> float:
        """Working time so far."""
        return self._seconds


class AutosavePolicy:
    """Debounced autosave of one draft, ordered by revision.

    Revisions count changes. ``write``, ``delete_if_older`` and ``release`` run on any thread, all else on one.

    Args:
        drafts: where the draft is written.
        key: of the draft.
        clock: monotonic time in seconds.
        resumed_key: of the draft that this one continues and replaces, "" without one. The key is another one, as a
            second Slicer may have been offered the same draft.

    Attributes:
        revision: number of changes so far.
        saved_revision: newest revision on the disk.
        submitted_revision: newest revision on the server.
    """

    def __init__(
        self, drafts: Drafts, key: str, clock: Callable[[], float] = time.monotonic, resumed_key: str = ""
    ) -> None:
        self.key, self._resumed_key = key, resumed_key
        self.revision = self.saved_revision = 1 if resumed_key else 0
        self.submitted_revision = 0
        self._drafts, self._clock = drafts, clock
        self._first: Optional[float] = None
        self._due: Optional[float] = None
        self._lock = threading.Lock()
        self._written = self._deleted = 0
        self._is_released = False

    @property
    def is_saved(self) -> bool:
        """Whether all changes are on the disk or on the server."""
        return max(self.saved_revision, self.submitted_revision) >= self.revision

    @property
    def is_unsaved(self) -> bool:
        """Whether there are changes that the server does not have."""
        return self.submitted_revision < self.revision

    def mark_changed(self) -> None:
        """Count a change and schedule a write."""
        now = self._clock()
        self.revision += 1
        if self._due is None:
            self._first = now
        self._due = min(now + QUIET_INTERVAL_S, (self._first or now) + MAX_DELAY_S)

    def is_due(self) -> bool:
        """Whether it is time to write; true once per scheduled write."""
        if self._due is None or self._clock() < self._due:
            return False
        self._due = None
        return not self.is_saved

    def schedule_retry(self) -> None:
        """Schedule another write after one that failed."""
        self._due = self._clock() + RETRY_INTERVAL_S

    def write(self, draft: Draft, revision: int) -> int:
        """Write the draft unless a newer revision was written or submitted already.

        Returns:
            The revision.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            if revision >= self._written and revision > self._deleted:
                if not self._is_released:
                    self._drafts.lock(self.key)
                self._drafts.save(replace(draft, key=self.key))
                self._written = revision
                self._delete_resumed()
        return revision

    def delete_if_older(self, revision: int) -> None:
        """Delete the draft unless it is newer than the revision that the server has now.

        Raises:
            OSError: it cannot be deleted.
        """
        with self._lock:
            self._deleted = max(self._deleted, revision)
            if self._written <= revision:
                self._drafts.remove(self.key)
                self._delete_resumed()

    def release(self) -> None:
        """Unlock the draft, as the image is no longer open here."""
        with self._lock:
            self._is_released = True
            self._drafts.unlock(self.key)

    def _delete_resumed(self) -> None:
        if self._resumed_key:
            with contextlib.suppress(OSError):  # tried again with the next write
                self._drafts.remove(self._resumed_key)
                self._resumed_key = ""


@dataclass(eq=False)
class EditSession:
    """Work on one image, from its opening until another image is opened.

    Attributes:
        image_id: its name on the server, or the name that it would get there.
        server: URL of its server, "" for a local file.
        path: the local file, ``None`` for an image of a server.
        upload_id: upload session that holds the file, "" without one.
        policy: when its draft is written.
        timer: working time.
        edits_before: edits of the resumed draft.
        begun_by: who worked on the resumed draft, "" where that is the same user.
        final: information about the submitted label, as far as known; ``None`` without one.
        note: of its draft.
        is_proposal: whether a model's points were shown when it was opened, and were not submitted since.
        prediction_count: of the editor, when the image was opened or last submitted.
        change_count: changes of the points, by whomever.
        image_left_is: the patient's side at the left of the image as the user states it, while no server stores it.
        reader: who has opened it in a study; ``None`` without a plan. It is closed when somebody else takes over.
        reading: of the study, that the points become; ``None`` without one.
        seen_versions: versions of the readings from which an adjudicator chooses the final label, by number.
        seen_final: version of the final label that this adjudicator has seen, 0 for none; ``None`` in other work.
        is_view_only: whether the points can be changed and submitted by nobody now.
        now: seconds since 1970.
    """

    image_id: str
    server: str
    path: Optional[str]
    upload_id: str
    policy: AutosavePolicy
    timer: WorkTimer
    edits_before: int = 0
    begun_by: str = ""
    final: Optional[LabelInfo] = None
    note: str = ""
    is_proposal: bool = False
    prediction_count: int = 0
    change_count: int = 0
    image_left_is: Optional[str] = None
    reader: Optional[str] = None
    reading: Optional[Reading] = None
    seen_versions: dict[int, int] = field(default_factory=dict)
    seen_final: Optional[int] = None
    is_view_only: bool = False
    now: Callable[[], float] = field(default=time.time, repr=False)

    def is_of(self, user: str) -> bool:
        """Whether a user may see it: in a study, only who has opened it."""
        return self.reader in (None, user)

    @property
    def offers_model(self) -> bool:
        """Whether points of the model may be asked for."""
        return not self.is_view_only and (self.reading is None or self.reading.offers_model)

    def shows_proposal(self, logic: LogicProtocol) -> bool:
        """Whether some of the points are a model's that no user has set or submitted."""
        editor = logic.editor
        is_new = self.is_proposal or editor.prediction_count != self.prediction_count
        return is_new and not bool(editor.touched.all())

    def edits(self, logic: LogicProtocol) -> int:
        """Number of edits, including those of a resumed draft."""
        return self.edits_before + logic.editor.edits

    def draft(self, logic: LogicProtocol, user: str) -> Draft:
        """The work as it is now."""
        return Draft(
            key=self.policy.key,
            image_id=self.image_id,
            server=self.server,
            user=user if self.reader is None else self.reader,
            markups=logic.markups(),
            touched=names_of(logic.editor.touched),
            seconds=self.timer.seconds,
            edits=self.edits(logic),
            saved=self.now(),
            source=self.path or "",
            note=self.note,
            origin=logic.editor.origin,
            is_proposal=self.shows_proposal(logic),
            begun_by=self.begun_by,
            image_left_is=self.image_left_is,
            reading=self.reading,
            is_correction=self.reading is not None and self.final is not None,
            seen_versions=tuple(sorted(self.seen_versions.items())),
            seen_final=self.seen_final,
        )


def label_info_of(draft: Draft) -> dict[str, Any]:
    """Label information that is sent with a label, besides the name of the login.

    ``annotator`` and ``begun_by`` name who worked, ``submitted`` is the time (UTC), ``seconds`` the working time,
    ``edits`` and ``touched`` count steps and points set by hand, which ``touched_points`` names, ``image_left_is`` is
    the side that the annotator states; the rest is the provenance of the other points (``Origin``). Of an adjudication,
    ``reading_versions`` are the readings that were seen.
    """
    seen = {str(number): version for number, version in draft.seen_versions}
    return {
        "annotator": draft.user,
        "begun_by": draft.begun_by,
        "submitted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(draft.saved)),
        "seconds": round(draft.seconds, 1),
        "edits": draft.edits,
        "touched": len(draft.touched),
        "touched_points": list(draft.touched),
        **({} if draft.image_left_is is None else {"image_left_is": draft.image_left_is}),
        **draft.origin.as_dict(),
        **({"adjudicated": EDITED, "reading_versions": seen} if seen else {}),
        "client": "3D Slicer, VertebraLandmarks",
    }
