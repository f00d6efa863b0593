"""Films from files on this computer, read by Slicer's and VTK's own readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .answers import LOCAL, Film, ImageFacts
from .gray import film_values
from .picture_files import is_whole

_PICTURES = {
    ".png": vtk.vtkPNGReader,
    ".jpg": vtk.vtkJPEGReader,
    ".jpeg": vtk.vtkJPEGReader,
    ".tif": vtk.vtkTIFFReader,
    ".tiff": vtk.vtkTIFFReader,
    ".bmp": vtk.vtkBMPReader,
}
SUFFIXES = (*_PICTURES, ".dcm", ".dicom", ".nrrd", ".nii", ".nii.gz")
"""How names of files end that can be read, in lower case; a DICOM file may have any name."""

_LUMINANCE = np.array((0.299, 0.587, 0.114))  # of red, green and blue, ITU-R BT.601


def read_film(path: str) -> Film:
    """Read a film at once; see ``begin_reading``, whose errors this raises."""
    return begin_reading(path)()


def begin_reading(path: str) -> Callable[[], Film]:
    """Begin to read PNG, JPEG, TIFF, BMP, DICOM, NRRD or NIfTI.

    Colour becomes luminance, and bone is bright in DICOM files whatever their photometric interpretation. The side of
    the patient is not read: a server does that.

    Args:
        path: the file.

    Returns:
        What gives the film. It may run on any thread and takes most of the time; nodes of a scene, by which all but
        PNG, JPEG, TIFF and BMP are read, are used before this returns.

    Raises:
        OSError: there is no such file; what is returned raises it too.
        ValueError: it is no image, is damaged, or has several slices; what is returned raises it too. The sentence
            does not name the file.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file.name}")
    kind = _PICTURES.get(file.suffix.lower())
    if kind is not None:
        return lambda: _film(file, _picture(file, kind), (1.0, 1.0))
    image, spacing = _volume(file)
    return lambda: _film(file, _gray(image), spacing)


def _film(file: Path, gray: np.ndarray, spacing: tuple[float, float]) -> Film:
    pixels = np.ascontiguousarray(film_values(gray))
    facts = ImageFacts(pixels.shape[1], pixels.shape[0], spacing, "none" if spacing == (1.0, 1.0) else "file header")
    pixels.setflags(write=False)
    return Film(_stem(file), pixels, spacing, None, LOCAL, str(file), facts)


def _picture(file: Path, kind: Any) -> np.ndarray:
    if not is_whole(file):
        raise ValueError(f"it is no {file.suffix[1:].upper()} image, or it is damaged")
    reader = kind()
    errors: list[str] = []
    reader.AddObserver("ErrorEvent", lambda _, event: errors.append(event))
    reader.SetFileName(str(file))
    reader.Update()
    _check(reader.GetOutput(), bool(errors) or reader.GetErrorCode() != 0)
    pixels = _gray(reader.GetOutput())
    return pixels if kind is vtk.vtkTIFFReader else pixels[::-1]  # the others' first row is the lowest


def _volume(file: Path) -> tuple[Any, tuple[float, float]]:
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
        raise ValueError(f"it is no image that Slicer can read ({kinds}), or it is damaged")
    _check(volume.GetImageData(), False)
    x, y, _ = volume.GetSpacing()
    return volume.GetImageData(), (x, y)


def _check(image: Any, has_errors: bool) -> None:
    columns, rows, slices = (0, 0, 0) if image is None else image.GetDimensions()
    if slices > 1:
        raise ValueError(f"it has {slices} slices; expected one radiograph")
    if has_errors or columns < 1 or rows < 1 or image.GetPointData().GetScalars() is None:
        raise ValueError("it is damaged, cut short, or packed in a way that is not known here")


def _gray(image: Any) -> np.ndarray:
    """``(H, W)`` values in the order of the image."""
    columns, rows, _ = image.GetDimensions()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)
    if values.shape[2] < len(_LUMINANCE):  # gray, maybe with opacity
        return np.array(values[..., 0])
    gray = values[..., : len(_LUMINANCE)] @ _LUMINANCE
    return np.rint(gray).astype(values.dtype) if values.dtype.kind == "u" else gray


def _stem(file: Path) -> str:
    name = file.name
    ending: Optional[str] = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), None)
    return name[: -len(ending)] if ending else file.stem
