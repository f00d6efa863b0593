"""Converts stored values of DICOM images to gray values with bright bone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.pixel_data_handlers.util import apply_color_lut

from ...spine.measurement.image_warnings import POLARITY, ImageWarning
from ..errors import UnreadableImageError
from ..margins import fill_padding
from ..raster.luminance import inverted, luminance
from .pixels import StoredValues
from .tags import TAG_ERRORS, code_of, contradiction, integer_of, numbers_of, value_of

_MIN_TREND = 0.5  # correlation of a VOI LUT with a straight line; tables of polarity are near 1
_MONOCHROME1, _MONOCHROME2, _PALETTE = "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"
_RGB = ("RGB", "YBR_ICT", "YBR_RCT")  # decoders of JPEG 2000 convert the latter two
_YBR = ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
_PHOTOMETRIC = "PhotometricInterpretation"
_FOR_PROCESSING, _FOR_PROCESSING_CLASSES = "FOR PROCESSING", ("1.2.840.10008.5.1.4.1.1.1.1.1",)
_JPEG_PREFIX = "1.2.840.10008.1.2.4."

Pixels = tuple[np.ndarray, tuple[ImageWarning, ...]]


@dataclass(frozen=True)
class Polarity:
    """Whether gray values must be inverted so that bone is bright, and warnings about it."""

    is_inverted: bool
    warnings: tuple[ImageWarning, ...] = ()


def gray_pixels(stored: StoredValues, tags: pydicom.Dataset) -> Pixels:
    """Gray values with bright bone and dark padding.

    Args:
        stored: decoded Pixel Data.
        tags: of the image.

    Raises:
        UnreadableImageError: a lookup table is damaged, or the photometric interpretation is not supported.
    """
    photometric = code_of(tags, _PHOTOMETRIC)
    if stored.values.ndim == 3:
        return _color_to_gray(stored.values, photometric, tags), ()
    if photometric == _PALETTE:
        return _palette_to_gray(stored.values, tags), ()
    if photometric in _YBR:
        return stored.values, ()
    if photometric not in (_MONOCHROME1, _MONOCHROME2, ""):
        raise UnreadableImageError(
            f"the tag {_PHOTOMETRIC} is {photometric}, "
            "expected MONOCHROME1, MONOCHROME2, RGB, YBR_FULL or PALETTE COLOR"
        )
    values, direction = _modality_values(stored.values, tags)
    polarity = polarity_of(tags, direction)
    if polarity.is_inverted:
        values = inverted(values, stored.white if values is stored.values else None)
    if stored.padding is not None:
        values = fill_padding(values, stored.padding)
    return values, polarity.warnings


def _color_to_gray(values: np.ndarray, photometric: str, tags: pydicom.Dataset) -> np.ndarray:
    syntax = str(getattr(getattr(tags, "file_meta", None), "TransferSyntaxUID", ""))
    if photometric in _RGB or (photometric in _YBR and syntax.startswith(_JPEG_PREFIX)):
        return luminance(values)
    if photometric in _YBR:
        return np.ascontiguousarray(values[..., 0])
    raise UnreadableImageError(
        f"the tag {_PHOTOMETRIC} is {photometric or 'absent'} and SamplesPerPixel is 3, expected RGB or YBR_FULL"
    )


def _palette_to_gray(values: np.ndarray, tags: pydicom.Dataset) -> np.ndarray:
    try:
        return luminance(apply_color_lut(values, tags))
    except (*TAG_ERRORS, IndexError) as error:
        raise UnreadableImageError(
            f"the tag {_PHOTOMETRIC} is PALETTE COLOR, but the PaletteColorLookupTable tags are damaged ({error})"
        ) from error


def _modality_values(values: np.ndarray, tags: pydicom.Dataset) -> tuple[np.ndarray, int]:
    """Values after Modality LUT Sequence or Rescale, and whether they rise (1) or fall (-1) with the stored ones."""
    if value_of(tags, "ModalityLUTSequence"):
        try:
            item = tags.ModalityLUTSequence[0]
            table, first = lut_values(item, tags.is_little_endian), int(item.LUTDescriptor[1])
        except (*TAG_ERRORS, IndexError) as error:
            raise UnreadableImageError(f"the tag ModalityLUTSequence is damaged ({error})") from error
        looked_up = table[np.clip(values.astype(np.int64) - first, 0, len(table) - 1)]
        return looked_up, -1 if int(table[-1]) < int(table[0]) else 1
    slope, intercept = (numbers_of(tags, f"Rescale{name}") for name in ("Slope", "Intercept"))
    if not slope or slope[0] == 0:
        return values, 1
    return _rescaled(values, slope[0], intercept[0] if intercept else 0.0), 1 if slope[0] > 0 else -1


def _rescaled(values: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Whole numbers where all are, else float32."""
    if (slope, intercept) == (1.0, 0.0):
        return values
    ends = [slope * float(end) + intercept for end in (values.min(), values.max())]
    if slope == int(slope) and intercept == int(intercept) and max(map(abs, ends)) < 2**31:
        return values.astype(np.int64 if values.itemsize > 2 else np.int32) * int(slope) + int(intercept)
    precision = np.float32 if values.itemsize <= 2 else np.float64
    rescaled: np.ndarray = np.multiply(values, slope, dtype=precision)
    rescaled += intercept
    return rescaled


