"""An image in the scene: geometry, gray values, files of this computer."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import vtk
from PIL import Image
from VertebraLandmarksLib.client.radiograph import ImageInfo
from VertebraLandmarksLib.scene.gray_window import WINDOWS, to_unsigned, window_of
from VertebraLandmarksLib.scene.local_images import read_image
from VertebraLandmarksLib.scene.raster_files import is_complete
from VertebraLandmarksLib.spine.imaging.orientation import EXIF_ORIENTATIONS
from vtk.util.numpy_support import vtk_to_numpy

from lib.image_io import read_radiograph
from lib.server.web.file_responses import gray_16

pytestmark = pytest.mark.slicer

GRAY = (np.arange(40 * 30).reshape(40, 30) * 7 % 251).astype(np.uint8)
DEEP = (np.arange(40 * 30).reshape(40, 30) * 50).astype(np.uint16)
COLOR = np.stack([GRAY, GRAY[::-1], 255 - GRAY], -1)


def volume(bench):
    (node,) = bench.nodes("image")
    return node


def test_the_image_lies_where_its_pixels_times_spacing_say(labelled, radiograph) -> None:
    node, matrix = volume(labelled), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    assert [matrix.GetElement(i, i) for i in range(3)] == [-0.5, -0.25, 1.0]
    stored = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).reshape(radiograph.pixels.shape)
    assert np.array_equal(stored, radiograph.pixels)


def test_the_image_is_drawn_upright_and_not_mirrored(bench, radiograph) -> None:
    pixels = np.zeros_like(radiograph.pixels)
    pixels[:100, :50] = 255
    bench.logic.show_image(type(radiograph)(**{**vars(radiograph), "pixels": pixels}))
    raster = bench.stage.screenshot()[..., 0]
    bright = np.argwhere(raster > 128)
    left, top = bench.place_of((0, 0))
    right, bottom = bench.place_of((49, 99))
    height = bench.stage.size[1]
    assert np.allclose(bright.min(axis=0), (height - 1 - top, left), atol=3)
    assert np.allclose(bright.max(axis=0), (height - 1 - bottom, right), atol=3)


def test_another_image_takes_the_place_of_the_first(labelled, radiograph) -> None:
    other = replace(radiograph, id="other", pixels=DEEP, info=ImageInfo(30, 40))
    labelled.logic.show_image(other)
    node = volume(labelled)
    assert node.GetName() == "other"
    assert node.GetImageData().GetDimensions() == (30, 40, 1)
    assert node.GetSpacing() == (1.0, 1.0, 1.0)
    assert np.isnan(labelled.logic.editor.xy).all()
    assert np.isnan(labelled.markups_xy("corners")).all()


def test_presets_choose_gray_values(labelled, radiograph) -> None:
    display = volume(labelled).GetDisplayNode()
    seen = {}
    for preset in labelled.logic.WINDOWS:
        labelled.logic.set_window(preset)
        seen[preset] = (display.GetWindowLevelMin(), display.GetWindowLevelMax())
        assert seen[preset] == pytest.approx(window_of(radiograph.pixels, preset))
    assert len(set(seen.values())) == len(WINDOWS)
    assert seen["Full range"] == (radiograph.pixels.min(), radiograph.pixels.max())
    assert seen["Bone"][0] > seen["Automatic"][0]
    assert seen["Soft tissue"][1] < seen["Automatic"][1]
    assert not display.GetAutoWindowLevel()


def test_a_window_of_ones_own_stays_for_the_next_image(labelled, radiograph) -> None:
    labelled.logic.set_window((20, 90))
    labelled.logic.show_image(radiograph)
    display = volume(labelled).GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (20, 90)


@pytest.mark.parametrize("window", ["", "Brain", (5, 5), (9, 1), (1, np.nan), (1, 2, 3)])
def test_a_window_that_is_none_is_refused(labelled, window) -> None:
    with pytest.raises(ValueError, match="window"):
        labelled.logic.set_window(window)


def test_inverting_makes_bone_dark(labelled) -> None:
    labelled.logic.set_layer("outlines", False)
    before = labelled.stage.screenshot().astype(int)[400:600, 200:400].mean()
    labelled.logic.invert(True)
    after = labelled.stage.screenshot().astype(int)[400:600, 200:400].mean()
    assert after == pytest.approx(255 - before, abs=8)
    labelled.logic.invert(False)
    assert labelled.stage.screenshot().astype(int)[400:600, 200:400].mean() == pytest.approx(before, abs=2)


def test_borders_do_not_count_for_the_automatic_window() -> None:
    pixels = np.full((200, 200), 0, np.uint16)
    pixels[50:150, 50:150] = np.linspace(1000, 2000, 10000).reshape(100, 100)
    low, high = window_of(pixels, "Automatic")
    assert 1000 <= low < 1050
    assert 1950 < high <= 2000


@pytest.mark.parametrize("value", [0, 77])
@pytest.mark.parametrize("preset", WINDOWS)
def test_an_even_image_has_a_window_too(preset: str, value: int) -> None:
    low, high = window_of(np.full((20, 20), value, np.uint8), preset)
    assert high > low


def test_a_large_image_is_windowed_fast() -> None:
    import time

    pixels = np.random.default_rng(0).integers(0, 65535, (4000, 2500), dtype=np.uint16)
    start = time.thread_time()
    window_of(pixels, "Automatic")
    assert time.thread_time() - start < 0.05


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 1000]], np.int16), [[0, 1000]]),
        (np.array([[-1000, 1000]], np.int16), [[0, 2000]]),
        (np.array([[0, 131070]], np.int32), [[0, 65535]]),
        (np.array([[0.0, 0.5, 1.0]]), [[0, 32768, 65535]]),
        (np.array([[np.nan, 1.0]]), [[0, 65535]]),
        (np.array([[0.0, 3.0, 200.0]], np.float32), [[0, 983, 65535]]),
        (np.array([[7, 7]], np.int32), [[7, 7]]),
    ],
    ids=["whole", "negative", "too many", "fractions", "not a number", "whole floats", "even"],
)
def test_any_values_become_those_of_an_image(values: np.ndarray, expected: list) -> None:
    found = to_unsigned(values)
    assert found.dtype == np.uint16
    assert found.tolist() == expected


def test_values_of_8_and_16_bits_are_kept() -> None:
    assert to_unsigned(GRAY) is GRAY
    assert to_unsigned(DEEP) is DEEP


@pytest.mark.parametrize("kind", ["u1", "u2", "i1", "i2", "i4", "i8", "f4", "f8", "b1", "u4"])
@pytest.mark.parametrize("values", [[0, 1, 7], [0, 1000, 131070], [3.25, 4.5, 7], [5, 5, 5], [100, 200, 60000]])
def test_values_become_the_same_as_at_the_server(kind: str, values: list) -> None:
    with np.errstate(all="ignore"):
        array = np.array([values]).astype(kind)
    for signed in (array, -array) if kind[0] in "if" else (array,):
        assert np.array_equal(to_unsigned(signed), gray_16(signed))


@pytest.mark.parametrize("name", ["holes.nrrd", "whole.nrrd", "holes.tif"])
def test_floats_are_read_from_files_as_the_server_reads_them(tmp_path: Path, name: str) -> None:
    pixels = GRAY.astype(np.float32)
    if "holes" in name:
        pixels[3, 4:7] = np.nan, np.inf, -np.inf
    path = tmp_path / name
    if path.suffix == ".tif":
        Image.fromarray(pixels).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    assert np.array_equal(read_image(str(path)).pixels, gray_16(read_radiograph(path).pixels))


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [GRAY, DEEP, COLOR], ids=["gray", "deep", "color"])
def test_a_tiff_file_is_read_as_stored_with_what_its_tag_says(
    tmp_path: Path, pixels: np.ndarray, orientation: int, is_big: bool
) -> None:
    path = tmp_path / "turned.tif"
    Image.fromarray(pixels).save(path)
    straight = read_image(str(path))
    assert straight.info.orientation is None
    Image.fromarray(pixels).save(path, tiffinfo={274: orientation}, big_tiff=is_big)
    radiograph = read_image(str(path))
    assert np.array_equal(radiograph.pixels, straight.pixels)
    assert radiograph.info.orientation == EXIF_ORIENTATIONS[orientation]


def test_a_window_set_with_the_mouse_stays_for_the_next_image_of_its_kind(labelled, radiograph) -> None:
    display = volume(labelled).GetDisplayNode()
    display.SetWindowLevelMinMax(11, 77)  # what the mouse does in Slicer's mode for it

    def shown() -> tuple[float, float]:
        return display.GetWindowLevelMin(), display.GetWindowLevelMax()

    labelled.logic.invert(True)
    assert shown() == (11, 77)
    labelled.logic.show_image(radiograph)
    assert shown() == (11, 77)
    labelled.logic.show_image(replace(radiograph, pixels=DEEP))
    assert shown() == pytest.approx(window_of(DEEP, "Automatic"))
    labelled.logic.show_image(radiograph)
    assert shown() == (11, 77)
    labelled.logic.set_window("Automatic")
    assert shown() == pytest.approx(window_of(radiograph.pixels, "Automatic"))


def write_dicom(path: Path, photometric: str) -> None:
    image = sitk.GetImageFromArray(DEEP[None])
    image.SetSpacing((0.2, 0.3, 1.0))
    sitk.WriteImage(image, str(path))
    tags = pydicom.dcmread(path)
    tags.PhotometricInterpretation = photometric
    tags.save_as(path)


def write(folder: Path, name: str) -> Path:
    """A file of the kind that its name says."""
    path = folder / name
    suffix = name.split(".", 1)[1]
    if suffix == "dcm" or name == "dicom_file.000":
        write_dicom(folder / "x.dcm", "MONOCHROME1" if "inverse" in name else "MONOCHROME2")
        (folder / "x.dcm").rename(path)
    elif suffix in ("nrrd", "nii.gz"):
        pixels = {"float": GRAY / 7.0, "signed": DEEP.astype(np.int32) - 9000}.get(name.split(".")[0], DEEP)
        image = sitk.GetImageFromArray(pixels if "flat" in name else pixels[None])
        image.SetSpacing((0.2, 0.3, 1.0)[: image.GetDimension()])
        sitk.WriteImage(image, str(path))
    else:
        pixels = {"deep": DEEP, "color": COLOR}.get(name.split(".")[0], GRAY)
        Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("gray.png", "deep.png", "color.png", "gray.jpg", "color.jpeg", "gray.tif", "deep.tiff", "color.tif"),
        *("gray.bmp", "Gray.PNG", "deep.nrrd", "flat.nrrd", "signed.nrrd", "float.nrrd", "deep.nii.gz"),
        *("plain.dcm", "inverse.dcm"),
    ],
)
def test_files_are_read_as_the_server_reads_them(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    expected = read_radiograph(path)
    radiograph = read_image(str(path))
    assert radiograph.pixels.dtype in (np.uint8, np.uint16)
    assert radiograph.pixels.shape == expected.pixels.shape
    kept = to_unsigned(expected.pixels).astype(int)
    assert np.abs(radiograph.pixels.astype(int) - kept).max() <= (1 if "color" in name else 0)  # rounding of luminance
    corners = np.array([(0, 0), (29, 0), (0, 39)])
    assert radiograph.info.geometry.to_physical(corners) == pytest.approx(expected.geometry.to_physical(corners))
    assert (radiograph.id, radiograph.source, radiograph.path) == (name.split(".")[0], "local", str(path))
    assert (radiograph.info.width, radiograph.info.height) == (30, 40)
    json.dumps(radiograph.info.geometry.as_dict())


def test_a_dicom_file_may_have_any_name(tmp_path: Path) -> None:
    path = write(tmp_path, "dicom_file.000")
    assert np.array_equal(read_image(str(path)).pixels, DEEP)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file nothing\.png"):
        read_image(str(tmp_path / "nothing.png"))


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("name", ["gray.png", "gray.jpg", "gray.tif", "gray.bmp", "deep.nrrd"])
def test_a_file_that_is_cut_short_is_an_error(tmp_path: Path, name: str, share: float) -> None:
    path = write(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="corrupt"):
        read_image(str(path))


def test_a_dicom_file_without_its_pixels_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "plain.dcm")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ValueError, match="corrupt"):
        read_image(str(path))


def test_a_png_file_with_a_wrong_byte_is_an_error(tmp_path: Path) -> None:
    """VTK's reader would end the process."""
    path = write(tmp_path, "gray.png")
    content = bytearray(path.read_bytes())
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(ValueError, match="corrupt"):
            read_image(str(path))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_png_files_of_every_kind_are_whole(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.png"
    (Image.fromarray(DEEP) if mode == "I;16" else Image.fromarray(COLOR).convert(mode)).save(path)
    assert is_complete(path.read_bytes(), path.suffix)


def test_an_interlaced_png_file_is_whole(tmp_path: Path) -> None:
    """Made by hand, 3 x 2 px in seven passes, as Pillow writes none."""
    rows = [b"\0\1", b"", b"", b"\0\3", b"", b"\0\2", b"\0\4\5\6"]
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 1),
        b"IDAT": zlib.compress(b"".join(rows)),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    ]
    path = tmp_path / "image.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert np.array_equal(read_image(str(path)).pixels, np.array(Image.open(path)))


@pytest.mark.parametrize("name", ["text.png", "text.dcm", "text.txt"])
def test_a_file_without_an_image_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is no image")
    with pytest.raises(ValueError, match=r"it is not a|cannot read it"):
        read_image(str(tmp_path / name))


def test_several_slices_are_an_error(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([DEEP, DEEP, DEEP])), str(tmp_path / "stack.nrrd"))
    with pytest.raises(ValueError, match="it has 3 slices; expected one radiograph"):
        read_image(str(tmp_path / "stack.nrrd"))


def test_the_logic_reads_files(bench, tmp_path: Path) -> None:
    radiograph = bench.logic.load_local(str(write(tmp_path, "deep.png")))
    bench.logic.show_image(radiograph)
    assert volume(bench).GetName() == "deep"
