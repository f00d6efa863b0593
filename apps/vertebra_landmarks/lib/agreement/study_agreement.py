"""Agreement of a study: between readers, of each reader with the own repeats, and of the model with the readers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..spine.measurement.cobb import REGIONS
from .bland_altman import LimitsOfAgreement, limits_of_agreement
from .curve_matching import largest_by_region
from .model_spread import ANGLE, CORNERS, Spread, spread
from .paired_readings import REPEAT, PairedReading, StudyReading
from .reliability import Reliability, reliability_of_groups, reliability_of_table

INTER, INTRA, MODEL = "inter-reader", "intra-reader", "model"
LARGEST = "largest"
QUANTITIES = (LARGEST, *REGIONS)
"""The largest angle of either reading, and of each region the largest curve that both have."""
MIN_IMAGES = 3
"""Fewer pairs give no figures."""
_LISTED = 3


@dataclass(frozen=True, eq=False)
class Comparison:
    """All images that two readers have read, or one reader twice, or a reader and the model.

    Attributes:
        kind: one of ``INTER``, ``INTRA`` and ``MODEL``.
        first: name of the first reader, or of the model.
        second: of the second; the same of repeats.
        pairs: one per image; differences are first minus second, of repeats the earlier minus the later one.
    """

    kind: str
    first: str
    second: str
    pairs: list[PairedReading]

    @property
    def title(self) -> str:
        """Such as "ada - ben" and "ada, first - repeat"."""
        return f"{self.first}, first - repeat" if self.kind == INTRA else f"{self.first} - {self.second}"

    def angles(self, quantity: str) -> np.ndarray:
        """``(n, 2)`` degrees of the images that have them, in the order of ``angles_by_image``."""
        return np.array(list(self.angles_by_image(quantity).values()), dtype=float).reshape(-1, 2)

    def angles_by_image(self, quantity: str) -> dict[str, tuple[float, float]]:
        """Degrees of both readings by image, of the images that have them.

        Args:
            quantity: one of ``QUANTITIES``.
        """
        found = {}
        for pair in self.pairs:
            if quantity == LARGEST:
                angles = pair.angles_deg
            else:
                curves = largest_by_region(pair.curves).get(quantity)
                angles = None if curves is None else (curves.first.angle_deg, curves.second.angle_deg)
            if angles is not None:
                found[pair.first.image] = angles
        return found

    def figures(self, quantity: str) -> tuple[LimitsOfAgreement, Reliability] | None:
        """Limits of agreement and reliability of an angle; ``None`` where fewer than three images have it."""
        angles = self.angles(quantity)
        if len(angles) < MIN_IMAGES:
            return None
        return limits_of_agreement(*angles.T), reliability_of_table(angles)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What the readings of a study say about each other.

    Attributes:
        readers: without the model.
        model: its name; ``None`` without.
        images: how many were read.
        comparisons: of readers, then of repeats, then with the model.
        overall: reliability of the largest angle by what it is of, as a phrase.
        spreads: the model against the readers.
        left_out: what was left out before, as sentences, which are the first of the notes.
        notes: what a reader of the figures has to know, as sentences.
    """

    readers: tuple[str, ...]
    model: str | None
    images: int
    comparisons: list[Comparison]
    overall: Mapping[str, Reliability]
    spreads: list[Spread]
    left_out: tuple[str, ...]
    notes: list[str]


def agreement(
    readings: Iterable[StudyReading],
    model: str | None = None,
    margin_deg: float | None = None,
    margin_px: float | None = None,
    left_out: Sequence[str] = (),
) -> Agreement:
    """Compare all readings of a study.

    Args:
        readings: in any order. Between readers and with the model the first of each reader counts, unless it is a
            repeat: then the reader's first one is not among them.
        model: name under which the model's points are listed as a reader.
        margin_deg: by how many degrees the model may be farther from the readers than they are from each other.
        margin_px: the same in pixels for the corners.
        left_out: sentences on readings that are not among them, see ``selection``.

    Raises:
        ValueError: there is nothing to compare; a sentence.
    """
    by_image: dict[str, dict[str, list[StudyReading]]] = defaultdict(lambda: defaultdict(list))
    for one in sorted(readings, key=lambda one: (one.image, one.reader, one.number)):
        by_image[one.image][one.reader].append(one)
    readers = tuple(sorted({name for image in by_image.values() for name in image} - {model}))
    comparisons = _comparisons(by_image, readers, model)
    if not comparisons:
        raise ValueError(" ".join([*left_out, _nothing_to_compare(by_image, readers, model)]))
    firsts = [
        {name: first for name, made in image.items() if name != model and (first := _first(made)) is not None}
        for image in by_image.values()
    ]
    with_model = [
        (image[model][0], list(by_reader.values()))
        for image, by_reader in zip(by_image.values(), firsts, strict=True)
        if model is not None and model in image
    ]
    spreads = [spread(ANGLE, with_model, margin_deg), spread(CORNERS, with_model, margin_px)]
    return Agreement(
        readers,
        model,
        len(by_image),
        comparisons,
        _overall(by_image, firsts, readers, model),
        [one for one in spreads if one is not None],
        tuple(left_out),
        list(left_out)
        + _notes([one for image in by_image.values() for made in image.values() for one in made], comparisons, model),
    )