def polarity_of(tags: pydicom.Dataset, direction: int = 1) -> Polarity:
    """The polarity that the tags state.

    Images for presentation: PhotometricInterpretation, PresentationLUTShape INVERSE and a falling VOI LUT, in the order
    in which DICOM applies them. Images for processing: PixelIntensityRelationshipSign, else the same.

    Args:
        tags: of the image.
        direction: 1 where the values rise with the stored ones, -1 where they fall.
    """
    shown, warnings = _display_polarity(tags)
    sign = integer_of(tags, "PixelIntensityRelationshipSign")
    by_sign = sign * direction > 0 if sign in (1, -1) else None  # 1: large values for much radiation, so dark bone
    stated, stated_sign = _stated_polarity(tags), f"PixelIntensityRelationshipSign is {sign}"
    if not _is_for_processing(tags):
        if by_sign is not None and by_sign != shown:
            warnings = (*warnings, contradiction(f"{stated_sign} but {stated}; {_obeyed_tag(tags)} was obeyed"))
        return Polarity(shown, (*warnings, *_absent_photometric(tags)))
    if by_sign is not None:
        if shown and not by_sign:
            sentence = f"{stated} but {stated_sign} and the image is for processing"
            warnings = (*warnings, contradiction(f"{sentence}; PixelIntensityRelationshipSign was obeyed"))
        return Polarity(by_sign, warnings)
    if _voi_direction(tags):
        return Polarity(shown, warnings)
    sentence = (
        "DICOM tag PresentationIntentType is FOR PROCESSING and PixelIntensityRelationshipSign is absent: whether bone "
        f"is bright was taken from {stated}"
    )
    return Polarity(shown, (*warnings, ImageWarning(POLARITY, sentence)))


def _display_polarity(tags: pydicom.Dataset) -> tuple[bool, tuple[ImageWarning, ...]]:
    photometric, shape = code_of(tags, _PHOTOMETRIC), code_of(tags, "PresentationLUTShape")
    is_inverted = photometric == _MONOCHROME1 or shape == "INVERSE"
    warnings: list[ImageWarning] = []
    if shape == "INVERSE" and photometric == _MONOCHROME2:
        warnings.append(
            contradiction(f"{_PHOTOMETRIC} is MONOCHROME2 but PresentationLUTShape is INVERSE; the latter was obeyed")
        )
    if shape == "IDENTITY" and photometric == _MONOCHROME1:
        warnings.append(
            contradiction(f"PresentationLUTShape is IDENTITY but {_PHOTOMETRIC} is MONOCHROME1; the latter was obeyed")
        )
    if _voi_direction(tags) < 0:
        if is_inverted:
            warnings.append(
                contradiction(
                    f"VOILUTSequence falls and {_stated_polarity(tags)}; both were obeyed, one after the other"
                )
            )
        is_inverted = not is_inverted
    return is_inverted, tuple(warnings)


def _is_for_processing(tags: pydicom.Dataset) -> bool:
    intent = code_of(tags, "PresentationIntentType")
    return intent == _FOR_PROCESSING or (not intent and value_of(tags, "SOPClassUID") in _FOR_PROCESSING_CLASSES)


def _stated_polarity(tags: pydicom.Dataset) -> str:
    shape = code_of(tags, "PresentationLUTShape")
    return (
        f"PresentationLUTShape is {shape}" if shape == "INVERSE" else f"{_PHOTOMETRIC} is {code_of(tags, _PHOTOMETRIC)}"
    )


def _obeyed_tag(tags: pydicom.Dataset) -> str:
    if _voi_direction(tags) < 0:
        return "VOILUTSequence"
    return "PresentationLUTShape" if code_of(tags, "PresentationLUTShape") == "INVERSE" else _PHOTOMETRIC


def _absent_photometric(tags: pydicom.Dataset) -> tuple[ImageWarning, ...]:
    if code_of(tags, _PHOTOMETRIC):
        return ()
    return (ImageWarning(POLARITY, f"DICOM tag {_PHOTOMETRIC} is absent: large values were taken for bright"),)


def _voi_direction(tags: pydicom.Dataset) -> int:
    """1 where the first VOI LUT rises, -1 where it falls, 0 without one or where it is not monotonic on the whole."""
    sequence = value_of(tags, "VOILUTSequence")
    if not sequence:
        return 0
    try:
        table = lut_values(sequence[0], tags.is_little_endian)  # type: ignore[index]
    except (*TAG_ERRORS, IndexError):
        return 0
    if len(table) < 2 or table.min() == table.max():
        return 0
    trend = float(np.corrcoef(np.arange(len(table)), table)[0, 1])
    return int(np.sign(trend)) if abs(trend) >= _MIN_TREND else 0


def lut_values(item: pydicom.Dataset, is_little_endian: bool) -> np.ndarray:
    """The table of one item of a LUT sequence.

    Args:
        item: with LUTDescriptor and LUTData.
        is_little_endian: order of the bytes in the file.

    Returns:
        ``(N,)`` uint16.

    Raises:
        ValueError: the table is shorter than its descriptor says.
    """
    data, entries = item.LUTData, int(item.LUTDescriptor[0]) or 65536
    if isinstance(data, bytes):
        size = 1 if len(data) < 2 * entries else 2
        order = "<" if is_little_endian else ">"
        data = np.frombuffer(data, f"{order}u{size}")
    table = np.atleast_1d(np.asarray(data, dtype=np.int64))[:entries]
    if len(table) < entries or table.min() < 0 or table.max() > 65535:
        raise ValueError(f"LUTData has {len(table)} values of 16 bits, expected {entries} by LUTDescriptor")
    return table.astype(np.uint16)
