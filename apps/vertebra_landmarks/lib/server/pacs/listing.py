"""Lists the instances of a PACS and judges them by the filter of the site."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from .client import GoneError, PacsClient
from .image_filter import ImageFilter
from .instances import BODY_PART, OPTIONAL, SEARCHED, SERIES_DESCRIPTION, STUDY_DATE, STUDY_DESCRIPTION, VIEW, Instance

MAX_PROBES = 10
"""Instances whose attributes are fetched to learn whether the PACS leaves some out of its search results."""
_FIRST_DATE, _LAST_DATE = datetime.date(1900, 1, 1), datetime.date(9999, 12, 31)


class Judged(NamedTuple):
    """An instance, and why it does not pass the filter; ``None`` where it does."""

    instance: Instance
    reason: str | None


class Listing:
    """Searches by modality and date, and the filter on what is found.

    A PACS may leave out of its search results what the filter needs. Then the attributes of each instance in question
    are fetched; whether it does so is learnt from a few instances, and remembered.

    Args:
        client: of the PACS.
        image_filter: of the site.
    """

    def __init__(self, client: PacsClient, image_filter: ImageFilter) -> None:
        self._client, self._filter = client, image_filter
        self._returned: set[str] = set()
        self._withheld: set[str] = set()
        self._probes: dict[str, int] = {}

    def pages(self, since: datetime.date | None = None) -> Iterator[list[Judged]]:
        """All instances of the modalities, judged, in pages.

        Args:
            since: only studies of this date or later.

        Raises:
            PacsError: the PACS does not answer as it should; what was returned before is true.
        """
        first, last = max(since or _FIRST_DATE, self._filter.from_date or _FIRST_DATE), self._filter.to_date
        dates = {}
        if first != _FIRST_DATE or last is not None:
            dates = {OPTIONAL[STUDY_DATE]: f"{first:%Y%m%d}-{last or _LAST_DATE:%Y%m%d}"}
        for modality in self._filter.modality:
            for page in self._client.search({"Modality": modality, **dates}, list(SEARCHED)):
                instances = [Instance.from_json(attributes) for attributes in page]
                yield [self.judged(instance) for instance in instances if instance is not None]

    def judged(self, instance: Instance) -> Judged:
        """Judge an instance by the filter; attributes that the search may have left out are fetched."""
        self._returned.update(set(OPTIONAL) - instance.absent)
        reason = self._filter.why_not(instance)
        in_question = {tag for tag in instance.absent & self._needed(instance, reason) if self._may_be_withheld(tag)}
        if not in_question:
            return Judged(instance, reason)
        try:
            whole = Instance.from_json(self._client.attributes(instance.uids))
        except GoneError:
            return Judged(instance, reason)
        if whole is None or whole.uids != instance.uids:
            return Judged(instance, reason)
        for tag in in_question:
            self._probes[tag] = self._probes.get(tag, 0) + 1
        self._withheld.update(instance.absent - whole.absent)
        whole = replace(whole, modality=whole.modality or instance.modality)
        return Judged(whole, self._filter.why_not(whole))

    def _needed(self, instance: Instance, reason: str | None) -> frozenset[str]:
        """Tags that may change the verdict on an instance."""
        rules = self._filter
        if instance.modality not in rules.modality or instance.is_for_processing:
            return frozenset()
        needed = {BODY_PART} if rules.body_part else set()
        if rules.description or rules.not_description:
            needed |= {STUDY_DESCRIPTION, SERIES_DESCRIPTION}
        if rules.view:
            needed.add(VIEW)
        if rules.from_date or rules.to_date:
            needed.add(STUDY_DATE)
        return frozenset(needed)

    def _may_be_withheld(self, tag: str) -> bool:
        if tag in self._withheld:
            return True
        return tag not in self._returned and self._probes.get(tag, 0) < MAX_PROBES
