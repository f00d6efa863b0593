"""One image in many files: whatever the container, orientation, polarity, sample type, padding or spacing, same points.

Each file says how it is meant. Its points must be those of the plain PNG after the known transform, in stored pixels,
within 0.5 px (1 px for lossy files); a wrong answer without a word fails.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lib.image_io import read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.phantoms import PhantomSpec, render_phantom
from lib.spine.geometry import mirror_points, scaling, transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT
from lib.spine.measurement.report import curves_of
from lib.spine.schema import Spine

from ...image_io.image_files import stored_as, write_dicom, write_photograph, write_tiff, write_volume

HEIGHT, WIDTH = 800, 400
LOSSLESS_PX, LOSSY_PX = 0.5, 1.0
MIRRORED_PX = 6.0  # the second network does not see a mirror image as the exact mirror image
SHOWN = (
    render_phantom(PhantomSpec(HEIGHT, WIDTH, seed=5, curves=((6, 35.0), (13, -25.0)))).pixels.astype(np.uint16) * 16
)
"""The upright image, 12-bit values."""

LANCZOS = Image.Resampling.LANCZOS

pytestmark = pytest.mark.slow


def remembered(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which computes each input once: most files give the networks the very same one."""
    known: dict[tuple[Any, ...], Any] = {}

    def answer(*inputs: Any) -> Any:
        key = tuple((one.shape, one.numpy().tobytes()) if isinstance(one, torch.Tensor) else one for one in inputs)
        if key not in known:
            known[key] = compute(*inputs)
        return known[key]

    return answer


@pytest.fixture(scope="module")
def predict() -> Callable[[Path], np.ndarray]:
    """``(V, P, 2)`` points of a file."""
    predictor = LandmarkPredictor(DEFAULT_WEIGHTS_FILE, torch.device("cpu"))
    predictor.network.forward = remembered(predictor.network.forward)  # type: ignore[method-assign]
    assert predictor.refinement is not None
    corner_network = predictor.refinement.network
    corner_network.among = remembered(corner_network.among)  # type: ignore[method-assign]
    return lambda path: predictor.predict(read_radiograph(path)).spine.xy


