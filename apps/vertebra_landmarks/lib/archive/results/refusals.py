"""Lists of the images without landmarks: one small JSON file per part that has any, written before the part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ..output import Output

REFUSED = "refused"
_READERS = 16


@dataclass(frozen=True)
class Refusal:
    """An image without landmarks.

    Attributes:
        source: of its entry.
        reason: a sentence.
        is_final: whether the reason is the image itself, so that another try would not help.
    """

    source: str
    reason: str
    is_final: bool


def write_refusals(output: Output, number: int, refusals: Sequence[Refusal]) -> None:
    """Write the list of a part; without refusals, remove an earlier one.

    Raises:
        OSError: it cannot be written.
    """
    if refusals:
        output.write(_file(number), json.dumps([asdict(refusal) for refusal in refusals], indent=1).encode())
    else:
        output.remove(_file(number))


def read_refusals(output: Output, numbers: Set[int]) -> dict[int, list[Refusal]]:
    """The lists of those of the parts that have any.

    Raises:
        ValueError: a list is damaged.
        OSError: it cannot be read.
    """
    names = output.names(REFUSED)
    listed = [number for number in sorted(numbers) if _file(number).rpartition("/")[2] in names]
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(listed, pool.map(lambda number: list(_read(output, number)), listed), strict=True))


def _read(output: Output, number: int) -> Iterable[Refusal]:
    try:
        return [Refusal(**values) for values in json.loads(output.read(_file(number)))]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{_file(number)} in {output.place} is damaged: remove it and the file of the part, and run again"
        ) from error


def _file(number: int) -> str:
    return f"{REFUSED}/part-{number:07d}.json"
