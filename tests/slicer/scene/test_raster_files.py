"""What files of images say about orientation and density, as Pillow writes it and ITK reads it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from VertebraLandmarksLib.scene.raster_files import raster_geometry, raster_orientation
from VertebraLandmarksLib.spine.imaging.orientation import EXIF_ORIENTATIONS

pytestmark = pytest.mark.slicer

WIDTH, HEIGHT = 8, 6
PIXELS = np.arange(WIDTH * HEIGHT, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 5
RESOLUTION = {282: 300.0, 283: 150.0}


def itk_place(path: Path, value: int) -> np.ndarray:
    """Where ITK puts the pixel of that value."""
    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image).reshape(HEIGHT, WIDTH, -1)[..., 0]  # files with orientation become colour
    ((row, column),) = np.argwhere(values == value)
    return np.array(image.TransformIndexToPhysicalPoint((int(column), int(row))))


@pytest.mark.parametrize("is_big", [False, True], ids=["tiff", "bigtiff"])
@pytest.mark.parametrize("unit", [None, 1, 2, 3])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_pixels_of_tiff_files_lie_where_itk_puts_them(
    tmp_path: Path, orientation: int | None, unit: int | None, is_big: bool
) -> None:
    path, tags = tmp_path / "image.tif", dict(RESOLUTION)
    tags.update({} if orientation is None else {274: orientation})
    tags.update({} if unit is None else {296: unit})
    Image.fromarray(PIXELS).save(path, tiffinfo=tags, big_tiff=is_big)
    geometry = raster_geometry(path.read_bytes(), WIDTH, HEIGHT)
    assert geometry.source == ("density" if unit in (2, 3) else "none")
    for x, y in ((0, 0), (7, 0), (2, 5)):
        expected = itk_place(path, int(PIXELS[y, x]))
        assert geometry.to_physical(np.array([x, y]))[:2] == pytest.approx(expected[:2])


def jfif(path: Path, unit: int, density: tuple[int, int]) -> bytes:
    """A JPEG file with that density."""
    Image.fromarray(PIXELS).save(path, quality=95)
    content = bytearray(path.read_bytes())
    struct.pack_into(">BHH", content, content.index(b"JFIF\0") + 7, unit, *density)
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("density", [(72, 36), (0, 72), (300, 300)])
@pytest.mark.parametrize("unit", [0, 1, 2, 3])
def test_spacing_of_jpeg_files_is_that_of_itk(tmp_path: Path, unit: int, density: tuple[int, int]) -> None:
    content = jfif(tmp_path / "image.jpg", unit, density)
    expected = sitk.ReadImage(str(tmp_path / "image.jpg")).GetSpacing()[:2]
    assert raster_geometry(content, WIDTH, HEIGHT).spacing == pytest.approx(expected)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_png_and_bmp_files_have_one_millimetre_per_pixel_as_in_itk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(PIXELS).save(path, dpi=(96, 96))
    assert sitk.ReadImage(str(path)).GetSpacing()[:2] == (1.0, 1.0)
    assert raster_geometry(path.read_bytes(), WIDTH, HEIGHT).spacing == (1.0, 1.0)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_read(tmp_path: Path, suffix: str, value: int) -> None:
    path, exif = tmp_path / f"image.{suffix}", Image.Exif()
    exif[274] = value
    options: dict[str, Any] = {"tiffinfo": {274: value}} if suffix == "tif" else {"exif": exif}
    Image.fromarray(PIXELS).save(path, **options)
    assert raster_orientation(path.read_bytes()) == EXIF_ORIENTATIONS[value]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_a_file_that_says_nothing_is_of_no_orientation(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(PIXELS).save(path)
    assert raster_orientation(path.read_bytes()) is None


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_damaged_tags_raise_nothing(tmp_path: Path, suffix: str) -> None:
    path, exif = tmp_path / f"image.{suffix}", Image.Exif()
    exif[274], exif[282], exif[296] = 6, 300.0, 2
    Image.fromarray(PIXELS).save(path, **({"tiffinfo": exif} if suffix == "tif" else {"exif": exif}))
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content[: rng.integers(0, len(content))])
        for at in rng.integers(0, max(len(damaged), 1), 3) if damaged else ():
            damaged[at] = rng.integers(0, 256)
        raster_orientation(bytes(damaged))
        raster_geometry(bytes(damaged), WIDTH, HEIGHT)
