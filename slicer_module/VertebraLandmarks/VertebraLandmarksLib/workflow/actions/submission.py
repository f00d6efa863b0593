"""Submitting a label, after warnings about likely mistakes are confirmed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Callable, Optional

import numpy as np

from ...client.api import Client
from ...client.errors import CANCELLED, FORBIDDEN, REFUSED, ServerError
from ...client.radiograph import SERVER
from ...client.responses import LABELLED, ImageEntry, LabelInfo, replace_entry
from ...spine.measurement.anatomy import KINDS, violations
from ...spine.schema import CORNERS, POINTS, VERTEBRAE
from ...workflow import server_tasks
from ..autosave import Autosave
from ..drafts import SUBMITTING
from ..open_image import EditSession
from ..requests import ServerRequests
from ..server_tasks import ReplacedLabelError
from ..state import Logic, StateStore, SubmissionWarning
from ..workers import Job

_MAX_NAMED = 3


@dataclass(frozen=True)
class ConfirmationRequest:
    """What the person is asked before a label is submitted, and about which points; the answer counts for these only.

    Attributes:
        key: of the film, from its opening to the next one's.
        revision: of its points, another after every change of them.
        questions: at least one.
    """

    key: str
    revision: int
    questions: tuple[SubmissionWarning, ...]


def submission_warnings(
    xy: np.ndarray, final: Optional[LabelInfo], user: str, is_proposal: bool = False
) -> tuple[SubmissionWarning, ...]:
    """Everything about a label that may be a slip.

    Args:
        xy: ``(V, P, 2)`` upright pixels, NaN where not visible.
        final: the label that is at the server; ``None`` where there is none.
        user: who submits.
        is_proposal: whether the points are a model's, at least some of them.
    """
    found = (_incomplete(xy), _implausible(xy), _replacing(final, user, is_proposal))
    return tuple(question for question in found if question is not None)


def _incomplete(xy: np.ndarray) -> Optional[SubmissionWarning]:
    is_absent = ~np.isfinite(xy).all(-1)
    wholly = [VERTEBRAE[v] for v in np.flatnonzero(is_absent.all(1))]
    partly = [VERTEBRAE[v] for v in np.flatnonzero(is_absent.any(1) & ~is_absent.all(1))]
    if not wholly and not partly:
        return None
    sentences = []
    if wholly:
        sentences.append(f"{_listed(wholly)} {'has' if len(wholly) == 1 else 'have'} no points.")
    for name in partly[:_MAX_NAMED]:
        points = [point for p, point in enumerate(POINTS) if is_absent[VERTEBRAE.index(name), p]]
        corners = [point for point in points if point in CORNERS]
        sentences.append(f"{name} lacks {_listed(corners or points)}.")
    if len(partly) > _MAX_NAMED:
        sentences.append(f"{len(partly) - _MAX_NAMED} more vertebrae lack points.")
    text = f"{' '.join(sentences)} They will be stored as not visible."
    return SubmissionWarning("incomplete", text, tuple(name for name in VERTEBRAE if name in (*wholly, *partly)))


def _implausible(xy: np.ndarray) -> Optional[SubmissionWarning]:
    broken = sorted(violations(xy), key=lambda violation: KINDS.index(violation.kind))  # what is gravest first
    if not broken:
        return None
    names = {name for violation in broken for name in violation.vertebrae}
    sentences = [violation.message for violation in broken[:_MAX_NAMED]]
    if len(broken) > _MAX_NAMED:
        sentences.append(f"And {len(broken) - _MAX_NAMED} more.")
    text = f"This spine looks unusual. {' '.join(sentences)} It will be stored as it is."
    return SubmissionWarning("implausible", text, tuple(name for name in VERTEBRAE if name in names))


def _replacing(final: Optional[LabelInfo], user: str, is_proposal: bool) -> Optional[SubmissionWarning]:
    is_others = final is not None and final.user not in ("", user)
    if final is None or not (is_others or is_proposal):
        return None
    who = final.user if is_others else "You" if final.user else "Somebody"
    points = "Points of the model" if is_proposal else "Yours"
    day = "" if final.when is None else time.strftime(" of %Y-%m-%d %H:%M", time.localtime(final.when))
    return SubmissionWarning("replaces", f"{who} labelled this film already. {points} will replace the label{day}.")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class SubmissionAction:
    """Stores labels.

    Args:
        board: the state.
        requests: asks the server.
        saving: keeps the work until the server has it.
        logic: holds the points.
        is_stored: called when the server has a label, with whether its film is still open and nothing is newer.
    """

    def __init__(
        self,
        board: StateStore,
        requests: ServerRequests,
        saving: Autosave,
        logic: Logic,
        is_stored: Callable[[bool], object],
    ) -> None:
        self._store, self._requests, self._saving, self._logic = board, requests, saving, logic
        self._on_label_stored = is_stored

    def submit(self, confirmed: Optional[ConfirmationRequest] = None) -> Optional[ConfirmationRequest]:
        """Store the label of the open film, or say what must be asked first, see ``Controller.submit``."""
        film, info = self._saving.film, self._store.state.info
        if film is None or self._store.state.is_busy("submit"):
            return None
        if confirmed is not None and confirmed.key != film.keeper.key:
            self._store.set(notice="Nothing was submitted: that was about a film which is no longer open.")
            return None
        if not self._requests.check_same_server(film.server):
            return None
        if info is not None and not info.may_label:
            sentence = "Your token lets you look at films, but not label them. Ask whoever runs the server."
            self._requests.failed(ServerError(FORBIDDEN, sentence))
            return None
        xy = self._logic.image_frame.upright(self._logic.editor.spine()).visible_xy
        if not np.isfinite(xy).any():
            sentence = "There are no points to submit. Place them, or ask for landmarks."
            self._requests.failed(ServerError(REFUSED, sentence))
            return None
        questions = submission_warnings(xy, film.final, self._store.user, film.shows_proposal(self._logic))
        asked = ConfirmationRequest(film.keeper.key, film.changes, questions)
        if questions and asked != confirmed:
            return asked
        self._send(film)
        return None

    def _send(self, film: EditSession) -> None:
        film.effort.active()
        film.note = SUBMITTING
        draft, keeper = film.draft(self._logic, self._store.user), film.keeper
        if keeper.revision == keeper.submitted:
            keeper.revision += 1  # nothing was changed, but from now on this is somebody's word
        self._saving.show(film)
        revision, prediction_count, known = keeper.revision, self._logic.editor.prediction_count, film.final

        def work(client: Client, job: Job) -> tuple[str, LabelInfo]:
            return server_tasks.submit(client, draft, keeper, revision, known, job)

        def stored(found: tuple[str, LabelInfo]) -> None:
            self._stored(film, found[0], found[1], revision, prediction_count)

        def failed(error: ServerError) -> None:
            film.note = "" if error.kind == CANCELLED else error.message
            self._saving.note(film, replace(draft, note=film.note), revision)
            self._not_stored(film, error)

        self._requests.ask("submit", f"Submitting {film.image_id}", work, stored, failed, True)

    def _not_stored(self, film: EditSession, error: ServerError) -> None:
        if isinstance(error, ReplacedLabelError):
            film.final = error.final
            self._enter(film.image_id, error.final)
        if error.kind == CANCELLED:
            sentence = "Cancelled; the label may have arrived or not. Your work is kept. Submit it again."
            self._store.set(notice=sentence)
        elif film is self._saving.film:
            self._requests.failed(error)
        else:
            sentence = f"{film.image_id} was not submitted; it is among the unfinished work. {error.message}"
            self._requests.failed(ServerError(error.kind, sentence, error.detail))
            self._saving.list()

    def _stored(self, film: EditSession, image_id: str, final: LabelInfo, revision: int, prediction_count: int) -> None:
        keeper, is_new = film.keeper, film.path is not None
        file = "" if film.path is None else f"{image_id}{film.path[film.path.rfind('.') :]}"
        keeper.submitted = max(keeper.submitted, revision)
        film.image_id, film.server, film.path, film.note = image_id, self._requests.server, None, ""
        film.final, film.is_proposal, film.prediction_count = final, False, prediction_count
        is_open = film is self._saving.film
        if is_open:
            self._logic.editor.is_own = True
            if is_new:
                self._requests.delete_session(film.session)
                film.session = ""
            self._store.set_current(id=image_id, source=SERVER, path=None)
            if not keeper.is_unsaved:
                self._store.set_current(label="label")
            self._saving.show(film)
        self._store.set(notice=f"{image_id} is stored as final.")
        self._enter(image_id, final, file)
        self._saving.list()
        self._on_label_stored(is_open and not keeper.is_unsaved)

    def _enter(self, image_id: str, final: LabelInfo, file: str = "") -> None:
        """Show the label in the list of images, without asking for the whole list."""
        known = next((one for one in self._store.state.images if one.id == image_id), None)
        if known is None and not file:
            return
        entry = ImageEntry(image_id, LABELLED, final.user, final.when, file if known is None else known.file)
        self._store.set(images=replace_entry(self._store.state.images, entry))
