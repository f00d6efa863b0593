"""Copies of images that are no DICOM have the same pixels and geometry, and none of the metadata."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib.deidentification import Pseudonyms, copy_image
from lib.image_io import UnreadableImageError, read_radiograph

from ..oblong import FILES, oblong

SECRET = "Geheimnis Zoe 20100203"
ROTATED = 6
Maker = Callable[[Path], Path]


def pixels(dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, (60, 40)).astype(dtype)


def exif() -> bytes:
    tags = Image.Exif()
    tags[274], tags[270], tags[315], tags[306] = ROTATED, SECRET, SECRET, "2010:02:03 00:00:00"
    return tags.tobytes()


def png(folder: Path) -> Path:
    info = PngInfo()
    info.add_text("Comment", SECRET)
    info.add_itxt("Title", SECRET, zip=True)
    Image.fromarray(pixels(np.uint16)).save(folder / "a.png", pnginfo=info, exif=exif(), dpi=(120, 120))
    with (folder / "a.png").open("ab") as stream:
        stream.write(SECRET.encode())  # behind the end
    return folder / "a.png"


def jpeg(folder: Path, **options: object) -> Path:
    thumbnail = io.BytesIO()
    Image.fromarray(pixels()).save(thumbnail, "JPEG", comment=SECRET)
    image = Image.fromarray(pixels())
    image.save(folder / "a.jpg", exif=exif(), comment=SECRET.encode(), dpi=(120, 120), **options)
    with (folder / "a.jpg").open("ab") as stream:
        stream.write(thumbnail.getvalue())
    return folder / "a.jpg"


def progressive(folder: Path) -> Path:
    return jpeg(folder, progressive=True)


def restarted(folder: Path) -> Path:
    return jpeg(folder, restart_marker_rows=1)


def bmp(folder: Path) -> Path:
    Image.fromarray(pixels()).save(folder / "a.bmp")
    with (folder / "a.bmp").open("ab") as stream:
        stream.write(SECRET.encode())
    return folder / "a.bmp"


def tiff(folder: Path) -> Path:
    tags = [(315, 2, None, SECRET, True), (274, 3, 1, ROTATED, True), (65000, 2, None, SECRET, True)]
    tifffile.imwrite(
        folder / "a.tif", pixels(np.uint16), description=SECRET, extratags=tags, resolution=(120, 120), resolutionunit=2
    )
    return folder / "a.tif"


def white_is_zero(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", pixels(), photometric="miniswhite", description=SECRET, software=SECRET)
    return folder / "a.tif"


def nifti(folder: Path, name: str = "a.nii") -> Path:
    turned = np.array([[0, -0.3, 0, 7], [0.2, 0, 0, 8], [0, 0, 1, 9], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(pixels(np.int16)[..., None], turned)
    image.header["descrip"], image.header["aux_file"], image.header["db_name"] = SECRET, SECRET, SECRET[:17]
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", SECRET.encode()))
    nibabel.save(image, folder / name)
    return folder / name


def nifti_gz(folder: Path) -> Path:
    return nifti(folder, "a.nii.gz")


def nrrd(folder: Path) -> Path:
    image = sitk.GetImageFromArray(pixels(np.int16)[None])
    image.SetSpacing((0.2, 0.3, 1))
    image.SetOrigin((7, 8, 9))
    image.SetMetaData("PatientName", SECRET)
    sitk.WriteImage(image, str(folder / "a.nrrd"))
    return folder / "a.nrrd"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(
    "make",
    [png, jpeg, progressive, restarted, bmp, tiff, white_is_zero, nifti, nifti_gz, nrrd],
    ids=lambda f: f.__name__,
)
def test_pixels_and_geometry_stay_and_metadata_goes(tmp_path: Path, out: Path, make: Maker) -> None:
    original = make(tmp_path)
    copied = copy_image(original, out, "new", Pseudonyms(), "p")
    before, after = read_radiograph(original), read_radiograph(copied.path)
    assert np.array_equal(before.pixels, after.pixels)
    assert (before.orientation, before.millimetres) == (after.orientation, after.millimetres)
    assert before.geometry.spacing == pytest.approx(after.geometry.spacing)
    content = copied.path.read_bytes()
    if copied.path.suffix == ".gz":
        content += b"".join(field.tobytes() for field in nibabel.load(copied.path).header.structarr.reshape(1))
        assert not nibabel.load(copied.path).header.extensions
    for part in (SECRET, "Geheimnis", "20100203", "2010:02:03", "Zoe"):
        assert part.encode() not in content
    assert [path.name.partition(".")[0] for path in out.iterdir()] == ["new"]


def test_the_orientation_is_kept(tmp_path: Path, out: Path) -> None:
    for make in (png, jpeg, tiff):
        copied = copy_image(make(tmp_path), out, make.__name__, Pseudonyms(), "p")
        assert copied.copy.orientation is not None


@pytest.mark.parametrize("kept", [40, 400])
def test_a_damaged_image_is_refused_and_leaves_nothing(tmp_path: Path, out: Path, kept: int) -> None:
    path = jpeg(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UnreadableImageError):
        copy_image(path, out, "new", Pseudonyms(), "p")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("unit", "resolution"),
    [(1, ((0, 0), (0, 0))), (1, ((1, 0), (1, 0))), (0, ((4, 1), (5, 1))), (77, ((4, 1), (5, 1)))],
)
def test_a_damaged_resolution_does_not_stop_the_copy(
    tmp_path: Path, out: Path, unit: int, resolution: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, oblong(1.25).pixels, resolution=(1, 1), resolutionunit=1, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages.first.tags
        for name, value in zip(("XResolution", "YResolution"), resolution, strict=True):
            tags[name].overwrite(value)
        tags["ResolutionUnit"].overwrite(unit)
    copied = copy_image(path, out, "new", Pseudonyms(), "p")
    assert copied.copy.geometry.pixel_aspect == read_radiograph(path).geometry.pixel_aspect


@pytest.mark.parametrize("what", ["PNG", "JPEG", "BMP", "TIFF", "TIFF without a unit", "NIfTI", "PixelAspectRatio"])
def test_the_shape_of_pixels_stays(tmp_path: Path, out: Path, what: str) -> None:
    copied = copy_image(FILES[what](tmp_path, oblong(1.25)), out, "new", Pseudonyms(), "p")
    assert copied.copy.geometry.pixel_aspect == pytest.approx(1.25, rel=1e-4)
