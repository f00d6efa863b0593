"""What came of a load: no acknowledged label is lost or stored twice, no image lent twice, and times by request."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.server.store.datastore import StudiesDatastore
from lib.spine.labels.markups import from_markups, parse_json

from .annotator import Log, Sample

MARK = "mark"
"""Metadata of a label by which its annotator knows it."""


def losses(folder: Path, database: str, logs: Sequence[Log]) -> list[str]:
    """A sentence for each acknowledged label that is not stored exactly as acknowledged, and exactly once."""
    store = StudiesDatastore(str(folder), database)
    found = []
    try:
        saved = {one.mark: one for log in logs for one in log.saved}
        for image in sorted({one.image for one in saved.values()}):
            versions = store.label_versions(image, "final")
            numbers = [version["version"] for version in versions]
            if numbers != sorted(set(numbers)):
                found.append(f"versions of {image} do not ascend: {numbers}")
            marks = Counter(version["info"].get(MARK) for version in versions)
            found += [f"{mark} is stored {count} times" for mark, count in marks.items() if count > 1]
            if [version["is_current"] for version in versions] != [False] * (len(versions) - 1) + [True]:
                found.append(f"the newest version of {image} is not its label")
            elif Path(store.get_label_uri(image, "final")).read_bytes() != store.label_version(
                image, "final", numbers[-1]
            ):
                found.append(f"the file of the label of {image} is not its newest version")
            by_mark = {version["info"].get(MARK): version["version"] for version in versions}
            for one in (one for one in saved.values() if one.image == image):
                if by_mark.get(one.mark) != one.version:
                    found.append(f"{one.mark} was acknowledged as version {one.version} and is {by_mark.get(one.mark)}")
                    continue
                spine = from_markups(parse_json(store.label_version(image, "final", one.version), "label"))
                if abs(spine.xy[0, 0, 0] - one.x) > 1e-6:
                    found.append(f"version {one.version} of {image} holds other points than were sent")
    finally:
        store.close()
    return found


def lent_twice(logs: Iterable[Log]) -> list[str]:
    """Images that were lent to two annotators at once: none was given back, and all are labelled within the time."""
    by_image: dict[str, list[float]] = defaultdict(list)
    for log in logs:
        for at, image in log.lent:
            by_image[image].append(at)
    return [image for image, times in sorted(by_image.items()) if len(times) > 1]


def figures(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """By kind of request: how many, milliseconds until the answer was read, those of the server alone, and statuses."""
    by_kind: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_kind[sample.kind].append(sample)
    table = {}
    for kind, some in sorted(by_kind.items()):
        answered = [1000 * one.seconds for one in some if one.status and one.status < 500]
        of_server = [one.server_ms for one in some if one.server_ms is not None and one.status < 500]
        table[kind] = {
            "requests": len(some),
            "ms": _percentiles(answered),
            "server_ms": _percentiles(of_server),
            "statuses": dict(Counter(str(one.status) for one in some)),
        }
    return table


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {f"p{p}": round(float(np.percentile(values, p)), 1) for p in (50, 95, 99)}


def failures(samples: Iterable[Sample]) -> Counter[str]:
    """Answers of 500 and above, and those that never came, by status and sentence."""
    return Counter(
        f"{one.status} {one.kind}: {_sentence(one.detail)}" for one in samples if not one.status or one.status >= 500
    )


def _sentence(detail: str) -> str:
    try:
        return str(json.loads(detail)["detail"])[:120]
    except (ValueError, KeyError, TypeError):
        return detail[:120]
