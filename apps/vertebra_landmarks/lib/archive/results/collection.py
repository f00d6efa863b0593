"""The parts of a run joined: its rows one by one, the CSV tables of ``scripts/predict.py``, and a summary."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...spine.atomic_write import atomic_write
from ..output import Output
from ..plan import Plan, part_file
from .record import ImageRecord
from .schema import ResultRow, decode_part
from .tables import TABLES, result_rows

IMAGES = "images.csv"
"""Table with a row per entry: index, source, columns of the manifest, and how the image was done."""
_OF_IMAGE = ("image", "refused", "seconds", "model_digest")
_NUMBER = re.compile(r"\d[\d.,]*")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_REASON = 100


def read_rows(plan: Plan, output: Output) -> Iterator[ResultRow]:
    """All rows of the parts that are done, in the order of the archive.

    Raises:
        ValueError: a part is damaged, of another version, or has not exactly the entries of the plan.
        OSError: it cannot be read.
    """
    for number in sorted(plan.done(output)):
        name = part_file(number)
        rows = list(decode_part(output.read(name), plan.columns, name))
        first = number * plan.part_size
        if [row.entry.index for row in rows] != list(range(first, first + plan.size_of(number))):
            raise ValueError(f"{name} in {output.place} has not the entries of the plan: remove it and run again")
        yield from rows


@dataclass
class Summary:
    """What a run has found, over all images; values that the summary's plots need are kept as numbers.

    Attributes:
        planned: images of the plan.
        done: images whose part exists.
        reasons: refused images by reason; numbers in reasons are left out.
        largest_deg: largest Cobb angle of each image with landmarks.
        half_width_deg: of the 90 % interval of that angle, NaN where it is not known.
        names_right: chance that the names are right, NaN where it is not known.
        warned: images with a warning.
        seconds: over all images, of reading and predicting.
    """

    planned: int
    done: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    largest_deg: list[float] = field(default_factory=list)
    half_width_deg: list[float] = field(default_factory=list)
    names_right: list[float] = field(default_factory=list)
    warned: int = 0
    seconds: float = 0.0

    def add(self, record: ImageRecord) -> None:
        """Count an image."""
        self.done += 1
        self.seconds += record.seconds
        if record.refused is not None:
            self.reasons[_NUMBER.sub("#", record.refused)[:MAX_REASON]] += 1
            return
        self.warned += bool(record.warnings)
        largest = max(record.curves, key=lambda curve: curve.angle_deg, default=None)
        self.largest_deg.append(np.nan if largest is None else largest.angle_deg)
        width = None if largest is None else largest.half_width_deg
        self.half_width_deg.append(np.nan if width is None else width)
        self.names_right.append(np.nan if record.names_right is None else record.names_right)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "images": {
                "planned": self.planned,
                "done": self.done,
                "with_landmarks": len(self.largest_deg),
                "refused": self.reasons.total(),
                "with_warnings": self.warned,
            },
            "refusals": dict(self.reasons.most_common()),
            "largest_angle_deg": _quantiles(self.largest_deg),
            "half_width_deg": _quantiles(self.half_width_deg),
            "names_right": _quantiles(self.names_right),
            "seconds_per_image": self.seconds / self.done if self.done else None,
        }


def _quantiles(values: Iterable[float]) -> dict[str, float] | None:
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return None
    quantiles = zip(QUANTILES, np.quantile(known, QUANTILES), strict=True)
    return {f"{share:.0%}": round(float(value), 3) for share, value in quantiles}


def write_tables(plan: Plan, output: Output, folder: Path) -> Summary:
    """Write the CSV tables of a run, each as a whole.

    Images are called by their sources; sources that occur more than once have the index of the entry behind ``#``.

    Args:
        plan: of the run.
        output: of the run.
        folder: for the tables, made when missing.

    Raises:
        ValueError: see ``read_rows``.
        OSError: a table cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    repeated = _repeated_sources(plan, output)
    summary = Summary(plan.entries)
    with contextlib.ExitStack() as stack:
        headers: Mapping[str, Iterable[str]] = {**TABLES, IMAGES: ("index", "source", *plan.columns, *_OF_IMAGE)}
        writers = {name: csv.writer(stack.enter_context(_table(folder / name))) for name in headers}
        for name, header in headers.items():
            writers[name].writerow(header)
        for entry, record, digest in read_rows(plan, output):
            image = f"{entry.source}#{entry.index}" if _key(entry.source) in repeated else entry.source
            for name, rows in result_rows(image, record).items():
                writers[name].writerows(rows)
            of_image = image, record.refused or "", f"{record.seconds:.3f}", digest
            writers[IMAGES].writerow((entry.index, entry.source, *entry.values, *of_image))
            summary.add(record)
    return summary


@contextlib.contextmanager
def _table(path: Path) -> Iterator[Any]:
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        yield stream


def _repeated_sources(plan: Plan, output: Output) -> set[bytes]:
    """Keys of the sources that occur more than once in the plan."""
    seen: set[bytes] = set()
    repeated: set[bytes] = set()
    for part in plan.read_parts(output):
        for entry in part.entries:
            key = _key(entry.source)
            (repeated if key in seen else seen).add(key)
    return repeated


def _key(source: str) -> bytes:
    return hashlib.blake2b(source.encode(errors="surrogatepass"), digest_size=12).digest()


def missing_parts(plan: Plan, output: Output) -> list[str]:
    """Names of the files of parts that are not done."""
    done = plan.done(output)
    return [part_file(number) for number in range(plan.parts) if number not in done]
