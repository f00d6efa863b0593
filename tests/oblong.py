"""A phantom whose pixels are made wider or higher than they are high or wide, in files that say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from lib.phantoms import Phantom, PhantomSpec, render_phantom
from lib.spine.geometry import scaling, transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.schema import Spine

from .image_io.image_files import write_dicom, write_tiff, write_volume

WIDTH, HEIGHT = 400, 800
ASPECTS = (1.25, 0.8)
"""Width over height of a pixel."""
FRAME = ImageFrame(WIDTH, HEIGHT)
"""Of the phantom with square pixels."""


@dataclass(frozen=True, eq=False)
class Oblong:
    """The phantom with pixels that are not square.

    Attributes:
        aspect: width over height of a pixel.
        pixels: ``(H, W)``.
        spine: the exact points in these pixels.
    """

    aspect: float
    pixels: np.ndarray
    spine: Spine


@cache
def square() -> Phantom:
    """The phantom, with two curves."""
    return render_phantom(PhantomSpec(HEIGHT, WIDTH, seed=5, curves=((6, 40.0), (13, -25.0))))


@cache
def oblong(aspect: float) -> Oblong:
    """The phantom with fewer columns, or rows, for an aspect of more or less than 1."""
    phantom = square()
    across, down = min(1.0, 1 / aspect), min(1.0, aspect)
    size = round(WIDTH * across), round(HEIGHT * down)
    assert size == (WIDTH * across, HEIGHT * down)
    pixels = np.asarray(Image.fromarray(phantom.pixels).resize(size, Image.Resampling.LANCZOS))
    return Oblong(aspect, pixels, phantom.spine.moved_to(transform_points(scaling(across, down), phantom.spine.xy)))


def _jpeg(path: Path, one: Oblong) -> Path:
    Image.fromarray(one.pixels).save(path, quality=97, dpi=(100, round(100 * one.aspect)))
    return path


def _bmp(path: Path, one: Oblong) -> Path:
    Image.fromarray(one.pixels).save(path, dpi=(1000, 1000 * one.aspect))
    return path


def _png(path: Path, one: Oblong) -> Path:
    Image.fromarray(one.pixels).save(path, dpi=(2540, 2540 * one.aspect))
    return path


FILES: dict[str, Callable[[Path, Oblong], Path]] = {
    "PixelSpacing": lambda p, o: write_dicom(p / "a.dcm", o.pixels, PixelSpacing=[0.2, 0.2 * o.aspect]),
    "ImagerPixelSpacing": lambda p, o: write_dicom(p / "a.dcm", o.pixels, ImagerPixelSpacing=[0.2, 0.2 * o.aspect]),
    "NominalScannedPixelSpacing": lambda p, o: write_dicom(
        p / "a.dcm", o.pixels, NominalScannedPixelSpacing=[0.2, 0.2 * o.aspect]
    ),
    "PixelAspectRatio": lambda p, o: write_dicom(p / "a.dcm", o.pixels, PixelAspectRatio=[100, round(100 * o.aspect)]),
    "NIfTI": lambda p, o: write_volume(
        p / "a.nii.gz", o.pixels, (1, 0, 0), (0, 0, -1), (0.2 * o.aspect, 0.2), axes=(0, 2)
    ),
    "NRRD": lambda p, o: write_volume(p / "a.nrrd", o.pixels, (1, 0, 0), (0, 1, 0), (0.2 * o.aspect, 0.2)),
    "PNG": lambda p, o: _png(p / "a.png", o),
    "JPEG": lambda p, o: _jpeg(p / "a.jpg", o),
    "BMP": lambda p, o: _bmp(p / "a.bmp", o),
    "TIFF": lambda p, o: write_tiff(
        p / "a.tif", o.pixels, resolution=(100, 100 * o.aspect), resolutionunit="INCH"
    ),
    "TIFF without a unit": lambda p, o: write_tiff(
        p / "a.tif", o.pixels, resolution=(100, 100 * o.aspect), resolutionunit="NONE"
    ),
}  # fmt: skip
"""Writes the file into a folder; by what states the shape of its pixels."""
