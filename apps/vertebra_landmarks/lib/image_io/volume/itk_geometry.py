"""Geometry and plane of a file as ITK, and so Slicer's own reader, takes them from its header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...spine.imaging.image_geometry import PIXELS, ImageGeometry, Vector
from ...spine.imaging.planes import axis_of, plane_of
from ..errors import UnreadableImageError
from ..margins import fill_margins
from ..pixel_shape import PixelShape, shaped_geometry
from ..radiograph import Millimetres, Radiograph
from ..raster.luminance import finite

sitk.ProcessObject.SetGlobalWarningDisplay(False)  # its complaints become UnreadableImageError

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
    """Geometry of a plane.

    Args:
        reader: with the header read.
        axes: the plane's axes, from ``plane_axes``.
        source: what states the spacing; ignored where that is 1 mm.
    """
    dimension = reader.GetDimension()
    direction = np.eye(max(dimension, 3))
    direction[:dimension, :dimension] = np.reshape(reader.GetDirection(), (dimension, dimension))
    spacing = (reader.GetSpacing()[axes[0]], reader.GetSpacing()[axes[1]])
    origin = (*reader.GetOrigin(), 0.0)[:3]
    along_row, down_column = (_vector(direction[:3, axis]) for axis in axes)
    return ImageGeometry(spacing, _vector(origin), along_row, down_column, source if spacing != (1.0, 1.0) else "none")


def raster_geometry(path: Path, image_io: str, source: str) -> ImageGeometry:
    """Geometry of a plain raster; 1 mm per pixel where ITK, and so Slicer, cannot read the file.

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
    """Geometry of the stored raster where ITK mirrors it.

    Args:
        geometry: of the raster as ITK presents it.
        width: of the raster.
        height: of the raster.
        across: whether ITK reverses the columns.
        down: whether ITK reverses the rows.
    """
    corner = np.array([(width - 1) if across else 0, (height - 1) if down else 0])
    return replace(
        geometry,
        origin=_vector(geometry.to_physical(corner)),
        along_row=_vector(np.array(geometry.along_row) * (-1 if across else 1) + 0.0),
        down_column=_vector(np.array(geometry.down_column) * (-1 if down else 1) + 0.0),
    )


def _vector(values: np.ndarray | tuple[float, ...]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def plane_radiograph(pixels: np.ndarray, geometry: ImageGeometry, source: str, may_be_default: bool) -> Radiograph:
    """The radiograph of a volume of one plane.

    Args:
        pixels: ``(H, W)``.
        geometry: of the plane, with the spacing of the header.
        source: part of the header that states the directions.
        may_be_default: whether an identity in RAS states nothing, since it is the default of the writing program.
    """
    plane = plane_of(axis_of(np.array(geometry.along_row)), axis_of(np.array(geometry.down_column)))
    # 1 mm is the default of headers that state no spacing
    millimetres = None if geometry.spacing == (1.0, 1.0) else Millimetres(*geometry.spacing, "file header")
    shapes = [] if millimetres is None else [PixelShape(f"The {millimetres.source}", millimetres.x, millimetres.y)]
    geometry, warnings = shaped_geometry(geometry, shapes)
    filled = fill_margins(finite(pixels))
    if plane is None:
        return Radiograph(filled, geometry, millimetres, warnings=warnings)
    is_stated = plane.orientation is not None and not (may_be_default and plane.is_half_turned)
    return Radiograph(
        filled,
        geometry,
        millimetres,
        plane.image_left_is,
        plane.orientation if is_stated else None,
        source if is_stated else "none",
        (*plane.warnings(source), *warnings),
    )
