"""Local image files, read by Slicer's and VTK's own readers without a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..client.radiograph import LOCAL, ImageInfo, Radiograph
from ..spine.image_suffixes import file_stem
from ..spine.imaging.image_geometry import ImageGeometry
from ..spine.imaging.planes import axis_of, plane_of
from ..spine.measurement.image_warnings import pixel_aspect_warnings
from .dicom_shape import HEAD_BYTES, dicom_pixel_shape
from .gray_window import to_unsigned
from .raster_files import is_complete, pixel_shape, raster_geometry, raster_orientation

_RASTER_READERS = {
    ".png": vtk.vtkPNGReader,
    ".jpg": vtk.vtkJPEGReader,
    ".jpeg": vtk.vtkJPEGReader,
    ".tif": vtk.vtkTIFFReader,
    ".tiff": vtk.vtkTIFFReader,
    ".bmp": vtk.vtkBMPReader,
}
_HEADER = "file header"
_AS_STORED = 1  # ORIENTATION_TOPLEFT: the first row first, whatever the tag says
_LUMINANCE = np.array((0.299, 0.587, 0.114))  # of red, green and blue, ITU-R BT.601


def read_image(path: str) -> Radiograph:
    """Read a file at once; raises as ``begin_reading`` does."""
    return begin_reading(path)()


def begin_reading(path: str) -> Callable[[], Radiograph]:
    """Begin to read PNG, JPEG, TIFF, BMP, DICOM, NRRD or NIfTI.

    Color becomes luminance, and bone is bright in DICOM files of any photometric interpretation. PatientOrientation of
    DICOM files is not read; a server does that.

    Args:
        path: the file.

    Returns:
        A function that returns the image. It may run on any thread and takes most of the time; the MRML nodes by which
        all but PNG, JPEG, TIFF and BMP are read are used before this returns.

    Raises:
        OSError: there is no such file; the returned function raises it too.
        ValueError: it is not an image, is corrupt, or has several slices; the returned function raises it too. The
            message does not name the file.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file.name}")
    kind = _RASTER_READERS.get(file.suffix.lower())
    if kind is not None:
        return lambda: _read_raster(file, kind)
    image, geometry = _volume(file)
    return lambda: _read_volume(file, image, geometry)


def _radiograph(file: Path, gray: np.ndarray, info: ImageInfo) -> Radiograph:
    pixels = np.ascontiguousarray(to_unsigned(gray))
    pixels.setflags(write=False)
    return Radiograph(file_stem(str(file)), pixels, LOCAL, str(file), info)


def _read_raster(file: Path, kind: Any) -> Radiograph:
    content = file.read_bytes()
    if not is_complete(content, file.suffix.lower()):
        raise ValueError(f"it is not a {file.suffix[1:].upper()} image, or it is corrupt")
    gray = _raster_values(file, kind)
    height, width = gray.shape
    geometry, shape = raster_geometry(content, width, height), pixel_shape(content)
    warnings = () if shape is None else pixel_aspect_warnings(*shape, f"The {_HEADER}")
    info = ImageInfo(width, height, geometry, orientation=raster_orientation(content), warnings=warnings)
    return _radiograph(file, gray, info)


def _read_volume(file: Path, image: Any, geometry: ImageGeometry) -> Radiograph:
    """The image, with orientation and sides by the directions of its plane."""
    gray = _gray(image)
    with file.open("rb") as stream:
        shape = dicom_pixel_shape(stream.read(HEAD_BYTES)) or geometry.spacing
    geometry, warnings = geometry.with_pixels(*shape), pixel_aspect_warnings(*shape, f"The {_HEADER}")
    info = ImageInfo(gray.shape[1], gray.shape[0], geometry, warnings=warnings)
    plane = plane_of(axis_of(np.array(geometry.along_row)), axis_of(np.array(geometry.down_column)))
    if plane is not None and not plane.is_half_turned:  # which some programs write by default
        info = replace(
            info,
            image_left_is=plane.image_left_is,
            image_left_is_source=_HEADER if plane.image_left_is else "",
            orientation=plane.orientation,
            warnings=(*plane.warnings(f"The {_HEADER}"), *warnings),
        )
    return _radiograph(file, gray, info)


def _raster_values(file: Path, kind: Any) -> np.ndarray:
    """``(H, W)`` values in the raster of the file."""
    reader = kind()
    if kind is vtk.vtkTIFFReader:
        reader.SetOrientationType(_AS_STORED)
    errors: list[str] = []
    reader.AddObserver("ErrorEvent", lambda _, event: errors.append(event))
    reader.SetFileName(str(file))
    reader.Update()
    _check(reader.GetOutput(), bool(errors) or reader.GetErrorCode() != 0)
    pixels = _gray(reader.GetOutput())
    return pixels if kind is vtk.vtkTIFFReader else pixels[::-1]  # the others' first row is the lowest


def _volume(file: Path) -> tuple[Any, ImageGeometry]:
    """Image data and geometry of a file, by Slicer's own reader."""
    scene = slicer.vtkMRMLScene()
    volume, storage = slicer.vtkMRMLScalarVolumeNode(), slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(volume)
    scene.AddNode(storage)
    storage.SetFileName(str(file))
    storage.SetSingleFile(True)
    shows_errors = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        is_read = storage.ReadData(volume)
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shows_errors)
    if not is_read:
        kinds = "PNG, JPEG, TIFF, BMP, DICOM, NRRD or NIfTI"
        raise ValueError(f"Slicer cannot read it as an image ({kinds}), or it is corrupt")
    image = volume.GetImageData()
    _check(image, False)
    return image, _geometry(volume, _plane(image))


def _geometry(volume: Any, plane: tuple[int, int]) -> ImageGeometry:
    """Geometry of the volume's pixels in the scene.

    Args:
        volume: a volume node.
        plane: see ``_plane``.
    """
    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    to_lps = np.array([[to_ras.GetElement(i, j) for j in range(4)] for i in range(3)])
    to_lps[:2] *= -1.0
    steps = to_lps[:, plane].T  # (2, 3)
    spacing = np.linalg.norm(steps, axis=1)
    along_row, down_column = (tuple(step.tolist()) for step in steps / spacing[:, None])
    source = "none" if tuple(spacing) == (1.0, 1.0) else _HEADER
    return ImageGeometry(tuple(spacing.tolist()), tuple(to_lps[:, 3].tolist()), along_row, down_column, source)


def _plane(image: Any) -> tuple[int, int]:
    """Axes of rows and columns: all but one that has a single slice."""
    sizes = image.GetDimensions()
    single = max(axis for axis in range(3) if sizes[axis] == 1)
    across, down = (axis for axis in range(3) if axis != single)
    return across, down


def _check(image: Any, has_errors: bool) -> None:
    columns, rows, slices = (0, 0, 0) if image is None else image.GetDimensions()
    if min(columns, rows, slices) > 1:
        raise ValueError(f"it has {slices} slices; expected one radiograph")
    if has_errors or columns < 1 or rows < 1 or image.GetPointData().GetScalars() is None:
        raise ValueError("it is corrupt, truncated, or compressed in an unsupported way")


def _gray(image: Any) -> np.ndarray:
    """``(H, W)`` values in the order of the image."""
    across, down = _plane(image)
    columns, rows = image.GetDimensions()[across], image.GetDimensions()[down]
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)
    if values.shape[2] < len(_LUMINANCE):  # gray, possibly with opacity
        return np.array(values[..., 0])
    gray = values[..., : len(_LUMINANCE)] @ _LUMINANCE
    return np.rint(gray).astype(values.dtype) if values.dtype.kind == "u" else gray
