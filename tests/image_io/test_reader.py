"""Reading radiographs: the pixels of the file, its spacing, and errors that name the file."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from lib.image_io import Radiograph, UnreadableImageError, errors, is_dicom, is_image_name, read_radiograph
from lib.image_io.window import windowed

from .image_files import write_dicom

GRAY_8 = np.random.default_rng(0).integers(0, 256, (37, 23)).astype(np.uint8)
GRAY_16 = np.random.default_rng(1).integers(0, 65536, (37, 23)).astype(np.uint16)
SMOOTH = np.add.outer(np.arange(64), 2 * np.arange(48)).astype(np.uint8)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """ITK writes its complaints about damaged files to the error stream."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [("a.png", GRAY_8), ("a.PNG", GRAY_16), ("a.tif", GRAY_8), ("a.tiff", GRAY_16), ("a.bmp", GRAY_8)],
)
def test_lossless_pictures_keep_their_pixels(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    result = read_radiograph(tmp_path / name)
    np.testing.assert_array_equal(result.pixels, pixels)
    assert (result.height, result.width) == (37, 23)
    assert (result.geometry.spacing, result.geometry.source) == ((1.0, 1.0), "none")


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_is_read_to_a_few_gray_values(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(SMOOTH).save(tmp_path / f"a{suffix}", quality=95)
    result = read_radiograph(tmp_path / f"a{suffix}").pixels
    assert result.shape == SMOOTH.shape
    np.testing.assert_allclose(result.astype(int), SMOOTH, atol=6)


def test_a_float_tiff_keeps_its_values_and_loses_what_is_not_finite(tmp_path: Path) -> None:
    pixels = np.array([[0.5, np.nan], [np.inf, -2.0]], np.float32)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.tif").pixels, [[0.5, -2], [-2, -2]])


@pytest.mark.parametrize("suffix", [".tif", ".nrrd", ".nii"])
def test_what_is_not_finite_becomes_dark_in_any_range_and_polarity(tmp_path: Path, suffix: str) -> None:
    pixels = np.linspace(-4960, -4780, 80 * 60, dtype=np.float32).reshape(80, 60)
    pixels[30:40, 20:30] = np.nan
    pixels[50, 20:30], pixels[51, 20:30] = np.inf, -np.inf
    is_finite, path = np.isfinite(pixels), tmp_path / f"a{suffix}"
    if suffix == ".tif":
        for photometric, sign in (("minisblack", 1), ("miniswhite", -1)):
            tifffile.imwrite(path, pixels, photometric=photometric)
            result = read_radiograph(path).pixels
            np.testing.assert_array_equal(result[is_finite], sign * pixels[is_finite])
            assert (result[~is_finite] == result[is_finite].min()).all()
        return
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    result = read_radiograph(path).pixels
    assert (result[~is_finite] == pixels[is_finite].min()).all()


@pytest.mark.parametrize("missing", [np.s_[3, 7], np.s_[:, :9], np.s_[::2], np.s_[:]])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_may_have_pixels_that_are_not_finite(dtype: Any, value: float, missing: Any) -> None:
    """A single one is easily missed by the samples of which the gray range is taken, a tenth is its end."""
    pixels = np.linspace(-9, -2, 60 * 80, dtype=dtype).reshape(60, 80)
    pixels[missing] = value
    is_finite, before = np.isfinite(pixels), pixels.copy()
    found = Radiograph(pixels).pixels
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[is_finite], pixels[is_finite])
    assert (found[~is_finite] == pixels[is_finite].min(initial=0)).all()
    assert (windowed(found)[~is_finite] == 0).all()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_an_array_of_finite_pixels_is_not_copied(dtype: Any) -> None:
    pixels = GRAY_8.astype(dtype)
    assert Radiograph(pixels).pixels is pixels


def test_color_becomes_luminance(tmp_path: Path) -> None:
    """ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B."""
    color = np.zeros((2, 3, 3), np.uint8)
    color[0, 0], color[0, 1], color[0, 2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(color).save(tmp_path / "a.png")
    assert read_radiograph(tmp_path / "a.png").pixels[0].tolist() == pytest.approx([76, 150, 29], abs=1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_gray_stored_as_color_is_the_same_gray(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GRAY_8).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, GRAY_8)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([200, 200, 200, 10, 10, 10])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, [[200, 10], [10, 200]])


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    Image.fromarray(GRAY_8 > 128).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, 255 * (GRAY_8 > 128))


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii", "a.nii.gz", "A.NRRD"])
@pytest.mark.parametrize("is_volume", [False, True], ids=["2-D", "one slice"])
def test_medical_formats_keep_pixels_and_spacing(tmp_path: Path, name: str, is_volume: bool) -> None:
    image = sitk.GetImageFromArray(GRAY_16[None] if is_volume else GRAY_16)
    image.SetSpacing((0.5, 0.25, 1.0) if is_volume else (0.5, 0.25))
    sitk.WriteImage(image, str(tmp_path / name.lower()))
    (tmp_path / name.lower()).rename(tmp_path / name)
    result = read_radiograph(tmp_path / name)
    np.testing.assert_array_equal(result.pixels, GRAY_16)
    assert result.geometry.spacing == pytest.approx((0.5, 0.25))
    assert result.geometry.source == "file header"