@pytest.fixture(scope="module")
def truth(predict: Callable[[Path], np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """``(V, P, 2)`` of the plain PNG."""
    path = tmp_path_factory.mktemp("plain") / "plain.png"
    Image.fromarray(SHOWN).save(path)
    return predict(path)


def write_turned(folder: Path, container: str, exif: int) -> Path:
    """The image in another raster, in a file that says so."""
    pixels, path = stored_as(SHOWN, exif), folder / f"a.{container}"
    right, down = (EXIF_ORIENTATIONS[exif].matrix(1, 1)[:2, axis].astype(int).tolist() for axis in (0, 1))
    if container == "png":
        return write_photograph(path, pixels, exif)
    if container == "jpg":
        return write_photograph(path, (pixels >> 4).astype(np.uint8), exif, quality=97)
    if container == "tif":
        return write_tiff(path, pixels, exif)
    if container == "dcm":
        words = {(1, 0): "L", (-1, 0): "R", (0, 1): "F", (0, -1): "H"}
        return write_dicom(
            path, pixels, BitsStored=12, PatientOrientation=[words[right[0], right[1]], words[tuple(down)]]
        )
    if container == "nii.gz":  # a coronal plane, W x 1 x H
        return write_volume(path, pixels, (right[0], 0, -right[1]), (down[0], 0, -down[1]), (0.3, 0.3), axes=(0, 2))
    return write_volume(path, pixels, (*right, 0), (*down, 0), (0.3, 0.3))


CONTAINERS = {"png": LOSSLESS_PX, "jpg": LOSSY_PX, "tif": LOSSLESS_PX, "dcm": LOSSLESS_PX}
CONTAINERS |= {"nii.gz": LOSSLESS_PX, "nrrd": LOSSLESS_PX}
ORIENTATIONS = list(itertools.product(CONTAINERS, EXIF_ORIENTATIONS))


@pytest.mark.parametrize(("container", "exif"), ORIENTATIONS)
def test_orientation(
    predict: Callable[[Path], np.ndarray], truth: np.ndarray, tmp_path: Path, container: str, exif: int
) -> None:
    path = write_turned(tmp_path, container, exif)
    orientation, tolerance = EXIF_ORIENTATIONS[exif], CONTAINERS[container]
    if exif == 2 and container in ("dcm", "nii.gz"):  # the patient seen from the back, who is upright as stored
        radiograph = read_radiograph(path)
        assert (radiograph.orientation, radiograph.image_left_is) == (UPRIGHT, "left")
        expected, tolerance = mirror_points(truth, WIDTH), MIRRORED_PX
    else:
        height, width = stored_as(SHOWN, exif).shape
        expected = transform_points(np.linalg.inv(orientation.matrix(width, height)), truth)
    assert np.abs(predict(path) - expected).max() <= tolerance


SAMPLES = {
    "uint8": (SHOWN >> 4).astype(np.uint8),
    "uint16": SHOWN,
    "int16": (SHOWN.astype(int) - 2048).astype(np.int16),
    "uint32": SHOWN.astype(np.uint32) * 1000,
    "int32": (SHOWN.astype(np.int32) - 2048) * 1000,
    "float32": (SHOWN / 4095).astype(np.float32),
    "float64": SHOWN / 4095 - 0.5,
    "12 of 16 bits": SHOWN,
}


def write_polarity(folder: Path, sample: str, is_inverted: bool) -> Path:
    """A TIFF, or a DICOM file for 12 bits, with bright bone, or with dark bone and a header that says so."""
    pixels = SAMPLES[sample]
    if sample == "12 of 16 bits":
        shown = (4095 - pixels, "MONOCHROME1") if is_inverted else (pixels, "MONOCHROME2")
        return write_dicom(folder / "a.dcm", *shown, BitsStored=12)
    if not is_inverted:
        return write_tiff(folder / "a.tif", pixels)
    inverted = ~pixels if pixels.dtype.kind in "ui" else 1 - pixels
    return write_tiff(folder / "a.tif", inverted, photometric="miniswhite")


POLARITIES = list(itertools.product(SAMPLES, (False, True)))


@pytest.mark.parametrize(("sample", "is_inverted"), POLARITIES)
def test_polarity_and_sample_type(
    predict: Callable[[Path], np.ndarray], truth: np.ndarray, tmp_path: Path, sample: str, is_inverted: bool
) -> None:
    assert np.abs(predict(write_polarity(tmp_path, sample, is_inverted)) - truth).max() <= LOSSLESS_PX


def padded(value: int, pixels: np.ndarray = SHOWN) -> np.ndarray:
    """The image with an eighth of its width filled."""
    filled = pixels.copy()
    filled[:, : WIDTH // 8] = value
    return filled


def write_bright_margin(path: Path) -> Path:
    """A PNG without a word about its margin."""
    return write_photograph(path.with_suffix(".png"), padded(65535))


PADDINGS: dict[str, Callable[[Path], Path]] = {
    "a value": lambda path: write_dicom(path, padded(65535), BitsStored=16, PixelPaddingValue=65535),
    "a range": lambda path: write_dicom(
        path, padded(65530), BitsStored=16, PixelPaddingValue=65520, PixelPaddingRangeLimit=65535
    ),
    "of MONOCHROME1": lambda path: write_dicom(
        path, padded(0, 4095 - SHOWN), "MONOCHROME1", BitsStored=12, PixelPaddingValue=0
    ),
    "a margin": write_bright_margin,
}


@pytest.mark.parametrize("kind", PADDINGS)
def test_padding(predict: Callable[[Path], np.ndarray], tmp_path: Path, kind: str) -> None:
    dark = write_photograph(tmp_path / "dark.png", padded(int(np.percentile(SHOWN[:, WIDTH // 8 :], 0.5))))
    assert np.abs(predict(PADDINGS[kind](tmp_path / "a.dcm")) - predict(dark)).max() <= LOSSLESS_PX


SPACINGS = [0.1, 0.143, 0.2, 1.5]


@pytest.mark.parametrize("size", SPACINGS)
def test_spacing(predict: Callable[[Path], np.ndarray], truth: np.ndarray, tmp_path: Path, size: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", SHOWN, BitsStored=12, PixelSpacing=[size, size])
    assert np.abs(predict(path) - truth).max() <= LOSSLESS_PX
    millimetres = read_radiograph(path).millimetres
    assert millimetres is not None
    assert (millimetres.x, millimetres.y) == (size, size)


SHAPES = [(1.25, 1), (0.8, 6)]
"""Width over height of a pixel of the upright image, and how that is stored."""


@pytest.mark.parametrize(("aspect", "exif"), SHAPES)
def test_pixels_that_are_not_square(
    predict: Callable[[Path], np.ndarray], truth: np.ndarray, tmp_path: Path, aspect: float, exif: int
) -> None:
    across, down = min(1.0, 1 / aspect), min(1.0, aspect)
    shown = Image.fromarray(SHOWN.astype(np.float32)).resize((round(WIDTH * across), round(HEIGHT * down)), LANCZOS)
    pixels = stored_as(np.clip(np.rint(np.asarray(shown)), 0, 4095).astype(np.uint16), exif)
    orientation, (height, width) = EXIF_ORIENTATIONS[exif], pixels.shape
    wide, high = (0.2, 0.2 * aspect) if orientation.quarter_turns % 2 else (0.2 * aspect, 0.2)
    stated = {} if exif == 1 else {"PatientOrientation": ["F", "R"]}
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, PixelSpacing=[high, wide], **stated)
    found, frame = predict(path), read_radiograph(path).frame
    assert (frame.orientation or UPRIGHT) == orientation
    expected = transform_points(np.linalg.inv(orientation.matrix(width, height)) @ scaling(across, down), truth)
    assert np.abs(found - expected).max() <= LOSSLESS_PX
    angles = [[one.angle_deg for one in curves_of(Spine.from_arrays(xy), of)] for xy, of in (
        (found, frame), (truth, ImageFrame(WIDTH, HEIGHT))
    )]  # fmt: skip
    assert angles[0] == pytest.approx(angles[1], abs=0.3)


def test_74_cases_are_tried() -> None:
    assert len(ORIENTATIONS) + len(POLARITIES) + len(PADDINGS) + len(SPACINGS) + len(SHAPES) == 74
