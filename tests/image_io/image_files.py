"""Image files that the tests of reading write: one small image in any container, orientation and sample type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lib.spine.imaging.orientation import EXIF_ORIENTATIONS

DIGITAL_XRAY = "1.2.840.10008.5.1.4.1.1.1.1"
COMPRESSED = {
    "jpeg": ("1.2.840.10008.1.2.4.50", lambda a: imagecodecs.jpeg8_encode(a, level=95)),
    "jpeg lossless": ("1.2.840.10008.1.2.4.70", imagecodecs.ljpeg_encode),
    "jpeg-ls": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    "jpeg 2000": ("1.2.840.10008.1.2.4.90", lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", level=0)),
    "rle": ("1.2.840.10008.1.2.5", lambda a: run_lengths(a)),
}
"""Transfer syntaxes with an encoder."""


def asymmetric(height: int = 96, width: int = 64, top: int = 4000) -> np.ndarray:
    """``(H, W)`` uint16, smooth, unlike itself in every other orientation, with one brightest pixel off the middle."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = 400 + 0.6 * top * (y**2 + 0.3 * x) / 1.3 + 0.1 * top * np.sin(9 * x + 4 * y)
    image = np.clip(image, 100, 0.9 * top).astype(np.uint16)
    image[24:32, 8:16] = top  # a block of JPEG
    image[27, 10] = top + 60
    return image


def stored_as(upright: np.ndarray, exif: int) -> np.ndarray:
    """The raster that an orientation tag turns into ``upright``."""
    height, width = upright.shape[:2]
    orientation = EXIF_ORIENTATIONS[exif]
    turned = np.rot90(upright, orientation.quarter_turns)
    stored = turned[:, ::-1] if orientation.is_mirrored else turned
    np.testing.assert_array_equal(orientation.upright_pixels(stored), upright)
    assert orientation.size(*stored.shape[1::-1]) == (width, height)
    return np.ascontiguousarray(stored)


def write_dicom(path: Path, pixels: np.ndarray, photometric: str = "MONOCHROME2", **tags: Any) -> Path:
    """Write a small DX image, ``(H, W)``, ``(H, W, 3)`` for RGB or ``(frames, H, W)``.

    ``compression`` is one of ``COMPRESSED``; ``file_bytes`` are written in place of the whole Pixel Data.
    """
    compression, data = tags.pop("compression", None), tags.pop("file_bytes", None)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DIGITAL_XRAY, generate_uid()
    meta.TransferSyntaxUID = COMPRESSED[compression][0] if compression else ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SOPClassUID, dataset.SOPInstanceUID = DIGITAL_XRAY, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientName, dataset.PatientID = "DX", "Nobody", "0"
    is_color = pixels.ndim == 3 and pixels.shape[-1] == 3 and photometric.startswith(("RGB", "YBR"))
    dataset.Rows, dataset.Columns = pixels.shape[:2] if is_color else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if is_color else 1
    if is_color:
        dataset.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.PhotometricInterpretation = photometric
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = tags.pop("BitsStored", dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    for name, value in tags.items():
        setattr(dataset, name, value)
    if data is None:
        data = encapsulate([COMPRESSED[compression][1](pixels)]) if compression else pixels.tobytes()
    dataset.PixelData = data
    dataset["PixelData"].is_undefined_length = compression is not None
    dataset.save_as(str(path))
    return path


def run_lengths(pixels: np.ndarray) -> bytes:
    """A DICOM RLE frame of ``(H, W)`` integers."""
    planes = [np.ascontiguousarray(plane) for plane in pixels.astype(f">u{pixels.itemsize}")[..., None].view("u1").T]
    segments = [b"".join(imagecodecs.packbits_encode(line.tobytes()) for line in plane.T) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    header = [len(segments), *offsets, *[0] * (15 - len(segments))]
    return np.array(header, "<u4").tobytes() + b"".join(segments)


def lut(values: np.ndarray, first: int = 0, bits: int = 16) -> Dataset:
    """One item of a LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(values) % 65536, first, bits]
    item.LUTData = values.astype("<u2").tobytes()
    for name, kind in (("LUTDescriptor", "US"), ("LUTData", "OW")):
        item[name].VR = kind
    return item


def write_tiff(path: Path, pixels: np.ndarray, orientation: int | None = None, **options: Any) -> Path:
    """Write a TIFF file with the orientation tag, if one is given."""
    extra = [] if orientation is None else [(274, "H", 1, orientation, True)]
    options.setdefault("photometric", "minisblack")
    tifffile.imwrite(path, pixels, extratags=extra, metadata=None, **options)
    return path


def write_photograph(path: Path, pixels: np.ndarray, orientation: int | None = None, **options: Any) -> Path:
    """Write a PNG or JPEG file with EXIF orientation, if one is given."""
    if orientation is not None:
        exif = Image.Exif()
        exif[274] = orientation
        options["exif"] = exif
    Image.fromarray(pixels).save(path, **options)
    return path


def write_volume(
    path: Path,
    pixels: np.ndarray,
    row: tuple[int, int, int],
    column: tuple[int, int, int],
    spacing: tuple[float, float] = (0.2, 0.3),
    origin: tuple[float, float, float] = (11.0, -22.0, 33.0),
    axes: tuple[int, int] = (0, 1),
) -> Path:
    """Write one plane as NIfTI or NRRD whose rows and columns run in given directions of LPS."""
    shape, steps = [1, 1, 1], [1.0, 1.0, 1.0]
    for axis, length, step in zip(axes, pixels.shape[::-1], spacing, strict=True):
        shape[axis], steps[axis] = length, step
    directions = np.zeros((3, 3))
    (other,) = {0, 1, 2} - set(axes)
    directions[:, axes[0]], directions[:, axes[1]] = row, column
    directions[:, other] = np.cross(row, column) * (1 if (axes[0], axes[1], other) in ((0, 1, 2), (1, 2, 0)) else -1)
    image = sitk.GetImageFromArray(pixels.reshape(shape[::-1]))
    image.SetSpacing(steps)
    image.SetOrigin(origin)
    image.SetDirection(directions.ravel())
    sitk.WriteImage(image, str(path))
    return path
