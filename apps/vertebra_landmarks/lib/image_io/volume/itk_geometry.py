"""Where ITK, and so Slicer's own reader, places the pixels of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...spine.imaging.image_geometry import PIXELS, ImageGeometry, Vector
from ..radiograph import UnreadableImageError

sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what ITK complains about on the error stream is told as a sentence

_X, _Y, _Z = range(3)


def open_with_itk(path: Path, image_io: str) -> sitk.ImageFileReader:
    """A reader that has read the header.

    Args:
        path: file to read.
        image_io: ITK's name of the format, such as "NrrdImageIO".

    Raises:
        RuntimeError: ITK cannot read the header.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(image_io)
    reader.ReadImageInformation()
    return reader


def plane_axes(size: tuple[int, ...]) -> tuple[int, int]:
    """Which axes of a volume of one plane run along its rows and down its columns.

    Raises:
        UnreadableImageError: it has more than one plane.
    """
    longer = [axis for axis, length in enumerate(size) if length != 1]
    if len(longer) > 2 or any(axis > _Z for axis in longer):
        raise UnreadableImageError(f"expected one radiograph, got a volume of size {size}")
    if _Z in longer:
        return (longer[0], _Z) if len(longer) == 2 else (_X, _Z)
    return _X, _Y


def geometry_of(reader: sitk.ImageFileReader, axes: tuple[int, int] = (_X, _Y), source: str = "none") -> ImageGeometry:
    """Where ITK places the pixels of a plane.

    Args:
        reader: with the header read.
        axes: the plane's axes, from ``plane_axes``.
        source: what states the spacing; left out where that is 1 mm.
    """
    dimension = reader.GetDimension()
    direction = np.eye(max(dimension, 3))
    direction[:dimension, :dimension] = np.reshape(reader.GetDirection(), (dimension, dimension))
    spacing = (reader.GetSpacing()[axes[0]], reader.GetSpacing()[axes[1]])
    origin = (*reader.GetOrigin(), 0.0)[:3]
    along_row, down_column = (_vector(direction[:3, axis]) for axis in axes)
    return ImageGeometry(spacing, _vector(origin), along_row, down_column, source if spacing != (1.0, 1.0) else "none")


def raster_geometry(path: Path, image_io: str, source: str) -> ImageGeometry:
    """The same for a plain raster; 1 mm per pixel where ITK, and so Slicer, cannot read the file.

    Args:
        path: file to read.
        image_io: ITK's name of the format.
        source: what states the spacing.
    """
    try:
        return geometry_of(open_with_itk(path, image_io), source=source)
    except (RuntimeError, ValueError):
        return PIXELS


def mirrored(geometry: ImageGeometry, width: int, height: int, across: bool, down: bool) -> ImageGeometry:
    """The geometry of the stored raster where ITK presents that one mirrored.

    Args:
        geometry: where ITK places the pixels of the raster that it presents.
        width: of the raster.
        height: of the raster.
        across: whether ITK reverses the columns.
        down: whether ITK reverses the rows.
    """
    corner = np.array([(width - 1) if across else 0, (height - 1) if down else 0])
    return ImageGeometry(
        geometry.spacing,
        _vector(geometry.to_physical(corner)),
        _vector(np.array(geometry.along_row) * (-1 if across else 1) + 0.0),
        _vector(np.array(geometry.down_column) * (-1 if down else 1) + 0.0),
        geometry.source,
    )


def _vector(values: np.ndarray | tuple[float, ...]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
