"""Structured reports that are in the PACS: all at first and every hour, new ones in between."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Iterator

from ..change_feed import ChangeFeed
from ..client import PacsClient
from ..instances import OPTIONAL, STUDY_DATE, Instance, InstanceUids
from ..watcher import COMPARE_INTERVAL_S, MAX_SINGLE, RECENT_DAYS, RECENT_INTERVAL_S

MODALITY = "SR"
CHANGES_INTERVAL_S = 10.0
"""Between two requests for the log of changes of an Orthanc."""


class ReportFeed:
    """Tells of structured reports as they appear, some of them more than once.

    An Orthanc is asked for its changes, any other server for recent studies, like ``PacsWatcher`` does for images.

    Args:
        client: of the PACS.
        url: of its DICOMweb service.
    """

    def __init__(self, client: PacsClient, url: str) -> None:
        self._client, self._changes = client, ChangeFeed(client, url)
        self._change: int | None = None
        self._list_at = self._next_at = -math.inf

    def new(self) -> list[InstanceUids]:
        """Reports that may be new since the last time; all of them the first time.

        Raises:
            PacsError: the PACS does not answer; the next call tells of the same.
        """
        now = time.monotonic()
        if now >= self._list_at:
            change = self._changes.newest()
            found = list(self._search({}))
            self._change, self._list_at = change, time.monotonic() + COMPARE_INTERVAL_S
        elif now < self._next_at:
            return []
        elif self._change is None:
            since = datetime.date.today() - datetime.timedelta(days=RECENT_DAYS)
            found = list(self._search({OPTIONAL[STUDY_DATE]: f"{since:%Y%m%d}-99991231"}))
        else:
            found = self._follow(self._change)
        interval = RECENT_INTERVAL_S if self._change is None else CHANGES_INTERVAL_S
        self._next_at = time.monotonic() + interval
        return found

    def hurry(self) -> None:
        """Look again in the next round."""
        self._next_at = -math.inf

    def _search(self, filters: dict[str, str]) -> Iterator[InstanceUids]:
        for page in self._client.search({"Modality": MODALITY, **filters}, []):
            instances = (Instance.from_json(attributes) for attributes in page)
            yield from (one.uids for one in instances if one is not None)

    def _follow(self, since: int) -> list[InstanceUids]:
        ids, newest = self._changes.new_instances(since, MAX_SINGLE)
        if ids is None:
            self._list_at = -math.inf
            return []
        instances = [self._changes.instance(id_) for id_ in ids]
        self._change = newest
        return [one.uids for one in instances if one is not None and one.modality == MODALITY]
