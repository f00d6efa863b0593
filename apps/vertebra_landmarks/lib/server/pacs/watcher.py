"""Watches a PACS for new and vanished images."""

from __future__ import annotations

import datetime
import logging
import math
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ...image_io.dicom.study import StudyTags, study_tags
from ..active_learning.background_worker import POLL_INTERVAL_S, BackgroundWorker
from ..overview.patients import note_stated
from ..store.datastore import PREFETCHED, StudiesDatastore
from .change_feed import ChangeFeed
from .client import GoneError, PacsError
from .image_catalogue import SUFFIX
from .instances import Instance
from .listing import Judged, Listing
from .pacs_images import PacsImages
from .settings import PacsSettings

logger = logging.getLogger(__name__)

RECENT_INTERVAL_S = 60.0
"""Between two searches for studies of the last days, where the PACS has no log of changes."""
RECENT_DAYS = 3
COMPARE_INTERVAL_S = 3_600.0
"""Between two listings of all instances, which find what has vanished and late additions to older studies."""
MAX_SINGLE = 200
"""New instances that are looked at one by one; of more, everything is listed."""
_SHOW_INTERVAL_S, _MIN_SHOW_RATIO = 3.0, 5.0
"""Found images are shown after this time, and after this many times what showing the last ones took."""


class PacsWatcher(BackgroundWorker):
    """Keeps the catalogue of images as the PACS is, one process of a working folder at a time.

    At first and every ``COMPARE_INTERVAL_S`` all instances are listed. In between, an Orthanc is asked for its changes,
    any other server for recent studies. While the PACS cannot be reached, nothing changes, and every round tries again.

    ``status()`` has, beside ``state`` ("listing", "watching", "unavailable", or "waiting" where another process
    watches), the numbers of instances that pass the filter (``images``) and of those that do not by reason
    (``left_out``), as last listed.

    Args:
        source: the images of the PACS.
        datastore: whose images they are.
        settings: of the PACS.
        interval_s: seconds between two rounds.
    """

    def __init__(
        self,
        source: PacsImages,
        datastore: StudiesDatastore,
        settings: PacsSettings,
        interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        super().__init__(
            "pacs", datastore.context.folder.app_folder, interval_s, {"images": 0, "left_out": {}, "message": None}
        )
        self._source, self._store = source, datastore
        self._listing = Listing(source.client, settings.image_filter)
        self._feed = ChangeFeed(source.client, settings.url)
        self._change: int | None = None
        self._compare_at = self._recent_at = -math.inf

    def catch_up(self) -> None:
        """One round; a PACS that cannot be used is noted, and said once."""
        was_unavailable = self._status["state"] == "unavailable"
        try:
            if self._source.failure is not None:
                self._source.client.ping()
            now = time.monotonic()
            if now >= self._compare_at:
                self._compare_at = math.inf if self.compare() else -math.inf
                self._compare_at = min(self._compare_at, time.monotonic() + COMPARE_INTERVAL_S)
                self._store.prefetch(lambda: self._store.score_queries.next_random((), PREFETCHED))
            elif self._change is not None:
                self._follow(self._change)
            elif now >= self._recent_at:
                self._list_recent()
        except PacsError as error:
            self._status = {**self._status, "state": "unavailable", "message": str(error)}
            if not was_unavailable:
                logger.warning("%s", error)
            return
        self._status = {**self._status, "state": "watching", "message": None}
        if was_unavailable:
            logger.warning("The PACS answers again")

    def compare(self) -> bool:
        """List everything, and mark what has vanished; returns whether it was completed.

        Raises:
            PacsError: the PACS does not answer; what was found until then is there.
        """
        self._status = {**self._status, "state": "listing"}
        self._change = self._feed.newest()
        known = {entry.name for entry in self._source.images()}
        judged: set[str] = set()
        seen, left_out = self._take_over(self._noted(self._listing.pages(), judged))
        if self.is_stopping:
            return False
        kept = self._unlisted(known - judged)
        self._source.catalogue.note_gone(known - seen - kept)
        there = {entry.name for entry in self._source.images()}
        vanished = {f"{image}{SUFFIX}" for image in self._store.list_images()} - there
        if vanished:  # also such as were found missing before, while the store could not note it
            self._store.note_changed(vanished)
            for name in vanished:
                self._source.cache.drop(name)
            logger.warning("%d images are no longer in the PACS, or no longer pass the filter", len(vanished))
        self._status = {**self._status, "images": len(seen | kept), "left_out": dict(left_out.most_common())}
        self._recent_at = time.monotonic() + RECENT_INTERVAL_S
        return True

    def _take_over(self, pages: Iterable[list[Judged]]) -> tuple[set[str], Counter[str]]:
        """Add the images of pages; returns the file names of all, and how many do not pass by reason."""
        seen: set[str] = set()
        left_out: Counter[str] = Counter()
        pending: dict[str, StudyTags] = {}
        show_at = -math.inf
        try:
            for page in pages:
                left_out.update(judged.reason for judged in page if judged.reason is not None)
                passing = {self._name_of(judged.instance): judged.instance for judged in page if judged.reason is None}
                seen.update(passing)
                for name in self._source.catalogue.note(instance.uids for instance in passing.values()):
                    one = passing[name]
                    pending[name] = study_tags(one.patient_id, one.study_date, issuer=one.issuer)
                if self.is_stopping:
                    break
                if pending and time.monotonic() >= show_at:
                    began = time.monotonic()
                    self._show(pending)
                    took = time.monotonic() - began
                    pending, show_at = {}, time.monotonic() + max(_SHOW_INTERVAL_S, _MIN_SHOW_RATIO * took)
        finally:
            if pending:
                self._show(pending)
        return seen, left_out

    def _noted(self, pages: Iterable[list[Judged]], judged: set[str]) -> Iterator[list[Judged]]:
        """The pages; the file names of their instances are added to a set."""
        for page in pages:
            judged.update(self._name_of(one.instance) for one in page)
            yield page

    def _unlisted(self, missing: Collection[str]) -> set[str]:
        """Images that the PACS has not listed though it has them, such as while others were removed.

        Args:
            missing: file names that were not listed. Of very many only some are looked for; if one of those is there,
                the list is taken to be incomplete.
        """
        ordered = sorted(missing)
        kept = {name for name in ordered[:MAX_SINGLE] if self._still_passes(name)}
        if kept:
            logger.warning("The PACS has not listed all of its images; %d are kept", len(kept))
            kept.update(ordered[MAX_SINGLE:])
        return kept

    def _still_passes(self, name: str) -> bool:
        uids = self._source.catalogue.uids(name)
        try:
            instance = None if uids is None else Instance.from_json(self._source.client.attributes(uids))
        except GoneError:
            return False
        return instance is not None and self._listing.judged(instance).reason is None

    def _name_of(self, instance: Instance) -> str:
        return f"{self._source.catalogue.id_of(instance.uids.instance)}{SUFFIX}"

    def _show(self, found: Mapping[str, StudyTags]) -> None:
        """Serve images by file name, and note whose they are."""
        self._store.note_changed(list(found))
        note_stated(self._store.context, {name.removesuffix(SUFFIX): tags for name, tags in found.items()})

    def _follow(self, since: int) -> None:
        found, newest = self._feed.new_instances(since, MAX_SINGLE)
        if found is None:
            self._compare_at = -math.inf  # in the next round
            return
        instances = [self._feed.instance(id_) for id_ in found]
        self._take_over([[self._listing.judged(instance) for instance in instances if instance is not None]])
        self._change = newest

    def _list_recent(self) -> None:
        since = datetime.date.today() - datetime.timedelta(days=RECENT_DAYS)
        self._take_over(self._listing.pages(since))
        self._recent_at = time.monotonic() + RECENT_INTERVAL_S

    def status(self) -> dict[str, Any]:
        """How far it is, together with the state of the connection and of the cache."""
        connection = self._source.status()
        failure = connection.pop("failure")
        status = {**super().status(), **connection}
        if failure is not None:
            status.update(state="unavailable", message=failure)
        return status