def _first(made: Sequence[StudyReading]) -> StudyReading | None:
    """The first reading of an image by a reader, for whom the image was new; ``None`` where it is not among these."""
    return None if made[0].kind == REPEAT else made[0]


def _comparisons(
    by_image: Mapping[str, Mapping[str, list[StudyReading]]], readers: Sequence[str], model: str | None
) -> list[Comparison]:
    def between(kind: str, first: str, second: str) -> Comparison:
        both = [image for image in by_image.values() if first in image and second in image]
        pairs = [(_first(image[first]), _first(image[second])) for image in both]
        known = [PairedReading(one, other) for one, other in pairs if one is not None and other is not None]
        return Comparison(kind, first, second, known)

    def repeated(name: str) -> Comparison:
        twice = [image[name] for image in by_image.values() if name in image and len(image[name]) > 1]
        return Comparison(INTRA, name, name, [PairedReading(made[0], made[1]) for made in twice])

    found = [between(INTER, *pair) for pair in combinations(readers, 2)]
    found += [repeated(name) for name in readers]
    found += [between(MODEL, model, name) for name in readers] if model is not None else []
    return [comparison for comparison in found if comparison.pairs]


def _overall(
    by_image: Mapping[str, Mapping[str, list[StudyReading]]],
    firsts: Sequence[Mapping[str, StudyReading]],
    readers: Sequence[str],
    model: str | None,
) -> dict[str, Reliability]:
    """Reliability of the largest angle over all readers."""
    angles = [{name: one.largest_angle_deg for name, one in first.items()} for first in firsts]
    groups = [[angle for angle in image.values() if angle is not None] for image in angles]
    repeats = [
        [angle for one in made if (angle := one.largest_angle_deg) is not None]
        for image in by_image.values()
        for name, made in image.items()
        if name != model
    ]
    found = {}
    for what, values in (("between readers", groups), ("within readers", repeats)):
        values = [group for group in values if len(group) > 1]
        if len(values) >= MIN_IMAGES:
            found[what] = reliability_of_groups(values)
    complete = [row for image in angles if None not in (row := [image.get(name) for name in readers])]
    if len(readers) > 2 and len(complete) >= MIN_IMAGES:
        found["between readers, images read by all"] = reliability_of_table(np.array(complete, dtype=float))
    return found


def _nothing_to_compare(
    by_image: Mapping[str, Mapping[str, list[StudyReading]]], readers: Sequence[str], model: str | None
) -> str:
    if not readers:
        return "there are no readings of readers: agreement needs images that were read twice"
    if len(readers) == 1 and model is None:
        return (
            f"only {readers[0]!r} has read, and no image ({len(by_image)} in all) twice: agreement needs a second "
            "reader, or repeats by the same one"
        )
    if any(one.kind == REPEAT for image in by_image.values() for made in image.values() for one in made):
        return "no image has first readings of two readers: repeats are compared with the same reader's readings alone"
    parts = []
    for name in (*readers, *([] if model is None else [model])):
        own = [image for image, made in by_image.items() if name in made]
        parts.append(f"{name!r} has {', '.join(map(repr, own[:_LISTED]))}{' ...' * (len(own) > _LISTED)}")
    return f"no image was read twice; {'; '.join(parts)}: are these other names of the same images?"


def _notes(readings: Sequence[StudyReading], comparisons: Sequence[Comparison], model: str | None) -> list[str]:
    notes = []
    by_readers = [one for one in readings if one.reader != model]
    without = [one for one in readings if one.largest_angle_deg is None]
    if without:
        listed = ", ".join(f"{one.image!r} by {one.reader!r}" for one in without[:_LISTED])
        notes.append(
            f"{len(without)} of {len(readings)} readings have fewer than three vertebrae with all corners, and so no "
            f"angle: {listed}{' ...' * (len(without) > _LISTED)}."
        )
    aided = sum(bool(one.model_version) for one in by_readers)
    if aided:
        notes.append(
            f"{aided} of {len(by_readers)} readings began with a model's points: readers then agree better with each "
            "other and with the model than readers who place all points themselves."
        )
    for comparison in comparisons:
        angles = comparison.angles(LARGEST)
        if len(angles) < MIN_IMAGES:
            notes.append(f"{comparison.title}: {len(angles)} images in common have an angle, {MIN_IMAGES} are needed.")
        elif np.ptp(angles) == 0:
            notes.append(f"{comparison.title}: all angles are equal, so that no intraclass correlation is defined.")
    return notes
