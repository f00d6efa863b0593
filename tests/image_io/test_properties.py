"""One image in any orientation, container, polarity, sample type, padding and spacing is the image of the plain PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from lib.image_io import Radiograph, read_radiograph
from lib.image_io.window import windowed
from lib.spine.imaging.orientation import UPRIGHT

from .image_files import asymmetric, lut, stored_as, write_dicom, write_photograph, write_tiff, write_volume

UPRIGHT_IMAGE = asymmetric()
DARK = int(np.percentile(UPRIGHT_IMAGE, 0.5, method="lower"))
L, R, P, A, H, F = (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)
LETTERS = {L: "L", R: "R", P: "P", A: "A", H: "H", F: "F"}


def directions(exif: int, down: tuple[int, int, int]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Where the rows and columns of a stored raster run to if those of the upright one run to L and ``down``."""
    places = stored_as(np.array([[0, 1], [2, 3]]), exif)
    step = {0: np.zeros(3), 1: np.array(L), 2: np.array(down), 3: np.add(L, down)}
    row = step[places[0, 1]] - step[places[0, 0]]
    column = step[places[1, 0]] - step[places[0, 0]]
    return tuple(row.astype(int).tolist()), tuple(column.astype(int).tolist())


def as_png(path: Path, exif: int) -> Path:
    return write_photograph(path.with_suffix(".png"), stored_as(UPRIGHT_IMAGE, exif), exif)


def as_jpeg(path: Path, exif: int) -> Path:
    stored = stored_as((UPRIGHT_IMAGE >> 4).astype(np.uint8), exif)
    return write_photograph(path.with_suffix(".jpg"), stored, exif, quality=98, dpi=(100, 100))


def as_tiff(path: Path, exif: int) -> Path:
    return write_tiff(path.with_suffix(".tif"), stored_as(UPRIGHT_IMAGE * 16, exif), exif, resolution=(100, 50))


def as_dicom(path: Path, exif: int) -> Path:
    orientation = [LETTERS[direction] for direction in directions(exif, F)]
    return write_dicom(path.with_suffix(".dcm"), stored_as(UPRIGHT_IMAGE, exif), PatientOrientation=orientation)


def as_coronal(suffix: str) -> Callable[[Path, int], Path]:
    return lambda path, exif: write_volume(
        path.with_suffix(suffix), stored_as(UPRIGHT_IMAGE, exif), *directions(exif, F), axes=(0, 2)
    )


def as_raster(suffix: str) -> Callable[[Path, int], Path]:
    return lambda path, exif: write_volume(
        path.with_suffix(suffix), stored_as(UPRIGHT_IMAGE, exif), *directions(exif, P)
    )


CONTAINERS = {
    "PNG": as_png,
    "JPEG": as_jpeg,
    "TIFF": as_tiff,
    "DICOM": as_dicom,
    "NIfTI": as_raster(".nii.gz"),
    "NIfTI coronal": as_coronal(".nii"),
    "NRRD": as_raster(".nrrd"),
    "NRRD coronal": as_coronal(".nrrd"),
}
STATES_SIDES = ("DICOM", "NIfTI coronal", "NRRD coronal")


def place_in_itk(path: Path) -> np.ndarray:
    """LPS millimetres of the brightest pixel, found by ITK alone."""
    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        values = values[..., 0]
    brightest = [int(i) for i in np.argwhere(values == values.max()).mean(axis=0)[::-1]]
    place = image.TransformIndexToPhysicalPoint(brightest)
    return np.array([*place, 0.0][:3])


def place_in_radiograph(radiograph: Radiograph) -> np.ndarray:
    pixels = radiograph.pixels
    row, column = (int(i) for i in np.argwhere(pixels == pixels.max()).mean(axis=0))
    return radiograph.geometry.to_physical(np.array([column, row]))


@pytest.mark.parametrize("exif", range(1, 9))
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_orientation_of_every_container_stands_upright_where_itk_has_it(
    tmp_path: Path, container: str, exif: int
) -> None:
    path = CONTAINERS[container](tmp_path / "a", exif)
    radiograph = read_radiograph(path)
    expected = {"JPEG": UPRIGHT_IMAGE >> 4, "TIFF": UPRIGHT_IMAGE * 16}.get(container, UPRIGHT_IMAGE)
    side = "right" if container in STATES_SIDES else None
    if container in STATES_SIDES and exif == 2:  # rows to R, columns to F: upright, seen from the back
        expected, side = expected[:, ::-1], "left"
    upright = (radiograph.orientation or UPRIGHT).upright_pixels(radiograph.pixels)
    np.testing.assert_allclose(upright.astype(int), expected, atol=6 if container == "JPEG" else 0)
    assert radiograph.image_left_is == side
    assert (radiograph.orientation_source == "none") == (radiograph.orientation is None)
    assert radiograph.warnings == ()
    np.testing.assert_allclose(place_in_radiograph(radiograph), place_in_itk(path), atol=1e-4)


