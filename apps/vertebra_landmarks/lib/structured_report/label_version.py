"""One version of a label with everything that it carries, and its digest."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..spine.labels.markups import LANDMARK_INDEX, label_of
from ..spine.schema import POINTS, VERTEBRAE, Spine

GRID = 1024
"""Parts of a pixel that positions are rounded to: what a 32-bit float holds up to 16,384 pixels."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
FINAL = "final"
"""Tag of a label that a person has submitted."""


@dataclass(frozen=True)
class LabelVersion:
    """A version of a label.

    Attributes:
        spine: points in stored pixels of the image.
        tag: of the label, such as "final" or "original".
        version: its number, from 1.
        digest: SHA-256 of the label file in 64 hexadecimal digits.
        info: what is noted of it (``user``, ``ts``, ``seconds``, ``edits``, ``model_version``, ...), as JSON has it.
        touched: names of points that a person has placed, such as "T7" and "T7 TL"; ``None`` where not known.

    Raises:
        ValueError: the version is below 1, the tag is empty, the digest is none, or a name is not one of a point.
    """

    spine: Spine
    tag: str
    version: int
    digest: str
    info: Mapping[str, Any] = field(default_factory=dict)
    touched: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.version < 1 or not self.tag:
            raise ValueError(f"a label version needs a tag and a number from 1 up, got {self.tag!r}, {self.version}")
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError("the digest of a label version must be 64 hexadecimal digits")
        unknown = (self.touched or frozenset()) - set(LANDMARK_INDEX)
        if unknown:
            raise ValueError(f"touched point {min(unknown)!r:.40} is neither like 'T7' nor like 'T7 TL'")

    @property
    def annotator(self) -> str:
        """Who made it, "" where nobody is named."""
        named = (self.info.get(key) for key in ("annotator", "user"))
        return next((name for name in named if isinstance(name, str) and name.strip()), "")

    @property
    def touched_mask(self) -> np.ndarray:
        """``(V, P)`` which points a person has placed; none where that is not known."""
        mask = np.zeros((len(VERTEBRAE), len(POINTS)), bool)
        for name in self.touched or ():
            mask[LANDMARK_INDEX[name]] = True
        return mask

    def on_grid(self) -> LabelVersion:
        """The same with its points on the grid of the reports."""
        return replace(self, spine=on_grid(self.spine))

    def content_digest(self, image_uid: str) -> str:
        """SHA-256 of all values and of the image's SOP Instance UID.

        Raises:
            ValueError: ``info`` holds a value that JSON has not, such as NaN.
        """
        points = [
            [label_of(vertebra, point), p.x, p.y, float(p.score), p.error, p.is_visible]
            for vertebra, point, p in self.spine.points()
            if p is not None
        ]
        touched = None if self.touched is None else sorted(self.touched)
        content = [image_uid, self.tag, self.version, self.digest, points, touched, self.info]
        return hashlib.sha256(json_of(content).encode()).hexdigest()


@dataclass(frozen=True)
class DocumentReference:
    """A DICOM instance that another one refers to; its UIDs are left out of ``repr``, since they lead to a patient."""

    sop_class_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)


@dataclass(frozen=True)
class Verification:
    """Attestation of a report by a person accountable for it; submitting a label is none.

    Attributes:
        observer: name of the person.
        organization: that they answer to.
        when: local time of the attestation.
    """

    observer: str
    organization: str
    when: datetime.datetime


def json_of(value: Any) -> str:
    """A value as JSON in ASCII, the same for equal values.

    Raises:
        ValueError: JSON has no such value.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("information about a label must be JSON, without NaN") from None


def on_grid(spine: Spine) -> Spine:
    """The same landmarks at positions that a report holds exactly.

    Positions are rounded to 1/1024 pixel and, beyond 16,384 pixels, to what a 32-bit float holds; so rounded, they
    come back from a report bit for bit. Rounding twice changes nothing.
    """
    return spine.moved_to(from_graphic(to_graphic(spine.xy)))


def to_graphic(xy: np.ndarray) -> np.ndarray:
    """``(..., 2)`` Graphic Data, whose pixel (0, 0) has its center at (0.5, 0.5), from stored pixels; on the grid."""
    graphic: np.ndarray = (np.round(np.asarray(xy, float) * GRID) / GRID + 0.5).astype(np.float32)
    return graphic


def from_graphic(graphic: np.ndarray) -> np.ndarray:
    """``(..., 2)`` stored pixels from Graphic Data."""
    xy: np.ndarray = np.asarray(graphic, np.float32).astype(float) - 0.5
    return xy
