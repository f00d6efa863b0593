"""How far off a prediction may be: the networks' own estimate, calibrated by what was measured on other images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from ...spine.geometry import corners_of, midlines
from ...spine.measurement.angle_interval import interval_half_width
from .error_correlation import ErrorCorrelations

MIN_SPINES = 20
_BINS = 12
_PRIOR_COUNT = 0.5  # shifted and unshifted spines added to either end of the leads, so that no risk is 0 or 1
_COVERAGE = 0.9
_MAX_SLOPE = 2.0
_BELOW = 5.0  # the middle may lie so far below all leads: where they are all alike, the chance must still be small
_MIN_ERROR = 1e-6  # steps; a smaller one counts as this, since 0 has no logarithm

Knots = tuple[tuple[float, float], ...]
"""Said and measured error, in steps between vertebrae, both rising."""


@dataclass(frozen=True)
class ErrorModel:
    """From what the networks say to expected errors.

    Attributes:
        center: for centers, as the corner network states them and what was measured where the names were right.
        corner: the same for corners.
        naming_floor: chance of wrong names that remains however clear they seem to be.
        naming_bias, naming_slope: the rest of that chance is ``1 / (1 + exp(slope * lead - bias))``.
        tilt_factor: so many times the expected tilt error is as much as 90 % of the angles are off at most.
        correlations: what errors of some points say about those of others; ``None`` where that was not measured.
    """

    center: Knots
    corner: Knots
    naming_floor: float
    naming_bias: float
    naming_slope: float
    tilt_factor: float
    correlations: ErrorCorrelations | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the inverse of ``from_dict``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorModel:
        """Build it from plain values.

        Raises:
            ValueError: a value is missing, unknown, no number or out of its range, or knots do not rise.
        """
        try:
            center, corner = (tuple((float(a), float(b)) for a, b in values[name]) for name in ("center", "corner"))
            apart = ("center", "corner", "correlations")
            rest = {name: float(value) for name, value in values.items() if name not in apart}
            stored = values.get("correlations")
            correlations = None if stored is None else ErrorCorrelations.from_dict(stored)
            model = cls(center, corner, **rest, correlations=correlations)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the error model is not one of this project: {error}") from error
        for name, pairs in (("center", center), ("corner", corner)):
            table = np.array(pairs)
            if len(pairs) < 2 or not np.isfinite(table).all() or (np.diff(table, axis=0) < 0).any() or table.min() <= 0:
                raise ValueError(f"the error model's {name} needs two pairs of positive, rising numbers at least")
        if not all(map(math.isfinite, rest.values())) or not 0 <= model.naming_floor <= 1:
            raise ValueError("the error model has numbers that are not finite, or a floor outside 0...1")
        if model.naming_slope < 0 or model.tilt_factor < 0:
            raise ValueError("the error model's slope and tilt factor must not be negative")
        return model

    def misnamed(self, lead: float) -> float:
        """Chance in 0...1 that the names are off, by the evidence of ``level_names.names_evidence``."""
        exponent = float(np.clip(self.naming_slope * lead - self.naming_bias, -50, 50))
        return self.naming_floor + (1 - self.naming_floor) / (1 + math.exp(exponent))

    def local(self, raw: np.ndarray, step: float) -> np.ndarray:
        """Expected errors where the names are right.

        Args:
            raw: ``(V, P)`` as the corner network states them, pixels.
            step: mean distance of neighbouring centers, pixels.

        Returns:
            ``(V, P)`` pixels.
        """
        shares = raw / step
        return step * np.concatenate([_measured(shares[:, :1], self.center), _measured(shares[:, 1:], self.corner)], 1)

    def tilt_half_widths(self, points: np.ndarray, local: np.ndarray) -> np.ndarray:
        """Half widths of each vertebra's part in the 90 % interval of an angle, ``(V,)`` degrees.

        The interval of an angle between two vertebrae has the half width ``hypot`` of theirs.

        Args:
            points: ``(V, P, 2)`` pixels.
            local: ``(V, P)`` expected errors where the names are right, pixels.
        """
        return self.tilt_factor * expected_tilts(points, local)


def _measured(raw: np.ndarray, knots: Knots) -> np.ndarray:
    """Between knots in proportion to logarithms, beyond them by the ratio at the last one."""
    x, y = np.log(np.array(knots)).T
    logs = np.log(np.maximum(raw, _MIN_ERROR))
    beyond = np.minimum(logs - x[0], 0) + np.maximum(logs - x[-1], 0)
    measured: np.ndarray = np.exp(np.interp(logs, x, y) + beyond)
    return measured


def expected_tilts(points: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Expected error of each vertebra's tilt: that of its corners over its width, ``(V,)`` degrees."""
    width = np.linalg.norm(midlines(corners_of(points)), axis=-1)
    tilts: np.ndarray = np.degrees(np.arctan2(errors[:, 1:].mean(1), np.maximum(width, 1.0)))
    return tilts


