"""Whether the model lies inside the readers' spread: non-inferiority of model and reader to reader and reader.

Of each image with two readers and the model, the mean distance of the model from the readers minus the mean distance
of the readers from each other; then the mean over the images, with the interval of ``mean_with_interval``. A model that
errs as a reader does has a difference of zero. It is inside the readers' spread where the upper end of the 95 %
interval lies below a margin stated beforehand (a one-sided test at 2.5 %), outside where the lower end lies above it,
and nothing is shown otherwise. The comparison is that of Barnhart, Kosinski and Haber, J Biopharm Stat 17 (2007) 697
(individual agreement, with absolute in place of squared distances) and of Obuchowski, Subhas and Schoenhagen, Acad
Radiol 21 (2014) 1483 (interchangeability: reader and reader against reader and method, bootstrap by case).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .paired_readings import PairedReading, StudyReading, mean_present
from .reliability import Estimate
from .resampling import mean_with_interval

INSIDE, OUTSIDE, UNDECIDED = "inside", "outside", "undecided"
MIN_CLUSTERS = 20
"""Patients, or images of unknown ones, for a verdict: intervals of fewer hold the true value less often than stated."""
ANGLE, CORNERS = "largest angle (deg)", "corners of the same bodies (px)"
Distance = Callable[[StudyReading, StudyReading], float]
"""Of two readings of an image; NaN where one cannot be compared."""


@dataclass(frozen=True)
class Spread:
    """The model against the readers.

    Attributes:
        quantity: ``ANGLE`` or ``CORNERS``.
        images: how many have the model and two readers.
        clusters: how many patients they are of, as far as known.
        model_to_reader: mean distance.
        reader_to_reader: mean distance.
        difference: the first minus the second.
        margin: by how much the model may be farther away; ``None`` where not stated.
    """

    quantity: str
    images: int
    clusters: int
    model_to_reader: Estimate
    reader_to_reader: Estimate
    difference: Estimate
    margin: float | None

    @property
    def verdict(self) -> str:
        """``INSIDE``, ``OUTSIDE`` or ``UNDECIDED``; "" without a margin, or with fewer than ``MIN_CLUSTERS``."""
        if self.margin is None or self.clusters < MIN_CLUSTERS or not math.isfinite(self.difference.high):
            return ""
        if self.difference.high < self.margin:
            return INSIDE
        return OUTSIDE if self.difference.low > self.margin else UNDECIDED


def angle_distance(one: StudyReading, other: StudyReading) -> float:
    """Absolute difference of the largest angles in degrees."""
    first, second = one.largest_angle_deg, other.largest_angle_deg
    return math.nan if first is None or second is None else abs(first - second)


def corner_distance(one: StudyReading, other: StudyReading) -> float:
    """Mean distance of the corners of the same bodies in pixels."""
    return float(mean_present(PairedReading(one, other).bodies_px))


DISTANCES: Mapping[str, Distance] = {ANGLE: angle_distance, CORNERS: corner_distance}


def spread(
    quantity: str, images: Sequence[tuple[StudyReading, Sequence[StudyReading]]], margin: float | None
) -> Spread | None:
    """Compare the model with the readers.

    Args:
        quantity: ``ANGLE`` or ``CORNERS``.
        images: of each image the model's reading, and one reading of each reader.
        margin: in the unit of the quantity; ``None`` for the interval alone.

    Returns:
        ``None`` where no image has the model and two readers.

    Raises:
        ValueError: the margin is not a number from 0 up.
    """
    if margin is not None and not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"the margin must be a number from 0 up, got {margin}")
    distance, found, clusters = DISTANCES[quantity], [], []
    for model, readers in images:
        to_model = np.array([distance(model, reader) for reader in readers])
        between = np.array([distance(one, other) for one, other in combinations(readers, 2)])
        pair = float(mean_present(to_model)), float(mean_present(between))
        if all(map(math.isfinite, pair)):
            found.append(pair)
            clusters.append(model.cluster if model.patient else readers[0].cluster)
    if not found:
        return None
    to_readers, among = np.array(found).T
    difference = mean_with_interval(to_readers - among, clusters)
    model_to_reader, reader_to_reader = (mean_with_interval(values, clusters) for values in (to_readers, among))
    return Spread(quantity, len(found), len(set(clusters)), model_to_reader, reader_to_reader, difference, margin)
