"""The background worker that reads reports of the PACS and sends those of the labels."""

from __future__ import annotations

import logging
from typing import Any

from ...active_learning.background_worker import BackgroundWorker
from ...store.datastore import StudiesDatastore
from ..client import PacsClient, PacsError
from ..pacs_images import PacsImages
from ..settings import PacsSettings
from .delivery import PAUSED, Delivery
from .objects import ReportObjects
from .outbox import Outbox
from .report_feed import ReportFeed
from .report_import import ReportImport

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""Between two rounds: how soon a new label version is sent."""
NAME = "pacs-reports"


class ReportWorker(BackgroundWorker):
    """Reads what others have reported, then sends what is due, one process of a working folder at a time.

    Nothing is sent before all reports of the PACS were looked at once: labels that it has already, such as those of
    before the database was lost, are not sent again.

    ``status()`` has the numbers of objects that are ``waiting``, ``sent`` and ``refused``, the ``last_error``, and as
    ``sending`` what is going on: "idle", "sending", "retrying", "paused" while the PACS lets this login store nothing,
    "elsewhere" where another process sends, or "off" where nothing is sent.

    Args:
        source: the images of the PACS.
        datastore: whose labels are sent.
        settings: of the PACS.
        interval_s: seconds between two rounds.
    """

    def __init__(
        self, source: PacsImages, datastore: StudiesDatastore, settings: PacsSettings, interval_s: float = INTERVAL_S
    ) -> None:
        super().__init__(NAME, datastore.context.folder.app_folder, interval_s, {})
        client = PacsClient(settings)  # its failures say nothing about images
        tags, kinds = settings.sent
        self._is_off = not tags
        self.outbox = Outbox(datastore.context, tags, kinds)
        self._feed = ReportFeed(client, settings.url)
        self._import = ReportImport(datastore, source.catalogue, client, self.outbox)
        self._objects = ReportObjects(datastore, self.outbox.identity)
        self._delivery = Delivery(self.outbox, self._objects, client, settings.host)
        self._error: str | None = None

    def catch_up(self) -> None:
        """One round; a PACS that cannot be used is noted, and the next round tries again."""
        self._status["state"] = "working"
        if self._delivery.is_pausing:
            return
        candidates = self.outbox.candidates()
        try:
            self._import.read(self._feed.new())
        except PacsError as error:
            self._say(str(error))
            self._delivery.pause()
            return
        self._say(None)
        self.outbox.enqueue(candidates, self._import.postponed)
        self._delivery.run(lambda: self.is_stopping)

    def _say(self, sentence: str | None) -> None:
        if sentence is not None and self._error is None:
            logger.warning("Nothing is exchanged with the PACS for the time being: %s", sentence)
        self._error = sentence

    def hurry(self) -> None:
        """Look for new reports in the next round."""
        self._feed.hurry()

    def status(self) -> dict[str, Any]:
        """Numbers, and what is going on; nothing of it names a patient."""
        state = "elsewhere" if self._status["state"] == "waiting" else self._delivery.state
        found = self.outbox.status()
        if self._error is not None:
            found["last_error"] = self._error
        return {"sending": "off" if self._is_off else state, **found}

    @property
    def is_paused(self) -> bool:
        """Whether the PACS lets this login store nothing."""
        return self._delivery.state == PAUSED