def test_a_header_without_a_size_has_no_spacing(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(GRAY_8), str(tmp_path / "a.nrrd"))
    result = read_radiograph(tmp_path / "a.nrrd")
    assert (result.geometry.spacing, result.geometry.source) == ((1.0, 1.0), "none")


@pytest.mark.parametrize("name", ["a.dcm", "IM0001", "a.png"])
def test_dicom_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = write_dicom(tmp_path / name, GRAY_16)
    assert is_dicom(path)
    np.testing.assert_array_equal(read_radiograph(path).pixels, GRAY_16)


@pytest.mark.parametrize(("bits", "white"), [(16, 65535), (12, 4095)])
def test_monochrome1_is_inverted(tmp_path: Path, bits: int, white: int) -> None:
    pixels = (GRAY_16 & white).astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, "MONOCHROME1", BitsStored=bits)
    np.testing.assert_array_equal(read_radiograph(path).pixels.astype(int), white - pixels.astype(int))


def test_rescaling_is_applied(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GRAY_8, RescaleSlope=2, RescaleIntercept=-10)
    np.testing.assert_array_equal(read_radiograph(path).pixels, 2.0 * GRAY_8 - 10)


@pytest.mark.parametrize("suffix", ["dcm", "nrrd"])
def test_color_of_medical_formats_becomes_luminance(tmp_path: Path, suffix: str) -> None:
    color = np.zeros((2, 4, 3), np.uint8)
    color[:, 0], color[:, 1], color[:, 2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = tmp_path / f"a.{suffix}"
    if suffix == "dcm":
        write_dicom(path, color, "RGB")
    else:
        sitk.WriteImage(sitk.GetImageFromArray(color, isVector=True), str(path))
    assert read_radiograph(path).pixels[0].tolist() == pytest.approx([76, 150, 29, 0], abs=1)


ROW_COLUMN = [0.2, 0.1]
SPACINGS = {
    "detector": ({"ImagerPixelSpacing": ROW_COLUMN}, (0.1, 0.2), "ImagerPixelSpacing"),
    "both": ({"ImagerPixelSpacing": ROW_COLUMN, "PixelSpacing": [0.3, 0.3]}, (0.1, 0.2), "ImagerPixelSpacing"),
    "calibrated alone": ({"PixelSpacing": ROW_COLUMN}, (1.0, 1.0), "none"),
    "none": ({}, (1.0, 1.0), "none"),
    "secondary capture": (
        {"PixelSpacing": ROW_COLUMN, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        (0.1, 0.2),
        "PixelSpacing",
    ),
}


@pytest.mark.parametrize(("tags", "spacing", "source"), SPACINGS.values(), ids=SPACINGS.keys())
def test_dicom_spacing_is_the_one_of_slicers_reader(
    tmp_path: Path, tags: dict[str, Any], spacing: tuple[float, float], source: str
) -> None:
    """ITK reads ImagerPixelSpacing for DX and ignores PixelSpacing there; rows come first in DICOM, x in ITK."""
    result = read_radiograph(write_dicom(tmp_path / "a.dcm", GRAY_16, **tags))
    assert result.geometry.spacing == pytest.approx(spacing)
    assert result.geometry.source == source


MILLIMETRES: dict[str, tuple[dict[str, Any], tuple[float, float, str] | None]] = {
    "calibrated": ({"ImagerPixelSpacing": [0.3, 0.3], "PixelSpacing": ROW_COLUMN}, (0.1, 0.2, "PixelSpacing")),
    "detector": ({"ImagerPixelSpacing": ROW_COLUMN}, (0.1, 0.2, "ImagerPixelSpacing, at the detector")),
    "magnified": (
        {"ImagerPixelSpacing": ROW_COLUMN, "EstimatedRadiographicMagnificationFactor": 1.25},
        (0.08, 0.16, "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"),
    ),
    "nothing": ({}, None),
    "zero": ({"PixelSpacing": [0, 0]}, None),
    "one value": ({"PixelSpacing": 0.2}, None),
}


@pytest.mark.parametrize(("tags", "expected"), MILLIMETRES.values(), ids=MILLIMETRES.keys())
def test_millimetres_come_from_the_file_or_not_at_all(
    tmp_path: Path, tags: dict[str, Any], expected: tuple[float, float, str] | None
) -> None:
    found = read_radiograph(write_dicom(tmp_path / "a.dcm", GRAY_16, **tags)).millimetres
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.x, found.y) == pytest.approx(expected[:2])
        assert found.source == expected[2]


def test_pictures_state_no_millimetres(tmp_path: Path) -> None:
    Image.fromarray(GRAY_8).save(tmp_path / "a.png", dpi=(300, 300))
    assert read_radiograph(tmp_path / "a.png").millimetres is None


@pytest.mark.parametrize("text", [b"abc\\0.1", b"0.2    ", b"0\\0    ", b"NaN\\NaN", b"-.2\\-.1"])
def test_a_nonsensical_spacing_does_not_hide_the_image(tmp_path: Path, text: bytes) -> None:
    path = write_dicom(tmp_path / "a.dcm", GRAY_16, ImagerPixelSpacing=ROW_COLUMN)
    content = path.read_bytes()
    assert content.count(b"0.2\\0.1") == 1
    path.write_bytes(content.replace(b"0.2\\0.1", text))
    result = read_radiograph(path)
    np.testing.assert_array_equal(result.pixels, GRAY_16)
    assert all(np.isfinite(s) and s > 0 for s in result.geometry.spacing)
    assert result.geometry.source == "none"


ORIENTATIONS = {
    "left along the rows": ({"PatientOrientation": ["L", "F"]}, "right"),
    "right along the rows": ({"PatientOrientation": ["R", "F"]}, "left"),
    "oblique": ({"PatientOrientation": ["LA", "FP"]}, "right"),
    "small letters": ({"PatientOrientation": ["r", "f"]}, "left"),
    "single": ({"PatientOrientation": "L"}, "right"),
    "orientation before view": ({"PatientOrientation": ["L", "F"], "ViewPosition": "PA"}, "right"),
    "orientation before the opposite view": ({"PatientOrientation": ["R", "F"], "ViewPosition": "AP"}, "left"),
    "AP": ({"ViewPosition": "AP"}, "right"),
    "PA": ({"ViewPosition": "PA"}, "left"),
    "view in small letters": ({"ViewPosition": "ap"}, "right"),
    "lateral by orientation": ({"PatientOrientation": ["P", "F"]}, None),
    "lateral orientation and view": ({"PatientOrientation": ["P", "F"], "ViewPosition": "AP"}, "right"),
    "lateral view": ({"ViewPosition": "LL"}, None),
    "feet along the rows": ({"PatientOrientation": ["F", "L"]}, "right"),
    "oblique, more from the front": ({"PatientOrientation": ["AL", "F"], "ViewPosition": "PA"}, "left"),
    "empty": ({"PatientOrientation": "", "ViewPosition": ""}, None),
    "empty orientation": ({"PatientOrientation": "", "ViewPosition": "PA"}, "left"),
    "empty along the rows": ({"PatientOrientation": ["", "F"], "ViewPosition": "PA"}, "left"),
    "two views": ({"ViewPosition": ["AP", "PA"]}, None),
    "none": ({}, None),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize(("tags", "expected"), ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_dicom_says_which_side_of_the_patient_is_at_the_left(
    tmp_path: Path, tags: dict[str, Any], expected: str | None
) -> None:
    """DICOM PS3.3 C.7.6.1.1.1: the first value of PatientOrientation is where the rows run to, left to right.

    The side is that of the upright image; the pixels stay as they are stored.
    """
    result = read_radiograph(write_dicom(tmp_path / "a.dcm", GRAY_16, **tags))
    assert result.image_left_is == expected
    np.testing.assert_array_equal(result.pixels, GRAY_16)


MALFORMED = {
    "a number": (b"US", b"\x01\x00", None),
    "two numbers": (b"US", b"\x01\x00\x02\x00", None),
    "a part of a number": (b"US", b"abc", None),
    "a decimal": (b"DS", b"1.0 ", None),
    "no decimal": (b"DS", b"L\\F ", "right"),
    "a name": (b"PN", b"L^F ", None),
    "a tag": (b"AT", b"\x01\x00\x01\x00", None),
    "not ASCII": (b"CS", b"\xff\xfe\xfd\xfc", None),
    "separators only": (b"CS", b"\\\\\\ ", None),
    "spaces only": (b"CS", b"    ", None),
    "three values": (b"CS", b"L\\F\\H ", "right"),
    "a space before": (b"CS", b" R\\F", "left"),
    "zeros behind": (b"CS", b"R\x00", "left"),
    "long text": (b"LO", b"L\\F ", "right"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(("kind", "content", "expected"), MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("view", ["", "PA"])
def test_a_malformed_orientation_does_not_hide_the_image(
    tmp_path: Path, kind: bytes, content: bytes, expected: str | None, view: str
) -> None:
    """Where it says nothing, the view counts."""
    path = write_dicom(tmp_path / "a.dcm", GRAY_16, PatientOrientation=["L", "F"], ViewPosition=view)
    element = b"\x20\x00\x20\x00"
    whole = path.read_bytes()
    assert whole.count(element + b"CS\x04\x00L\\F ") == 1
    malformed = element + kind + len(content).to_bytes(2, "little") + content
    path.write_bytes(whole.replace(element + b"CS\x04\x00L\\F ", malformed))
    result = read_radiograph(path)
    np.testing.assert_array_equal(result.pixels, GRAY_16)
    assert result.image_left_is == (expected or {"PA": "left"}.get(view))


@pytest.mark.parametrize(("kind", "content"), [(b"US", b"abc"), (b"US", b"\x01\x00"), (b"PN", b"AP")])
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_malformed_view_does_not_hide_the_image(tmp_path: Path, kind: bytes, content: bytes) -> None:
    path = write_dicom(tmp_path / "a.dcm", GRAY_16, ViewPosition="AP")
    element = b"\x18\x00\x01\x51"
    whole = path.read_bytes()
    assert whole.count(element + b"CS\x02\x00AP") == 1
    malformed = element + kind + len(content).to_bytes(2, "little") + content
    path.write_bytes(whole.replace(element + b"CS\x02\x00AP", malformed))
    result = read_radiograph(path)
    np.testing.assert_array_equal(result.pixels, GRAY_16)
    assert result.image_left_is is None


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.nrrd", "a.nii.gz"])
def test_other_formats_do_not_state_the_side(tmp_path: Path, name: str) -> None:
    if name.endswith(("nrrd", "gz")):
        sitk.WriteImage(sitk.GetImageFromArray(GRAY_8), str(tmp_path / name))
    else:
        Image.fromarray(GRAY_8).save(tmp_path / name)
    assert read_radiograph(tmp_path / name).image_left_is is None


def png() -> bytes:
    """A PNG file."""
    rows = b"".join(b"\0" + bytes(row) for row in GRAY_8)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (23).to_bytes(4, "big") + (37).to_bytes(4, "big") + b"\x08\0\0\0\0"
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_png_used_below_is_sound(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, GRAY_8)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.png", b"this is a text\n" * 20, "not an image in a known format"),
        ("a.png", b"", "the file is empty"),
        ("a.png", png()[:200], "damaged or cut short"),
        ("a.png", png().replace(b"IDAT", b"IDAX"), "a.png"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "a.jpg"),
        ("a.tif", b"II*\0\x08\0\0\0", "a.tif"),
        ("a.nrrd", b"NRRD0005\ntype: uchar\n", "damaged or of an unknown kind"),
        ("a.nii.gz", b"no gzip", "not an image in a known format"),
        ("a.nii.gz", b"\x1f\x8bno gzip", "damaged or of an unknown kind"),
        ("a.dcm", b"no DICOM file at all", "a.dcm"),
        ("a.dcm", b"\0" * 128 + b"DICM", "damaged or of an unknown kind"),
        ("a.dcm", b"\0" * 128 + b"DICM" + b"nonsense" * 50, "a.dcm"),
    ],
)
def test_what_is_no_image_is_an_error_that_names_the_file(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableImageError, match=text) as caught:
        read_radiograph(tmp_path / name)
    assert str(caught.value).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.bmp", "a.nrrd", "a.nii", "a.nii.gz", "a.dcm"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    if name.endswith(("jpg", "png", "tif", "bmp")):
        Image.fromarray(GRAY_8).save(path)
    elif name.endswith("dcm"):
        write_dicom(path, GRAY_16)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(GRAY_16), str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableImageError, match=f"^{name}: "):
        read_radiograph(path)


@pytest.mark.parametrize("name", ["a.png", "a.nrrd", "a.dcm", "none"])
def test_a_missing_file_and_a_folder_are_errors_that_name_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableImageError, match=f"^{name}: there is no such file"):
        read_radiograph(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(UnreadableImageError, match=f"^{name}: "):
        read_radiograph(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.dcm"])
def test_a_volume_is_no_radiograph(tmp_path: Path, name: str) -> None:
    volume = np.zeros((3, 20, 10), np.uint16)
    if name.endswith("dcm"):
        write_dicom(tmp_path / name, volume)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(volume), str(tmp_path / name))
    with pytest.raises(UnreadableImageError, match=rf"^{name}: expected one radiograph, got a volume"):
        read_radiograph(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.nrrd", "a.dcm"])
def test_an_image_with_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(errors, "MAX_PIXELS", 37 * 23 - 1)
    if name.endswith("png"):
        Image.fromarray(GRAY_8).save(tmp_path / name)
    elif name.endswith("dcm"):
        write_dicom(tmp_path / name, GRAY_8)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(GRAY_8), str(tmp_path / name))
    with pytest.raises(UnreadableImageError, match=rf"^{name}: 23 x 37 pixels, at most 850 are read"):
        read_radiograph(tmp_path / name)


def test_a_header_that_promises_a_huge_picture_is_refused_before_it_is_read(tmp_path: Path) -> None:
    size = (100_000).to_bytes(4, "big")
    content = png()
    header = size + size + b"\x08\0\0\0\0"
    chunk = b"IHDR" + header
    (tmp_path / "a.png").write_bytes(content[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + content[33:])
    with pytest.raises(UnreadableImageError, match=r"^a\.png: .*at most 100,000,000 are read"):
        read_radiograph(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "expected"), [("a.PNG", True), ("a.nii.gz", True), ("a.gz", False), ("a", False), ("a.png.txt", False)]
)
def test_image_names_are_known_by_their_end(name: str, expected: bool) -> None:
    assert is_image_name(Path(name)) is expected


def test_short_files_are_no_dicom_and_missing_ones_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * 128 + b"DIC")
    assert not is_dicom(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        is_dicom(tmp_path / "none")


def test_a_radiograph_knows_its_size() -> None:
    radiograph = Radiograph(GRAY_8)
    assert (radiograph.height, radiograph.width, radiograph.geometry.source) == (37, 23, "none")
    assert radiograph.image_left_is is None


def test_the_dicom_writer_of_these_tests_agrees_with_pydicom(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GRAY_16)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, GRAY_16)
