"""How well the readings of a study agree, for its page: calculated when a reading has changed, else as before."""

from __future__ import annotations

import threading
from typing import Any

from ....agreement.methods import methods_text, results_text
from ....agreement.selection import unaided, unusable
from ....agreement.study_agreement import QUANTITIES, Agreement, agreement
from ....agreement.tables import TABLES
from ...store.datastore import StudiesDatastore
from .agreement_input import readings_of_folder
from .reading_rows import ReadingRows

MAX_PROBLEMS = 100
"""Sentences of readings that were left out."""
_Versions = tuple[tuple[str, int, str, str, int], ...]


class StudyAgreement:
    """Agreement of the readings of a studies folder.

    Args:
        store: the studies folder.
        version: of this program, for the methods paragraph.
    """

    def __init__(self, store: StudiesDatastore, version: str) -> None:
        self._store, self._version = store, version
        self._rows = ReadingRows(store.context)
        self._lock = threading.Lock()
        self._cached: dict[bool, tuple[_Versions, dict[str, Any]]] = {}

    def of(self, is_unaided: bool = False) -> dict[str, Any]:
        """Agreement of all submitted readings as plain values.

        Args:
            is_unaided: leave out readings that began with a model's points.

        Returns:
            ``tables`` by name, each a list of rows; ``plots``, the angles of both readings of each comparison by image;
            ``readers``, ``images``, ``methods``, ``results``; ``problems``, a sentence for each reading that was left
            out. Where nothing can be compared, ``sentence`` says why, and the others are not there.

        Raises:
            PlanError: the folder has a study plan that cannot be read.
        """
        with self._lock:
            versions = self._versions()
            cached = self._cached.get(is_unaided)
            if cached is None or cached[0] != versions:
                cached = versions, self._calculated(is_unaided)
                if not cached[1]["problems"]:  # an image that cannot be read now may be there next time
                    self._cached[is_unaided] = cached
            return cached[1]

    def _versions(self) -> _Versions:
        with self._store.context.database.reading(snapshot=True) as connection:
            found = self._rows.load(connection)
        return tuple(
            sorted(
                (image.image, one.number, one.reader, one.tag, one.version)
                for image in found.values()
                for one in image.readings
                if one.is_submitted
            )
        )

    def _calculated(self, is_unaided: bool) -> dict[str, Any]:
        problems: list[str] = []
        readings, _ = readings_of_folder(self._store, problems)
        left_out = {"problems": problems[:MAX_PROBLEMS], "left_out": len(problems)}
        sentences = unusable(len(problems))
        if is_unaided:
            readings, filtered = unaided(readings)
            sentences += filtered
        try:
            found = agreement(readings, left_out=sentences)
        except ValueError as error:
            return {"sentence": str(error), **left_out}
        return {
            "sentence": "",
            "readers": list(found.readers),
            "images": found.images,
            "tables": {name: list(rows_of(found)) for name, rows_of in TABLES.items()},
            "plots": _plots(found),
            "methods": methods_text(found, self._version),
            "results": results_text(found),
            **left_out,
        }


def _plots(found: Agreement) -> list[dict[str, Any]]:
    """Angles of both readings by comparison, quantity and image, in degrees."""
    return [
        {
            "comparison": comparison.kind,
            "first": comparison.first,
            "second": comparison.second,
            "title": comparison.title,
            "angle": quantity,
            "points": [[image, round(a, 4), round(b, 4)] for image, (a, b) in angles.items()],
        }
        for comparison in found.comparisons
        for quantity in QUANTITIES
        if (angles := comparison.angles_by_image(quantity))
    ]
