"""Publish gate: whether a trained model replaces the served one, by errors on held-out images.

Without held-out images, by errors on training images: a model that does worse on these is broken.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...image_io import UnreadableImageError, read_radiograph
from ...learning.data import IMAGE, LABEL
from ...learning.data.labelled_items import points_of
from ...learning.data.transforms import file_of
from ...learning.prediction.predictor import LandmarkPredictor
from ...spine.geometry import center_distances

GATE, ALWAYS, NEVER = "gate", "always", "never"
"""When to publish: if the gate is passed, in any case, or not at all."""
MIN_HELD_OUT = 5
"""Fewer held-out images are a weak check."""


@dataclass(frozen=True)
class Gate:
    """Measurement and decision.

    Attributes:
        before: mean error of whole predictions with the served model over the images, in center distances, see
            ``item_errors``; ``None`` where there was no image to measure on.
        after: the same with the trained model.
        films: number of images compared; a stored key.
        films_better: on how many of them the error decreased.
        are_held_out: whether the model was not trained on them.
        seen: how many of them an earlier version was trained on.
        is_passed: whether the error did not increase.
        publish: what was requested: ``GATE``, ``ALWAYS`` or ``NEVER``.
        is_published: the decision.
        why: its reason as a sentence.
    """

    before: float | None
    after: float | None
    films: int
    films_better: int
    are_held_out: bool
    seen: int
    is_passed: bool
    publish: str
    is_published: bool
    why: str

    @property
    def is_weak(self) -> bool:
        """Whether there are too few images, or an earlier version was trained on some of them."""
        return not self.are_held_out or self.films - self.seen < MIN_HELD_OUT

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "unit": "steps", "is_weak": self.is_weak}


def measure(weights: Path, items: Sequence[Mapping[str, Any]], device: torch.device) -> np.ndarray:
    """``(N,)`` errors of a weight file on labelled items, see ``item_errors``.

    Raises:
        ValueError: it is no weight file that can be used.
        OSError: a file cannot be read.
    """
    return item_errors(LandmarkPredictor(weights, device), items)


def decide(
    before: np.ndarray,
    after: np.ndarray,
    trained_before: Collection[bool],
    publish: str,
    all_worse: bool = False,
    are_held_out: bool = True,
) -> Gate:
    """Compare two models image by image.

    Args:
        before: ``(N,)`` errors of the served model.
        after: ``(N,)`` those of the trained one on the same images. Images that the served model cannot predict are
            ignored; where only the trained one cannot, it does not pass.
        trained_before: ``(N,)`` whether an earlier version was trained on the image.
        publish: ``GATE``, ``ALWAYS`` or ``NEVER``.
        all_worse: whether every trained network did worse on these images by its own measure.
        are_held_out: whether the model was not trained on the images.
    """
    is_valid, after = np.isfinite(before), np.where(np.isfinite(after), after, np.inf)
    images, better = int(is_valid.sum()), int((after < before)[is_valid].sum())
    seen = int(np.asarray(list(trained_before), dtype=bool)[is_valid].sum())
    old, new = (float(errors[is_valid].mean()) if images else math.nan for errors in (before, after))
    is_measured = images > 0 and 2 * images >= len(before)
    is_passed = is_measured and not all_worse and not new > old
    is_published = publish == ALWAYS or (publish == GATE and is_passed)
    gate = Gate(
        before=old if images else None,
        after=new if images else None,
        films=images,
        films_better=better,
        are_held_out=are_held_out,
        seen=seen,
        is_passed=is_passed,
        publish=publish,
        is_published=is_published,
        why="",
    )
    return replace(gate, why=_describe(gate, len(before), all_worse))


def _describe(gate: Gate, count: int, all_worse: bool) -> str:
    kind, text = ("held-out", "") if gate.are_held_out else ("training", "No labelled image is held out; ")
    if not gate.films or 2 * gate.films < count or gate.before is None or gate.after is None:
        text += f"only {gate.films} of {count} {kind} images could be measured"
    else:
        change = "grew" if gate.after > gate.before else "did not grow"
        text += (
            f"the error on {gate.films} {kind} image{'s' * (gate.films > 1)} {change}: mean {gate.before:.4f} steps "
            f"before, {gate.after:.4f} after"
        )
        if not gate.are_held_out:
            text += "; images that it was trained on are a weak check"
        elif gate.films < MIN_HELD_OUT:
            text += "; so few images are a weak check"
        if all_worse:
            text += "; yet every network did worse by its own measure"
        if gate.are_held_out and gate.seen:
            text += f"; an earlier version was trained on {gate.seen} of them"
    text = text[0].upper() + text[1:]
    if gate.is_published == gate.is_passed:
        return f"{text}."
    return f"{text}; it was asked to publish {'in any case' if gate.publish == ALWAYS else 'nothing'}."


def item_errors(predictor: LandmarkPredictor, items: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Mean distance of the predicted points from the labelled ones, image by image.

    Args:
        predictor: with both networks.
        items: as ``labelled_items.read_item`` makes them.

    Returns:
        ``(N,)`` in steps, the mean distance between neighbouring labelled centers of the image: of the corners, or of
        the centers where none of the corners is labelled; NaN where the image cannot be predicted on.

    Raises:
        OSError: an image cannot be opened.
    """
    return np.array([_item_error(predictor, file_of(item[IMAGE]), np.asarray(item[LABEL])) for item in items])


def _item_error(predictor: LandmarkPredictor, image: Path, label: np.ndarray) -> float:
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # a network that went astray may say anything
            spine = predictor.locate(read_radiograph(image)).spine
    except UnreadableImageError:  # it may be too small to be predicted on
        return float("nan")
    labelled = points_of(label)
    off = np.linalg.norm(spine.xy - labelled, axis=-1)  # (V, P), the center first
    counted = off[:, 1:] if np.isfinite(off[:, 1:]).any() else off[:, 0]
    return float(np.nanmean(counted)) / float(np.nanmean(center_distances(labelled[:, 0])))
