"""Orthanc's log of changes, which tells of new instances at once; other servers are asked by date instead."""

from __future__ import annotations

from typing import Any

from .client import PacsClient, PacsError
from .instances import Instance

PAGE = 1_000


class ChangeFeed:
    """The log of an Orthanc, which also lists what has been stored by others than DICOMweb.

    Args:
        client: of the PACS.
        url: of its DICOMweb service, which lies one level below Orthanc's own interface.
    """

    def __init__(self, client: PacsClient, url: str) -> None:
        self._client, self._root = client, url.rsplit("/", 1)[0]

    def newest(self) -> int | None:
        """Number of the newest change; ``None`` where the server is no Orthanc, or does not show its log."""
        try:
            system = self._client.get_json(f"{self._root}/system")
            if not isinstance(system, dict) or not {"ApiVersion", "DatabaseVersion"} <= set(system):
                return None
            return _number(self._client.get_json(f"{self._root}/changes?last"))
        except PacsError:
            if self._client.failure is not None:
                raise
            return None  # it fails at this address only

    def new_instances(self, since: int, limit: int) -> tuple[list[str] | None, int]:
        """Orthanc's ids of the instances that are new since a change, and the number of the newest change.

        Args:
            since: number of the last change that is known.
            limit: of the number of ids.

        Returns:
            ``None`` instead of the ids where there are more, or where the log does not begin there or has begun anew.

        Raises:
            PacsError: the server does not answer.
        """
        found: dict[str, None] = {}
        last = since
        while True:
            answer = self._client.get_json(f"{self._root}/changes?since={last}&limit={PAGE}")
            newest = _number(answer)
            if newest is None or newest < last:
                return None, newest or 0
            for change in answer.get("Changes", []):
                if change.get("ChangeType") == "NewInstance":
                    found[str(change.get("ID"))] = None
            if len(found) > limit:
                newest = _number(self._client.get_json(f"{self._root}/changes?last"))
                return None, newest or last
            is_stuck, last = newest == last, newest
            if answer.get("Done", True) or is_stuck:
                return list(found), last

    def instance(self, id_: str) -> Instance | None:
        """An instance by Orthanc's id; ``None`` where it is gone again."""
        if not id_.replace("-", "").isalnum():
            return None
        tags = self._client.get_json(f"{self._root}/instances/{id_}/simplified-tags")
        return Instance.from_keywords(tags) if isinstance(tags, dict) else None


def _number(answer: Any) -> int | None:
    last = answer.get("Last") if isinstance(answer, dict) else None
    return last if isinstance(last, int) else None
