"""Reading a radiograph from a file, whatever its format, into one gray image with the pixels of the original."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from PIL import Image, UnidentifiedImageError
from pydicom.errors import BytesLengthException, InvalidDicomError

from ..spine.image_frame import ImageFrame
from ..spine.image_geometry import PIXELS, ImageGeometry
from ..spine.image_warnings import ImageWarning
from ..spine.orientation import UPRIGHT, Orientation

_DICOM_SUFFIXES = (".dcm", ".dicom")
_NIFTI_SUFFIXES = (".nii", ".nii.gz")
_ITK_SUFFIXES = (".nrrd", *_NIFTI_SUFFIXES)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", *_DICOM_SUFFIXES, *_ITK_SUFFIXES)
"""File names, in lower case, that are taken for images when a folder is listed."""

MAX_PIXELS = 100_000_000
_LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601, as Pillow has it
_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
_PILLOW_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")  # Pillow would hand others, as EPS, to programs of the system
_TAG_ERRORS = (TypeError, ValueError, struct.error, NotImplementedError, BytesLengthException)
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, struct.error, EOFError)


class UnreadableImageError(ValueError):
    """A file holds no image that this project can read; the message says which file and why."""


@dataclass(frozen=True)
class Millimetres:
    """Size of a pixel in the patient, for measuring; it may differ from what Slicer's reader takes for the spacing.

    Attributes:
        x: width of a pixel.
        y: height of a pixel.
        source: the tag or the kind of header that says so.
    """

    x: float
    y: float
    source: str


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One gray image.

    Attributes:
        pixels: ``(H, W)`` values in the raster of the file, bright bone, never resized or turned.
        geometry: where Slicer's own reader places the pixels.
        millimetres: size of a pixel in the patient; ``None`` where the file does not state it.
        image_left_is: the patient's side, "left" or "right", at the left of the upright image; ``None`` where the file
            does not state it.
        orientation: how the file says that the raster must be turned to stand upright; ``None`` where it says nothing.
        orientation_source: which tag or header says so, with its value; "none" where nothing does.
        warnings: what reading the file gave reason to doubt.
    """

    pixels: np.ndarray
    geometry: ImageGeometry = PIXELS
    millimetres: Millimetres | None = None
    image_left_is: str | None = None
    orientation: Orientation | None = None
    orientation_source: str = "none"
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def frame(self) -> ImageFrame:
        """What measuring needs to know about the image."""
        return ImageFrame(self.width, self.height, self.orientation, self.image_left_is)

    def upright(self, orientation: Orientation) -> Radiograph:
        """The same image with its raster brought upright; what the file says about the raster is left behind.

        Args:
            orientation: how to turn the stored raster.
        """
        if orientation.is_upright:
            return self
        pixels = np.ascontiguousarray(orientation.upright_pixels(self.pixels))
        return Radiograph(pixels, image_left_is=self.image_left_is, orientation=UPRIGHT)

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])


def is_image_name(path: Path) -> bool:
    """Whether the file's name ends like an image's."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def is_dicom(path: Path) -> bool:
    """Whether the file begins like a DICOM file, whatever its name.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(_DICOM_MAGIC_AT + len(_DICOM_MAGIC))[_DICOM_MAGIC_AT:] == _DICOM_MAGIC


