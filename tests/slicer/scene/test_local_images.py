"""Geometry of local files: pixels lie where Slicer's own reader (ITK) puts them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import slicer
import vtk
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from VertebraLandmarksLib.scene.dicom_shape import dicom_pixel_shape
from VertebraLandmarksLib.scene.local_images import read_image
from VertebraLandmarksLib.scene.raster_files import pixel_shape
from vtk.util.numpy_support import vtk_to_numpy

from lib.image_io import read_radiograph

from ...image_io.image_files import asymmetric, write_dicom, write_volume
from ...oblong import ASPECTS, oblong
from ...oblong import FILES as FILES_OF_SHAPES

pytestmark = pytest.mark.slicer

IMAGE = asymmetric(40, 30)
L, R, P, A, H, F = (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)
FILES: dict[str, Callable[[Path], Path]] = {
    "NIfTI, rows downwards": lambda p: write_volume(p / "a.nii.gz", IMAGE, L, P),
    "NIfTI, rows upwards": lambda p: write_volume(p / "a.nii.gz", IMAGE, L, A),
    "NIfTI, coronal": lambda p: write_volume(p / "a.nii", IMAGE, L, H, axes=(0, 2)),
    "NRRD, coronal from the back": lambda p: write_volume(p / "a.nrrd", IMAGE, R, F, axes=(0, 2)),
    "NRRD, sagittal": lambda p: write_volume(p / "a.nrrd", IMAGE, P, F, axes=(1, 2)),
    "NRRD, half turn": lambda p: write_volume(p / "a.nrrd", IMAGE, R, A),
    "DICOM": lambda p: write_dicom(p / "a.dcm", IMAGE, ImagerPixelSpacing=[0.2, 0.1]),
}


def place_in_slicer(path: Path) -> np.ndarray:
    """LPS millimetres of the brightest pixel, found by Slicer alone."""
    scene = slicer.vtkMRMLScene()
    node, storage = slicer.vtkMRMLScalarVolumeNode(), slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(node)
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    storage.SetCenterImage(0)
    storage.SetSingleFile(1)
    assert storage.ReadData(node)
    image, matrix = node.GetImageData(), vtk.vtkMatrix4x4()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    k, j, i = np.unravel_index(int(values.argmax()), values.shape)
    node.GetIJKToRASMatrix(matrix)
    right, anterior, superior, _ = matrix.MultiplyPoint((float(i), float(j), float(k), 1.0))
    return np.array([-right, -anterior, superior])


@pytest.mark.parametrize("write", FILES.values(), ids=FILES.keys())
def test_a_pixel_lies_where_slicers_reader_has_it(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    radiograph = read_radiograph(path)
    row, column = np.unravel_index(int(radiograph.pixels.argmax()), radiograph.pixels.shape)
    place = radiograph.geometry.to_physical(np.array([column, row]))
    np.testing.assert_allclose(place, place_in_slicer(path), atol=1e-4)


VALUES = np.arange(12, dtype=np.uint16).reshape(3, 4) + 1
UPRIGHT, ROWS_UP, MIRRORED = (1, 0, 0, 0, 1, 0, 0, 0, 1), (1, 0, 0, 0, -1, 0, 0, 0, -1), (-1, 0, 0, 0, 1, 0, 0, 0, -1)
CORONAL, OBLIQUE = (1, 0, 0, 0, 0, 1, 0, -1, 0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)


@pytest.mark.parametrize("suffix", ["nrrd", "nii", "nii.gz"])
@pytest.mark.parametrize("size", [(4, 3, 1), (4, 1, 3), (1, 4, 3)], ids=["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("direction", [UPRIGHT, ROWS_UP, MIRRORED, CORONAL, OBLIQUE])
def test_pixels_lie_where_itk_puts_them(
    tmp_path: Path, direction: tuple[float, ...], size: tuple[int, ...], suffix: str
) -> None:
    path = tmp_path / f"image.{suffix}"
    written = sitk.GetImageFromArray(VALUES.reshape(size[::-1]))
    written.SetSpacing((0.5, 0.25, 0.125))
    written.SetOrigin((10.0, -20.0, 7.0))
    written.SetDirection(direction)
    sitk.WriteImage(written, str(path))
    image, radiograph = sitk.ReadImage(str(path)), read_image(str(path))
    assert np.array_equal(radiograph.pixels, VALUES)
    array = sitk.GetArrayFromImage(image)
    for y, x in ((0, 0), (0, 3), (2, 1)):
        (index,) = np.argwhere(array == VALUES[y, x])
        expected = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        assert radiograph.info.geometry.to_physical(np.array([x, y])) == pytest.approx(expected, abs=1e-4)
    assert radiograph.info.geometry.source == "file header"


@pytest.mark.parametrize("suffix", ["nrrd", "nii.gz"])
@pytest.mark.parametrize("size", [(4, 3, 1), (4, 1, 3)], ids=["axial", "coronal"])
@pytest.mark.parametrize("direction", [UPRIGHT, ROWS_UP, MIRRORED, CORONAL])
def test_they_stand_as_the_server_reads_them(
    tmp_path: Path, direction: tuple[float, ...], size: tuple[int, ...], suffix: str
) -> None:
    path = tmp_path / f"image.{suffix}"
    written = sitk.GetImageFromArray(VALUES.reshape(size[::-1]))
    written.SetSpacing((0.5, 0.25, 0.125))
    written.SetDirection(direction)
    sitk.WriteImage(written, str(path))
    expected, facts = read_radiograph(path), read_image(str(path)).info
    said = None if expected.orientation is None else expected.orientation.as_dict()
    assert (None if facts.orientation is None else facts.orientation.as_dict()) == said
    assert facts.image_left_is == expected.image_left_is
    assert len(facts.warnings) == len(expected.warnings)


def test_two_dimensions_are_a_plane(tmp_path: Path) -> None:
    written = sitk.GetImageFromArray(VALUES)
    written.SetSpacing((0.5, 0.25))
    written.SetDirection((0, 1, 1, 0))
    sitk.WriteImage(written, str(tmp_path / "image.nrrd"))
    geometry = read_image(str(tmp_path / "image.nrrd")).info.geometry
    assert geometry.to_physical(np.array([3, 2]))[:2] == pytest.approx(written.TransformIndexToPhysicalPoint((3, 2)))


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("what", FILES_OF_SHAPES)
def test_the_shape_of_pixels_is_that_which_a_server_reads(tmp_path: Path, what: str, aspect: float) -> None:
    path = FILES_OF_SHAPES[what](tmp_path, oblong(aspect))
    found, expected = read_image(str(path)).info, read_radiograph(path)
    assert found.geometry.pixel_aspect == pytest.approx(aspect, rel=1e-4)
    assert found.geometry.pixel_aspect == pytest.approx(expected.geometry.pixel_aspect, rel=1e-6)
    assert found.warnings == expected.warnings == ()


def test_the_palette_of_a_file_of_os_2_is_no_density() -> None:
    header = b"BM" + struct.pack("<IHHI", 2000, 0, 0, 26 + 768) + struct.pack("<IHHHH", 12, 40, 60, 1, 8)
    assert pixel_shape(header + bytes(range(256)) * 3 + bytes(2400)) is None


def test_a_shape_that_no_radiograph_has_is_not_believed_here_either(tmp_path: Path) -> None:
    Image.fromarray(IMAGE.astype(np.uint8)).save(tmp_path / "a.png", dpi=(1000, 100))
    path = write_volume(tmp_path / "a.nrrd", IMAGE, L, P, (0.1, 1.0))
    for file in (tmp_path / "a.png", path):
        info = read_image(str(file)).info
        assert [warning.code for warning in info.warnings] == ["pixels_not_square"]
        assert info.geometry.pixel_aspect == 1.0


def test_tags_of_dicom_files_are_found_behind_sequences_in_every_transfer_syntax(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", IMAGE, PixelAspectRatio=[4, 5])
    header = pydicom.dcmread(path)
    inner = Dataset()
    inner.PixelSpacing, inner.CodeMeaning = [1, 3], "not of the image"
    for is_undefined in (False, True):
        header.ReferencedImageSequence = [inner, inner]
        header["ReferencedImageSequence"].is_undefined_length = is_undefined
        inner.is_undefined_length_sequence_item = is_undefined
        for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
            header.file_meta.TransferSyntaxUID = syntax
            header.is_implicit_VR, header.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
            header.save_as(path)
            assert dicom_pixel_shape(path.read_bytes()) == (5, 4), (is_undefined, syntax.name)
    content = path.read_bytes()
    for end in range(0, 600):
        dicom_pixel_shape(content[:end])  # raises nothing
    assert dicom_pixel_shape(b"no DICOM") is None
