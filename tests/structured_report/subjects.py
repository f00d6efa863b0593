"""Label versions of phantoms, as DX images, for the tests of the reports."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset

from harness.phantom_dicom import Examination, phantom_dx
from lib.phantoms import random_spec, render_phantom
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.markups import label_of
from lib.spine.schema import POINTS, VERTEBRAE, Spine
from lib.structured_report import LabelVersion, ReportSubject, SourceImage

IDENTITY = "5b0f64c1-6f59-4c1b-9f0d-1f8e7d3f0c55"
HEIGHT, WIDTH = 700, 360
NAMES = [label_of(vertebra, point) for vertebra in VERTEBRAE for point in POINTS]
INFO: dict[str, Any] = {
    "user": "reader-2",
    "annotator": "Дмитрий Zoë",
    "ts": 1764493200,
    "submitted": "2026-11-30T09:00:00Z",
    "seconds": 140.3,
    "edits": 6,
    "touched": 3,
    "model": "vertebra_landmarks",
    "model_version": "v7",
    "model_digest": "0123456789abcdef",
    "names_right": 0.9312345678901234,
    "tilt_half_widths_deg": {name: 1.5 + v / 10 if v else None for v, name in enumerate(VERTEBRAE)},
    "orientation": {"turn_deg": 0, "mirrored": False},
    "warnings": [{"code": "x", "message": 'said "so"\n', "vertebrae": ["T1"]}],
    "client": "3D Slicer, VertebraLandmarks",
    "image_left_is": "right",
    "own key": [1, None, True, 0.5, "ä"],
    "a number": 12,
}


@functools.cache
def phantom(seed: int) -> tuple[FileDataset, Spine]:
    """A DX image of a phantom, and its landmarks."""
    drawn = render_phantom(random_spec(seed, HEIGHT, WIDTH))
    pixels = drawn.pixels.astype(np.uint16) * 16 if seed % 2 else drawn.pixels
    examination = Examination(f"P{seed:03d}", f"Phantom^{seed:03d}")
    return phantom_dx(pixels, examination, seed), drawn.spine.cut_to(WIDTH, HEIGHT)


def varied(spine: Spine, seed: int) -> Spine:
    """The same with points that are moved by fractions of pixels, hidden, absent or off the image, and estimates."""
    rng = np.random.default_rng(seed)
    shape = (len(VERTEBRAE), len(POINTS))
    xy = spine.xy + rng.normal(0, 2, (*shape, 2))
    states = rng.permutation([*["absent"] * 5, *["hidden"] * 5, *["off"] * 3, *["as it is"] * 72]).reshape(shape)
    xy[states == "absent"], xy[states == "off", 0] = np.nan, -40.123
    errors = np.where(rng.random(shape) < 0.5, rng.gamma(2, 3, shape), np.nan)
    visible = spine.visible & (states == "as it is")
    return Spine.from_arrays(xy, rng.random(shape), errors, visible | (states == "absent"))


def subject(seed: int, spine: Spine | None = None, version: int = 3, **changes: Any) -> ReportSubject:
    """A corrected label of a phantom; ``changes`` are fields of ``LabelVersion``."""
    header, drawn = phantom(seed)
    fields: dict[str, Any] = {
        "spine": drawn if spine is None else spine,
        "tag": "final",
        "version": version,
        "digest": hashlib.sha256(f"{seed} {version}".encode()).hexdigest(),
        "info": INFO,
        "touched": frozenset(NAMES[seed % 7 :: 9]),
        **changes,
    }
    return ReportSubject(LabelVersion(**fields), SourceImage.from_header(header), IDENTITY)


FRAME = ImageFrame(WIDTH, HEIGHT, image_left_is="right")
"""Of the phantoms, seen from the front."""
