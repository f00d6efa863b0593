"""What somebody has edited in a viewer of the PACS, offered for the open image; nothing of it is taken silently."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ...client.api import Client
from ...client.errors import ServerError
from ...client.proposal import Proposal
from ...client.radiograph import SERVER
from ...client.responses import FINAL, PREDICTED, LabelInfo
from ..open_image import EditSession
from ..server_tasks import LoadedImage
from ..workers import Job
from .base import Action

ROUNDING_PX = 0.001
"""Positions in label files are rounded to less than this."""


class ProposalAction(Action):
    """Offers the corners of a proposal, as a step that can be undone."""

    def look(self, loaded: LoadedImage) -> None:
        """Ask the server, where its images are of a PACS, whether there is a proposal about what is shown.

        Not in a study: what others have edited is not part of a reading.

        Args:
            loaded: the image that was opened, with the label whose points are shown.
        """
        info, session = self._store.state.info, self._autosave.session
        is_of_pacs = info is not None and bool(info.pacs) and loaded.radiograph.source == SERVER
        if session is None or session.reader is not None or not is_of_pacs or loaded.label is None:
            return
        image_id, tag = session.image_id, FINAL if loaded.is_final else PREDICTED

        def work(client: Client, job: Job) -> Optional[Proposal]:
            try:
                return client.proposal(image_id, job.signal)
            except ServerError:  # it is asked for again when the image is opened again
                return None

        self._requests.submit_background(
            work, lambda proposal: self._on_found(session, tag, loaded.label_info, proposal)
        )

    def take(self, proposal: Proposal) -> None:
        """Move the corners of the open image onto the edited lines."""
        current, session, editor = self._store.state.current, self._autosave.session, self._logic.editor
        if current is None or session is None or current.proposal != proposal:
            return
        self._store.update_current(proposal=None)
        if editor.prediction_count != session.prediction_count:
            self._store.update(notice="The points are those of the model now. Open the image again to see the change.")
            return
        editor.begin()
        for corner in proposal.corners:
            if np.isfinite(editor.xy[corner.v, corner.p]).all():
                editor.move_point(corner.v, corner.p, (corner.x, corner.y))
        editor.end()
        self._store.update(notice="The corners lie on the edited lines now. Undo takes them back, Submit saves them.")

    def _on_found(self, session: EditSession, tag: str, shown: LabelInfo, proposal: Optional[Proposal]) -> None:
        is_shown = session is self._autosave.session and self._logic.editor.prediction_count == session.prediction_count
        if not is_shown or proposal is None or proposal.tag != tag or not proposal.corners:
            return
        if proposal.version == shown.version:
            self._store.update_current(proposal=proposal)
        elif self._is_outdated(proposal, shown):
            self._store.update(notice=format_outdated(proposal))

    def _is_outdated(self, proposal: Proposal, shown: LabelInfo) -> bool:
        """Whether an earlier version was edited after the one that is shown was saved, and differs from it."""
        if None in (shown.version, shown.timestamp, proposal.timestamp):
            return False
        xy = self._logic.editor.xy
        is_other = any(np.abs(xy[c.v, c.p] - (c.x, c.y)).max() > ROUNDING_PX for c in proposal.corners)
        return proposal.version < shown.version and proposal.timestamp > shown.timestamp and is_other


def format_offer(proposal: Proposal) -> str:
    """Who has edited what, for the user."""
    names = ", ".join(corner.name for corner in proposal.corners)
    return f"{_who(proposal)} has edited Cobb lines of this image in a viewer, which would move {names}."


def format_outdated(proposal: Proposal) -> str:
    """Who has edited lines that are not those of the label any more, for the user."""
    return (
        f"{_who(proposal)} has edited Cobb lines of version {proposal.version} of this label in a viewer. It was "
        "replaced since, so that they are not offered."
    )


def _who(proposal: Proposal) -> str:
    return proposal.user or "Somebody"
