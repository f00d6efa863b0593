"""Slicer's own reader and ours place the pixels of a file alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from lib.image_io import read_radiograph

from ...image_io.image_files import asymmetric, write_dicom, write_volume

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
