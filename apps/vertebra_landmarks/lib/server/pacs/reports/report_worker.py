"""The background worker that reads reports of the PACS and sends those of the labels."""

from __future__ import annotations

import logging
import time
from typing import Any

from ...active_learning.background_worker import BackgroundWorker
from ...store.datastore import StudiesDatastore
from ..client import PacsClient, PacsError
from ..pacs_images import PacsImages
from ..settings import PacsSettings
from .delivery import RETRYING, Delivery, delay_s
from .objects import ReportObjects
from .outbox import Outbox
from .report_feed import ReportFeed
from .report_import import ReportImport

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""Between two rounds: how soon a new label version is sent."""
MAX_LOOK_DELAY_S = 60.0
"""Before a PACS that could not be asked for reports is asked again, however often that has failed."""
NAME = "pacs-reports"
OFF, ELSEWHERE = "off", "elsewhere"
"""What is going on, besides the states of ``Delivery``."""


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
        self._failures, self._look_at = 0, 0.0

    def catch_up(self) -> None:
        """One round; a PACS that cannot be used is noted, and a later round tries again."""
        self._status["state"] = "working"
        if time.monotonic() < self._look_at:
            return
        candidates = self.outbox.candidates()
        try:
            self._import.read(self._feed.new())
        except PacsError as error:
            if self._error is None:
                logger.warning("Nothing is exchanged with the PACS for the time being: %s", error)
            self._error, self._failures = str(error), self._failures + 1
            self._look_at = time.monotonic() + min(MAX_LOOK_DELAY_S, delay_s(self._failures))
            return
        self._error, self._failures = None, 0
        self.outbox.enqueue(candidates, self._import.postponed)
        if not self._delivery.is_pausing:
            self._delivery.run(lambda: self.is_stopping)

    def hurry(self) -> None:
        """Look for new reports in the next round."""
        self._feed.hurry()

    def status(self) -> dict[str, Any]:
        """Numbers, and what is going on; nothing of it names a patient."""
        state, found = self._delivery.state, self.outbox.status()
        if self._status["state"] == "waiting":
            state = ELSEWHERE
        elif self._error is not None:
            state, found["last_error"] = RETRYING, self._error
        return {"sending": OFF if self._is_off else state, **found}