def read_radiograph(path: Path) -> Radiograph:
    """Read PNG, JPEG, TIFF, BMP, DICOM (DX, CR), NRRD or NIfTI.

    Colour becomes luminance; orientation tags of photographs are ignored, as Slicer ignores them. DICOM files with
    MONOCHROME1 are inverted so that bone is bright.

    Args:
        path: file to read.

    Raises:
        UnreadableImageError: there is no such file, it is no image, is damaged, has several slices, or is too large.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableImageError(f"{path.name}: there is no such file")
    try:
        size = path.stat().st_size
        dicom = path.name.lower().endswith(_DICOM_SUFFIXES) or is_dicom(path)
    except OSError as error:
        raise UnreadableImageError(f"{path.name}: cannot be opened ({error.strerror})") from error
    if size == 0:
        raise UnreadableImageError(f"{path.name}: the file is empty")
    if dicom:
        return _read_dicom(path)
    if path.name.lower().endswith(_ITK_SUFFIXES):
        image = _read_with_itk(path)
        if path.name.lower().endswith(_NIFTI_SUFFIXES):
            _check_whole_nifti(path)
        spacing = (image.GetSpacing()[0], image.GetSpacing()[1])
        if spacing == (1.0, 1.0):
            return Radiograph(_gray_plane(image, path))
        geometry = ImageGeometry(spacing, source="file header")
        return Radiograph(_gray_plane(image, path), geometry, Millimetres(*spacing, "file header"))
    return Radiograph(_read_with_pillow(path))


def _read_with_pillow(path: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_PILLOW_FORMATS) as image:
                _check_size(path, image.width, image.height)
                pages = getattr(image, "n_frames", 1)
                if image.format == "TIFF" and pages > 1:
                    raise UnreadableImageError(f"{path.name}: expected one radiograph, got {pages} pages")
                image.load()
                has_wide_pixels = image.mode in ("I", "F") or image.mode.startswith("I;16")
                pixels = np.array(image if has_wide_pixels else image.convert("L"))
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"{path.name}: too many pixels, at most {MAX_PIXELS:,} are read") from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(f"{path.name}: not an image in a known format (PNG, JPEG, DICOM, ...)") from error
    except _PILLOW_ERRORS as error:
        raise UnreadableImageError(f"{path.name}: the image is damaged or cut short ({error})") from error
    return _finite(pixels)


def _read_with_itk(path: Path) -> sitk.Image:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_size(path, *reader.GetSize()[:2])
        _check_plane(path, reader.GetSize())  # before the pixels are unpacked, which can take all memory
        return reader.Execute()
    except RuntimeError as error:
        raise UnreadableImageError(f"{path.name}: the image is damaged or of an unknown kind") from error


def _check_whole_nifti(path: Path) -> None:
    """ITK fills up what a NIfTI file lacks, without a word."""
    try:
        np.asanyarray(nibabel.load(path).dataobj)
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise UnreadableImageError(f"{path.name}: the image is damaged or cut short") from error


def _gray_plane(image: sitk.Image, path: Path) -> np.ndarray:
    pixels = sitk.GetArrayFromImage(image)
    if pixels.dtype.kind not in "uif":
        raise UnreadableImageError(f"{path.name}: expected gray values, got {pixels.dtype} pixels")
    if image.GetNumberOfComponentsPerPixel() > 1:
        pixels = pixels[..., : len(_LUMINANCE)] @ np.array(_LUMINANCE[: pixels.shape[-1]])
    return _finite(pixels.reshape(image.GetSize()[1], image.GetSize()[0]))


def _read_dicom(path: Path) -> Radiograph:
    image = _read_with_itk(path)
    try:
        tags = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except (InvalidDicomError, OSError, *_TAG_ERRORS) as error:
        raise UnreadableImageError(f"{path.name}: the DICOM header is damaged") from error
    spacing = (image.GetSpacing()[0], image.GetSpacing()[1])
    return Radiograph(
        _gray_plane(image, path),
        ImageGeometry(spacing, source=_dicom_spacing_source(tags, spacing)),
        _dicom_millimetres(tags),
        _image_left_is(tags),
    )


def _dicom_millimetres(tags: pydicom.Dataset) -> Millimetres | None:
    """PixelSpacing, which is calibrated; else ImagerPixelSpacing, divided by the magnification where that is known.

    Without a magnification the latter is the size at the detector, and what is measured comes out up to a sixth too
    large; its source says so.
    """
    calibrated = _numbers(tags, "PixelSpacing")
    if len(calibrated) == 2:
        return Millimetres(calibrated[1], calibrated[0], "PixelSpacing")
    at_detector = _numbers(tags, "ImagerPixelSpacing")
    if len(at_detector) != 2:
        return None
    magnification = _numbers(tags, "EstimatedRadiographicMagnificationFactor")
    if len(magnification) != 1:
        return Millimetres(at_detector[1], at_detector[0], "ImagerPixelSpacing, at the detector")
    x, y = at_detector[1] / magnification[0], at_detector[0] / magnification[0]
    return Millimetres(x, y, "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor")


def _numbers(tags: pydicom.Dataset, name: str) -> list[float]:
    """Values of a tag that holds positive numbers; none where it is absent or malformed."""
    try:
        value = tags.get(name)
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        values = [float(v) for v in (value if is_list else [] if value is None else [value])]
    except _TAG_ERRORS:
        return []
    return values if all(0 < v < float("inf") for v in values) else []


def _image_left_is(tags: pydicom.Dataset) -> str | None:
    """The patient's side at the left of the image, by PatientOrientation, else by ViewPosition.

    PatientOrientation names the patient's side towards which the rows run. ViewPosition tells from where the beam
    came; the image is then taken as seen along the beam, as the detector records it.
    """
    along_rows = _words(tags, "PatientOrientation")[:1]
    if along_rows and along_rows[0][:1] in ("L", "R"):
        return "right" if along_rows[0][0] == "L" else "left"
    view = _words(tags, "ViewPosition")
    return {"AP": "right", "PA": "left"}.get(view[0]) if len(view) == 1 else None


def _words(tags: pydicom.Dataset, name: str) -> list[str]:
    """Values of a tag that holds code words, in capitals; none where it is absent or malformed."""
    try:
        value = tags.get(name)
    except _TAG_ERRORS:
        return []
    values = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else ()
    return [str(word).strip().upper() for word in values]


def _dicom_spacing_source(tags: pydicom.Dataset, spacing: tuple[float, float]) -> str:
    for name in ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"):
        stated = _numbers(tags, name)
        if len(stated) == 2 and np.allclose(stated[::-1], spacing, rtol=1e-4):
            return name
    return "none"


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(f"{path.name}: {width} x {height} pixels, at most {MAX_PIXELS:,} are read")


def _check_plane(path: Path, size: tuple[int, ...]) -> None:
    if any(length != 1 for length in size[2:]):
        raise UnreadableImageError(f"{path.name}: expected one radiograph, got a volume of size {size}")


def _finite(pixels: np.ndarray) -> np.ndarray:
    return np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0) if pixels.dtype.kind == "f" else pixels