@dataclass(frozen=True)
class CalibrationCase:
    """A prediction beside its label, from which an error model is measured.

    Attributes:
        raw: ``(V, P)`` as the corner network states them, pixels.
        observed: ``(V, P)`` distances from the label, pixels.
        step: mean distance of neighbouring predicted centers, pixels.
        lead: how much speaks for the names (``level_names.names_evidence``).
        is_shifted: whether all names are off by one level or more.
        points: ``(V, P, 2)`` predicted pixels.
        ends: indices of the end vertebrae of the largest curve.
        angle_error: absolute error of the largest angle, degrees.
    """

    raw: np.ndarray
    observed: np.ndarray
    step: float
    lead: float
    is_shifted: bool
    points: np.ndarray
    ends: tuple[int, int]
    angle_error: float


def fit_error_model(cases: list[CalibrationCase]) -> ErrorModel:
    """Measure an error model on images that the networks were not trained on.

    Raises:
        ValueError: too few images, or fewer than that many with right names.
    """
    right = [case for case in cases if not case.is_shifted]
    if len(right) < MIN_SPINES:
        shifted = len(cases) - len(right)
        reason = f": on {shifted} of {len(cases)} the predicted names are off by a level or more" if shifted else ""
        raise ValueError(
            f"an error model needs at least {MIN_SPINES} images with right names, and {len(right)} are left{reason}"
        )
    knots = []
    for part in (slice(0, 1), slice(1, None)):
        raw = np.concatenate([(case.raw[:, part] / case.step).ravel() for case in right])
        observed = np.concatenate([(case.observed[:, part] / case.step).ravel() for case in right])
        knots.append(_fit_knots(raw, observed))
    leads = np.array([case.lead for case in cases])
    floor, bias, slope = _fit_naming(leads, np.array([case.is_shifted for case in cases]))
    model = ErrorModel(knots[0], knots[1], floor, bias, slope, 1.0)
    ratios = []
    for case in right:
        tilts = expected_tilts(case.points, model.local(case.raw, case.step))
        ratios.append(case.angle_error / interval_half_width(tilts, case.ends))
    factor = float(np.quantile(ratios, _COVERAGE, method="weibull"))  # unbiased: holds so often on new images
    return ErrorModel(knots[0], knots[1], floor, bias, slope, factor)


def _fit_knots(raw: np.ndarray, observed: np.ndarray) -> Knots:
    """Means of both in bins of as many points each, made to rise."""
    order = np.argsort(raw, kind="stable")
    bins = np.array_split(order, _BINS)
    x = np.array([raw[part].mean() for part in bins])
    y = np.array([observed[part].mean() for part in bins])
    y = isotonic_regression(y, weights=[len(part) for part in bins]).x
    table = np.maximum(np.stack([np.maximum.accumulate(x), y], 1), _MIN_ERROR)
    return tuple((float(a), float(b)) for a, b in table)


def _fit_naming(leads: np.ndarray, is_shifted: np.ndarray) -> tuple[float, float, float]:
    """Floor, bias and slope with the highest likelihood on a grid, with half an image of either kind at both ends."""
    ends = np.array([leads.min(), leads.min(), leads.max(), leads.max()])
    x = np.concatenate([leads, ends])
    y = np.concatenate([is_shifted, [True, False, True, False]]).astype(float)
    w = np.concatenate([np.ones(len(leads)), np.full(4, _PRIOR_COUNT)])
    floors = np.linspace(0, 0.3, 16)
    middles = np.linspace(leads.min() - _BELOW, leads.max(), 41)
    best, fitted = -math.inf, (0.0, 0.0, 0.0)
    for slope in np.linspace(0, 1, 41) ** 2 * _MAX_SLOPE:
        rest = 1 / (1 + np.exp(np.clip(slope * (x - middles[:, None]), -50, 50)))  # (middles, images)
        p = (floors[:, None, None] + (1 - floors[:, None, None]) * rest).clip(1e-6, 1 - 1e-6)
        likelihood = (w * (y * np.log(p) + (1 - y) * np.log(1 - p))).sum(-1)  # (floors, middles)
        i, j = np.unravel_index(likelihood.argmax(), likelihood.shape)
        if likelihood[i, j] > best:
            best, fitted = likelihood[i, j], (float(floors[i]), float(slope * middles[j]), float(slope))
    return fitted
