"""The choice of the final label of an image from two readings: one of them, their mean, or edited points."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Callable, Optional

import numpy as np

from ...client.api import Client
from ...client.errors import REFUSED, TAKEN, ServerError
from ...client.readings import MEAN, ImageReadings, VertebraDifference
from ...client.study import refusal
from ...spine.labels.markups import to_markups
from ...spine.measurement.origin import Origin
from ...spine.schema import VERTEBRAE, Spine
from ..drafts import mask_of
from ..server_tasks import LoadedImage
from ..state import Adjudication, Take
from ..workers import Job
from .base import Action, ActionContext
from .image_loader import ImageLoader


class AdjudicationAction(Action):
    """Shows two readings, and stores what is chosen.

    Args:
        context: see ``Action``.
        loader: opens the images.
        on_stored: called when a final label is stored, with whether its image is still open.
    """

    def __init__(self, context: ActionContext, loader: ImageLoader, on_stored: Callable[[bool], object]) -> None:
        super().__init__(context)
        self._loader, self._on_stored = loader, on_stored

    def on_shown(self, loaded: LoadedImage, is_draft: bool) -> None:
        """An image was opened: show its readings, if it is to be adjudicated."""
        if loaded.readings is not None:
            self._show(Adjudication(loaded.readings, is_editing=is_draft))

    def choose(self, take: Take) -> None:
        """Choose a reading by its number, or ``MEAN``; nothing is stored before ``confirm``."""
        adjudication = self._store.state.adjudication
        if adjudication is None or adjudication.is_editing:
            return
        refusal_of_mean = format_refusal_of_mean(adjudication) if take == MEAN else ""
        if refusal_of_mean:
            self._requests.show_error(ServerError(REFUSED, refusal_of_mean))
        elif take == MEAN or adjudication.reading(take) is not None:
            self._store.update(error=None)
            self._show(replace(adjudication, take=take))

    def edit(self) -> None:
        """Begin to correct the chosen points, or those of the first reading, which become the final label."""
        adjudication, session, shown = self._store.state.adjudication, self._autosave.session, self._logic.radiograph
        if adjudication is None or adjudication.is_editing or session is None or shown is None:
            return
        begun, mean = adjudication.reading(adjudication.take) or adjudication.compared[0], adjudication.readings.mean
        is_mean = adjudication.take == MEAN and mean is not None and mean.spine is not None
        spine = mean.spine if is_mean and mean is not None and mean.spine is not None else begun.spine
        touched = np.ones(spine.visible.shape, bool) if is_mean else mask_of(begun.touched)
        markups = json.dumps(to_markups(spine, shown.info.geometry), allow_nan=False).encode()
        with self._loader.programmatic_change():
            self._logic.set_label(markups, touched, Origin(begun.model_version), is_own=True)
        session.is_view_only = False
        self._store.update(error=None)
        self._show(replace(adjudication, take=None, is_editing=True))
        self._store.update_current(is_view_only=False)
        self._autosave.publish(session)

    def confirm(self) -> None:
        """Make what is chosen the final label."""
        adjudication, session = self._store.state.adjudication, self._autosave.session
        if adjudication is None or session is None or self._store.state.is_busy("submit"):
            return
        if adjudication.take is None:
            self._requests.show_error(ServerError(REFUSED, "Choose a reading, the mean, or edit the points first."))
            return
        if not self._requests.check_same_server(session.server):
            return
        image_id, take, user, seen = session.image_id, adjudication.take, session.reader, session.seen_versions
        seen_final = session.seen_final

        def work(client: Client, job: Job) -> None:
            client.adjudicate(image_id, take, user, seen, seen_final, job.signal)

        def on_done(_: None) -> None:
            self._store.update(notice=f"The final label of {image_id} is stored.")
            self._on_stored(session is self._autosave.session)

        def on_error(error: ServerError) -> None:
            if error.kind == TAKEN and session is self._autosave.session:
                self.reload(error)
            else:
                self._requests.show_error(refusal(error))

        self._requests.submit("submit", f"Storing the final label of {image_id}", work, on_done, on_error)

    def reload(self, refused: Optional[ServerError] = None) -> None:
        """Show the readings as they are now; edits of the adjudicator stay.

        Args:
            refused: why the server did not store the final label, to be said then.
        """
        session = self._autosave.session
        if session is None or self._store.state.adjudication is None:
            return
        image_id, seen_final = session.image_id, session.seen_final

        def work(client: Client, job: Job) -> tuple[ImageReadings, Optional[Spine]]:
            readings = client.readings(image_id, job.signal)
            is_newer = refused is not None and readings.final is not None and readings.final_version != seen_final
            return readings, client.final_spine(image_id, job.signal) if is_newer else None

        def on_done(found: tuple[ImageReadings, Optional[Spine]]) -> None:
            readings, newer_final = found
            adjudication = self._store.state.adjudication
            if session is not self._autosave.session or adjudication is None:
                return
            change = readings.changed_since(session.seen_versions, session.seen_final)
            session.seen_versions, session.seen_final = readings.versions, readings.final_version
            self._show(replace(adjudication, readings=readings, take=None, newer_final=newer_final))
            if refused is not None:
                sentence = f"{change} meanwhile. Both are shown anew; nothing was saved."
                self._requests.show_error(ServerError(TAKEN, sentence) if change else refusal(refused))

        self._requests.submit("readings", "Reading both again", work, on_done)

    def _show(self, adjudication: Adjudication) -> None:
        self._logic.show_readings(adjudication.shown)
        self._store.update(adjudication=adjudication)


def format_shift(adjudication: Adjudication) -> str:
    """That the readings name the vertebrae differently, for display; "" where they do not."""
    shift = adjudication.readings.names_shift
    if not shift or len(adjudication.compared) < 2:
        return ""
    one, other = (reading.reader for reading in adjudication.compared)
    here = VERTEBRAE.index("T7")
    return (
        f"The readings name the vertebrae differently: what {one} calls {VERTEBRAE[here]}, {other} calls "
        f"{VERTEBRAE[here + shift]}. There is no mean."
    )


def format_refusal_of_mean(adjudication: Adjudication) -> str:
    """Why the readings have no mean, for display; "" where they have one."""
    mean = adjudication.readings.mean
    refused = "" if mean is None else mean.refusal
    return format_shift(adjudication) or (f"{refused[:1].upper()}{refused[1:].rstrip('.')}." if refused else "")


def format_choice(adjudication: Adjudication) -> str:
    """What the final label will be, for display."""
    if adjudication.is_editing:
        final = _format_final(adjudication) if adjudication.newer_final is not None else ""
        return f"{final}You are editing: your points become the final label."
    if adjudication.take is None:
        return f"{_format_final(adjudication)}Choose with 1, 2, M or E."
    what = "the mean of both" if adjudication.take == MEAN else f"{_reader(adjudication, adjudication.take)}'s reading"
    return f"The final label will be {what}. Enter stores it."


def _format_final(adjudication: Adjudication) -> str:
    final = adjudication.readings.final
    if final is None:
        return ""
    number = int(final.how) if final.how.isdecimal() else None
    what = {MEAN: "the mean"}.get(final.how, "edited points") if number is None else f"reading {number}"
    where = " (white)" if adjudication.newer_final is not None else ""
    return f"Final now{where}: {what}, chosen by {final.by or 'somebody'}. "


def _reader(adjudication: Adjudication, take: Take) -> str:
    reading = adjudication.reading(take)
    return "" if reading is None else reading.reader or f"reader {take}"


def difference_row(adjudication: Adjudication, difference: VertebraDifference) -> tuple[str, str, str]:
    """Name, distance of the corners and difference of tilt of a vertebra; or who alone has it, for display."""
    if difference.is_missing:
        v = VERTEBRAE.index(difference.vertebra)
        has = [one.reader for one in adjudication.compared if one.spine.visible[v].any()]
        return difference.vertebra, f"only {has[0]} has it" if has else "in one reading only", ""
    corners, tilt = difference.corners_px, difference.tilt_deg
    distance = f"{corners:.1f} px" if corners is not None else "no common corner"
    return difference.vertebra, distance, "" if tilt is None else f"{tilt:.1f}°"
