"""Agreement of a study as rows of tables; NaN and what is not defined are empty cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spine.schema import VERTEBRAE
from .paired_readings import PairedReading, mean_present
from .reliability import Estimate, Reliability
from .resampling import mean_with_interval, share_with_interval
from .study_agreement import QUANTITIES, Agreement, Comparison

Row = dict[str, Any]
ALL_LEVELS = "all"


def angle_rows(found: Agreement) -> Iterator[Row]:
    """A row per comparison and angle: limits of agreement and reliability."""
    for comparison in found.comparisons:
        for quantity in QUANTITIES:
            figures = comparison.figures(quantity)
            if figures is not None:
                limits, reliability = figures
                yield {
                    **_who(comparison),
                    "angle": quantity,
                    "images": limits.count,
                    **_estimate("bias_deg", limits.bias),
                    "sd_deg": _plain(limits.deviation),
                    **_estimate("lower_limit_deg", limits.lower),
                    **_estimate("upper_limit_deg", limits.upper),
                    **_reliability(reliability),
                }


def overall_rows(found: Agreement) -> Iterator[Row]:
    """A row per group of readings: reliability of the largest angle over all readers."""
    for what, reliability in found.overall.items():
        yield {
            "readings": what,
            "images": reliability.images,
            "readings_per_image": _plain(reliability.readings),
            **_reliability(reliability),
        }


def _reliability(found: Reliability) -> Row:
    return {
        **_estimate("icc_2_1", found.icc_2_1),
        **_estimate("icc_1_1", found.icc_1_1),
        **_estimate("icc_3_1", found.icc_3_1),
        **_estimate("sem_deg", found.sem),
        **_estimate("mdc_deg", found.mdc),
    }


def corner_rows(found: Agreement) -> Iterator[Row]:
    """A row per comparison and level, and one for all levels: distances of corners."""
    for comparison in found.comparisons:
        pairs = comparison.pairs
        named, bodies, mm = (
            np.array([getattr(pair, name) for pair in pairs]) for name in ("corners_px", "bodies_px", "bodies_mm")
        )
        for level in (*VERTEBRAE, ALL_LEVELS):
            columns = slice(None) if level == ALL_LEVELS else slice(VERTEBRAE.index(level), VERTEBRAE.index(level) + 1)
            means = mean_present(bodies[:, columns], axis=1)
            has = np.isfinite(means)
            clusters = [pair.first.cluster for pair, is_there in zip(pairs, has, strict=True) if is_there]
            same_bodies = bodies[:, columns][np.isfinite(bodies[:, columns])]
            median, high = np.percentile(same_bodies, [50, 95]) if same_bodies.size else (math.nan, math.nan)
            yield {
                **_who(comparison),
                "level": level,
                "images": int(has.sum()),
                **_estimate("mean_px", mean_with_interval(means[has], clusters)),
                "median_px": _plain(median),
                "p95_px": _plain(high),
                "mean_mm": _plain(_mean_of_images(mm[:, columns])),
                "same_name_mean_px": _plain(_mean_of_images(named[:, columns])),
            }


def _mean_of_images(values: np.ndarray) -> float:
    """Mean of the images' means, whose vertebrae may be more or fewer; ``(n, V)`` values, NaN where there is none."""
    return float(mean_present(mean_present(values, axis=1)))


def end_rows(found: Agreement) -> Iterator[Row]:
    """A row per comparison and end: how often the same vertebra was taken, of the curves that both readings have."""
    for comparison in found.comparisons:
        shifts = np.array([curves.end_shifts for pair in comparison.pairs for curves in pair.curves]).reshape(-1, 2)
        for end, column in zip(("upper", "lower"), shifts.T, strict=True):
            counts = Counter(np.abs(column).tolist())
            yield {
                **_who(comparison),
                "end": end,
                "curves": len(column),
                "same": counts[0],
                "one_level": counts[1],
                "more": len(column) - counts[0] - counts[1],
                **_estimate("same_share", share_with_interval(counts[0], len(column))),
                "mean_levels": _plain(float(np.abs(column).mean())) if len(column) else "",
            }


def name_rows(found: Agreement) -> Iterator[Row]:
    """A row per comparison: names shifted by a level, and curves that one reading has alone."""
    for comparison in found.comparisons:
        shifted = sum(pair.shift != 0 for pair in comparison.pairs)
        yield {
            **_who(comparison),
            "images": len(comparison.pairs),
            "names_shifted": shifted,
            **_estimate("names_shifted_share", share_with_interval(shifted, len(comparison.pairs))),
            "curves_in_both": sum(len(pair.curves) for pair in comparison.pairs),
            "curves_in_one": sum(pair.unmatched_curves for pair in comparison.pairs),
        }


def model_rows(found: Agreement) -> Iterator[Row]:
    """A row per quantity: the model against the readers."""
    for one in found.spreads:
        yield {
            "quantity": one.quantity,
            "images": one.images,
            "patients": one.clusters,
            **_estimate("model_to_reader", one.model_to_reader),
            **_estimate("reader_to_reader", one.reader_to_reader),
            **_estimate("difference", one.difference),
            "margin": "" if one.margin is None else one.margin,
            "verdict": one.verdict,
        }


def pair_rows(found: Agreement) -> Iterator[Row]:
    """A row per comparison and image: what all figures are made of, for a statistics programme."""
    for comparison in found.comparisons:
        for pair in comparison.pairs:
            yield {**_who(comparison), "image": pair.first.image, **_pair(pair)}


def _pair(pair: PairedReading) -> Row:
    first, second = pair.angles_deg or (math.nan, math.nan)
    curves = [
        f"{one.first.upper_end}-{one.first.lower_end} {one.first.angle_deg:.1f} / "
        f"{one.second.upper_end}-{one.second.lower_end} {one.second.angle_deg:.1f}"
        for one in pair.curves
    ]
    return {
        "first_deg": _plain(first),
        "second_deg": _plain(second),
        "difference_deg": _plain(first - second),
        "corners_px": _plain(float(mean_present(pair.bodies_px))),
        "names_shift": pair.shift,
        "curves_in_both": "; ".join(curves),
        "curves_in_one": pair.unmatched_curves,
    }


TABLES = {
    "angles": angle_rows,
    "overall": overall_rows,
    "corners": corner_rows,
    "end_vertebrae": end_rows,
    "names": name_rows,
    "model": model_rows,
    "pairs": pair_rows,
}
"""Rows by name of the table."""


def _who(comparison: Comparison) -> Row:
    return {"comparison": comparison.kind, "first": comparison.first, "second": comparison.second}


def _estimate(name: str, found: Estimate) -> Row:
    return {name: _plain(found.value), f"{name}_low": _plain(found.low), f"{name}_high": _plain(found.high)}


def _plain(value: float) -> float | str:
    return round(float(value), 4) if math.isfinite(value) else ""