TIFF_TYPES = (np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.float32, np.float64)
DICOM_TYPES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]] = {
    "8 bits": (lambda a: (a >> 4).astype(np.uint8), {}),
    "12 of 16 bits": (lambda a: a, {"BitsStored": 13}),
    "16 bits": (lambda a: a * np.uint16(15), {}),
    "32 bits": (lambda a: a.astype(np.uint32) * 100_000, {}),
    "signed 16 bits": (lambda a: a.astype(np.int16) - 1000, {}),
    "signed 13 of 16 bits": (lambda a: a.astype(np.int16) - 2000, {"BitsStored": 13}),
    "signed without the bits of the sign": (
        lambda a: ((a.astype(np.int16) - 2000) & 0x1FFF).astype(np.int16),
        {"BitsStored": 13},
    ),
    "left-aligned": (lambda a: a << 3, {"BitsStored": 13, "HighBit": 15}),
}


def assert_same_gray(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 1e-6) -> None:
    """The same image but for an offset and a positive factor."""
    gray = [(a.astype(float) - a.min()) / (float(a.max()) - float(a.min())) for a in (pixels, expected)]
    np.testing.assert_allclose(gray[0], gray[1], atol=tolerance)


@pytest.mark.parametrize("is_white_zero", [False, True], ids=["black is zero", "white is zero"])
@pytest.mark.parametrize("kind", TIFF_TYPES, ids=lambda kind: kind.__name__)
def test_bone_is_bright_in_every_sample_type_of_tiff(tmp_path: Path, kind: Any, is_white_zero: bool) -> None:
    expected = UPRIGHT_IMAGE >> 4 if kind is np.uint8 else UPRIGHT_IMAGE
    stored = (expected.max() + 7 - expected if is_white_zero else expected).astype(kind)
    if np.dtype(kind).kind == "f":
        stored = stored / kind(5000)
    path = write_tiff(tmp_path / "a.tif", stored, photometric="miniswhite" if is_white_zero else "minisblack")
    pixels = read_radiograph(path).pixels
    assert pixels.dtype == kind
    assert_same_gray(pixels, expected)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("kind", DICOM_TYPES)
def test_bone_is_bright_in_every_sample_type_of_dicom(tmp_path: Path, kind: str, photometric: str) -> None:
    make, tags = DICOM_TYPES[kind]
    shown = UPRIGHT_IMAGE if photometric == "MONOCHROME2" else 4095 - np.minimum(UPRIGHT_IMAGE, 4095)
    radiograph = read_radiograph(write_dicom(tmp_path / "a.dcm", make(shown), photometric, **tags))
    tolerance = 1 / 200 if kind == "8 bits" else 1e-6
    expected = UPRIGHT_IMAGE if photometric == "MONOCHROME2" else np.minimum(UPRIGHT_IMAGE, 4095)
    assert_same_gray(radiograph.pixels, expected, tolerance)
    assert radiograph.warnings == ()


FALLING = np.arange(5000)[::-1]
POLARITIES: dict[str, dict[str, Any]] = {
    "MONOCHROME1": {"photometric": "MONOCHROME1"},
    "rescale": {"RescaleSlope": -1, "RescaleIntercept": 5000},
    "fraction": {"RescaleSlope": -0.25, "RescaleIntercept": 5000.5},
    "modality LUT": {"ModalityLUTSequence": [lut(FALLING)]},
    "modality LUT of 13 bits": {"ModalityLUTSequence": [lut(FALLING, bits=13)]},
    "modality LUT with an offset": {"ModalityLUTSequence": [lut(FALLING[100:], first=100)]},
    "VOI LUT": {"VOILUTSequence": [lut(FALLING)]},
    "presentation LUT": {"PresentationLUTShape": "INVERSE"},
    "MONOCHROME1 and presentation LUT": {"photometric": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    "for processing": {"PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationshipSign": 1},
    "for processing, both": {
        "photometric": "MONOCHROME1",
        "PresentationIntentType": "FOR PROCESSING",
        "PixelIntensityRelationshipSign": 1,
    },
}


@pytest.mark.parametrize("tags", POLARITIES.values(), ids=POLARITIES.keys())
def test_every_statement_of_polarity_is_obeyed(tmp_path: Path, tags: dict[str, Any]) -> None:
    radiograph = read_radiograph(write_dicom(tmp_path / "a.dcm", (4999 - UPRIGHT_IMAGE).astype(np.uint16), **tags))
    assert_same_gray(radiograph.pixels, UPRIGHT_IMAGE)


def padded(value: int, where: str) -> np.ndarray:
    """The image beside padding."""
    image = UPRIGHT_IMAGE.astype(np.int64)
    if where == "around":
        return np.pad(image, ((9, 7), (5, 12)), constant_values=value)
    if where == "corners":
        y, x = np.mgrid[:120, :90]
        wide = np.pad(image, ((12, 12), (13, 13)), mode="edge")
        return np.where((x + y < 40) | (x + y > 170), value, wide)
    return np.pad(image, ((0, 0), (0, 8)), constant_values=value)


@pytest.mark.parametrize("where", ["at one side", "around", "corners"])
@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (65535, {"PixelPaddingValue": 65535}),
        (65535, {"PixelPaddingValue": 65535, "BitsStored": 13}),
        (63000, {"PixelPaddingValue": 60000, "PixelPaddingRangeLimit": 65535}),
        (65535, {}),
        (0, {"PixelPaddingValue": 0, "photometric": "MONOCHROME1"}),
        (-30000, {"PixelPaddingValue": -30000}),
        (-30000, {}),
    ],
    ids=["value", "value beyond the bits", "range", "no tag", "MONOCHROME1", "negative", "negative without a tag"],
)
def test_padding_is_dark_and_outside_the_gray_range(
    tmp_path: Path, value: int, tags: dict[str, Any], where: str
) -> None:
    stored = padded(value, where)
    expected = padded(DARK, where)
    tags = dict(tags)
    if "photometric" in tags:
        stored = np.where(stored == value, 0, 8191 - stored)
        tags["BitsStored"] = 13
    path = tmp_path / "a.dcm"
    pixels = read_radiograph(write_dicom(path, stored.astype(np.int16 if value < 0 else np.uint16), **tags)).pixels
    assert_same_gray(pixels, expected, tolerance=1e-3)  # the dark end of an image is no exact value
    np.testing.assert_allclose(windowed(pixels), windowed(expected), atol=1e-3)


@pytest.mark.parametrize("suffix", ["png", "tif", "nrrd", "nii.gz"])
def test_a_white_margin_of_other_formats_is_outside_the_gray_range(tmp_path: Path, suffix: str) -> None:
    stored, path = padded(65535, "around").astype(np.uint16), tmp_path / f"a.{suffix}"
    if suffix in ("png", "tif"):
        Image.fromarray(stored).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(stored), str(path))
    assert_same_gray(read_radiograph(path).pixels, padded(DARK, "around"))


@pytest.mark.parametrize("value", [0, 4060])
def test_collimation_within_the_gray_range_stays(tmp_path: Path, value: int) -> None:
    stored = padded(value, "around").astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, stored)


SPACINGS: dict[str, Callable[[Path], Path]] = {
    "PNG 300 dpi": lambda p: write_photograph(p / "a.png", UPRIGHT_IMAGE, dpi=(300, 300)),
    "BMP 300 dpi": lambda p: write_photograph(p / "a.bmp", (UPRIGHT_IMAGE >> 4).astype(np.uint8), dpi=(300, 300)),
    "JPEG 72 and 36 dpi": lambda p: write_photograph(p / "a.jpg", (UPRIGHT_IMAGE >> 4).astype(np.uint8), dpi=(72, 36)),
    "TIFF 300 dpi": lambda p: write_tiff(p / "a.tif", UPRIGHT_IMAGE, resolution=(300, 150), resolutionunit=2),
    "TIFF per cm": lambda p: write_tiff(p / "a.tif", UPRIGHT_IMAGE, resolution=(300, 150), resolutionunit=3),
    "TIFF without a unit": lambda p: write_tiff(p / "a.tif", UPRIGHT_IMAGE, resolution=(300, 150), resolutionunit=1),
    "TIFF in tiles": lambda p: write_tiff(p / "a.tif", UPRIGHT_IMAGE * 16, 3, resolution=(9, 9), tile=(32, 32)),
    "DICOM detector": lambda p: write_dicom(p / "a.dcm", UPRIGHT_IMAGE, ImagerPixelSpacing=[0.2, 0.1]),
    "DICOM calibrated": lambda p: write_dicom(p / "a.dcm", UPRIGHT_IMAGE, PixelSpacing=[0.2, 0.1]),
    "DICOM in the patient": lambda p: write_dicom(
        p / "a.dcm",
        UPRIGHT_IMAGE,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        PixelSpacing=[0.2, 0.1],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
        ImagePositionPatient=[5, 6, 7],
    ),
    "NRRD": lambda p: write_volume(p / "a.nrrd", UPRIGHT_IMAGE, R, H, (0.2, 0.3), axes=(0, 2)),
    "NRRD along y and z": lambda p: write_volume(p / "a.nrrd", UPRIGHT_IMAGE, L, F, (0.2, 0.3), axes=(1, 2)),
    "NIfTI": lambda p: write_volume(p / "a.nii", UPRIGHT_IMAGE, L, A, (0.2, 0.3)),
    "NIfTI along y and z": lambda p: write_volume(p / "a.nii", UPRIGHT_IMAGE, L, F, (0.2, 0.3), axes=(1, 2)),
}


@pytest.mark.parametrize("write", SPACINGS.values(), ids=SPACINGS.keys())
def test_pixels_lie_where_itk_places_them(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    np.testing.assert_allclose(place_in_radiograph(read_radiograph(path)), place_in_itk(path), atol=1e-4)


def test_a_density_is_no_size_in_the_patient(tmp_path: Path) -> None:
    for name in ("JPEG 72 and 36 dpi", "TIFF 300 dpi", "PNG 300 dpi"):
        radiograph = read_radiograph(SPACINGS[name](tmp_path))
        assert radiograph.millimetres is None
        assert radiograph.geometry.source == ("none" if name.startswith("PNG") else "density")
