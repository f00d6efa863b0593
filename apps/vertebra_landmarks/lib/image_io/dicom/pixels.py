"""Decodes Pixel Data of DICOM images and checks that it is complete and which bits are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
import pydicom
from pydicom import encaps, uid

from ...spine.measurement.image_warnings import ImageWarning
from ..errors import UnreadableImageError, check_size, cut_short, error_text
from .codestreams import check_all_decoded, check_codestream, check_end
from .tags import code_of, contradiction, integer_of, value_of

_DECODE_ERRORS = (RuntimeError, ValueError, TypeError, EOFError, IndexError, OverflowError)
_RLE = "RLE"
_DECODERS: dict[str, Callable[[bytes], np.ndarray] | str] = {
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg_decode,  # baseline, 8 bits
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg_decode,  # extended, 12 bits
    "1.2.840.10008.1.2.4.57": imagecodecs.jpeg_decode,  # lossless
    "1.2.840.10008.1.2.4.70": imagecodecs.jpeg_decode,  # lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,  # lossless
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,  # near-lossless
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,  # lossless
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
    str(uid.RLELossless): _RLE,
}
_UNCOMPRESSED = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
READABLE_SYNTAXES = frozenset((*map(str, _UNCOMPRESSED), *_DECODERS))
"""UIDs of the transfer syntaxes that can be read."""
_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
_MAX_RELATIVE_ROUGHNESS = 0.5  # of the values of the stored bits over all values, where the bits above are graphics
_MAX_ROUGHNESS_LINES = 64


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Decoded Pixel Data.

    Attributes:
        values: ``(H, W)`` or ``(H, W, 3)`` integers.
        padding: ``(H, W)`` which values are padding by the header; ``None`` where it declares none.
        white: largest value of the stored bits of an unsigned image.
        warnings: about tags that contradict the values.
    """

    values: np.ndarray
    padding: np.ndarray | None
    white: int
    warnings: tuple[ImageWarning, ...] = ()


def check_image(tags: pydicom.Dataset) -> None:
    """Check that a dataset holds one image of a readable kind and size.

    Raises:
        UnreadableImageError: it does not; the message names the tag, its value and the expected one.
    """
    if not tags:
        raise UnreadableImageError("damaged or of an unknown kind: the file has no DICOM tags")
    kind = getattr(getattr(tags, "file_meta", None), "MediaStorageSOPClassUID", None)
    if kind == uid.MediaStorageDirectoryStorage:
        raise UnreadableImageError("the file is a DICOMDIR, a table of contents; expected an image")
    for name in ("Rows", "Columns"):
        if not _integer(tags, name, 0):
            raise UnreadableImageError(_missing_tag_message(tags, name))
    check_size(_integer(tags, "Columns"), _integer(tags, "Rows"))
    frames = integer_of(tags, "NumberOfFrames") or 1
    if frames != 1:
        raise UnreadableImageError(f"expected one radiograph, got a volume: the tag NumberOfFrames is {frames}")
    samples = _integer(tags, "SamplesPerPixel", 1)
    if samples not in (1, 3):
        raise UnreadableImageError(f"the tag SamplesPerPixel is {samples}, expected 1 or 3")
    allocated, stored = _integer(tags, "BitsAllocated"), _bits_stored(tags)
    if allocated not in (8, 16, 32):
        raise UnreadableImageError(f"the tag BitsAllocated is {allocated}, expected 8, 16 or 32")
    if not 1 <= stored <= allocated:
        raise UnreadableImageError(f"the tag BitsStored is {stored}, expected 1 to BitsAllocated, which is {allocated}")
    if "PixelData" not in tags:
        raise UnreadableImageError(_missing_tag_message(tags, "PixelData"))


def _missing_tag_message(tags: pydicom.Dataset, name: str) -> str:
    value = value_of(tags, name)
    if value not in (None, ""):
        return f"the tag {name} is {value!r:.40}, expected a positive number"
    return f"damaged or of an unknown kind: the tag {name} is absent; the file has no image, or is cut short"


def _integer(tags: pydicom.Dataset, name: str, default: int | None = None) -> int:
    value = integer_of(tags, name)
    if value is None and default is None:
        raise UnreadableImageError(f"the tag {name} is {value_of(tags, name)!r:.40}, expected a whole number")
    return int(default if value is None else value)  # type: ignore[arg-type]


def _bits_stored(tags: pydicom.Dataset) -> int:
    return _integer(tags, "BitsStored", _integer(tags, "BitsAllocated"))


def stored_values(tags: pydicom.Dataset) -> StoredValues:
    """Decode Pixel Data.

    Raises:
        UnreadableImageError: it is cut short, damaged, or of an unsupported kind.
    """
    syntax = _transfer_syntax(tags)
    decoder = _DECODERS.get(syntax)
    if decoder is not None:
        raw = _decompressed(tags, decoder)
    elif syntax in _UNCOMPRESSED:
        raw = _uncompressed(tags)
    else:
        raise UnreadableImageError(
            f"the tag TransferSyntaxUID is {syntax} ({uid.UID(syntax).name}), expected an uncompressed image, JPEG, "
            "JPEG-LS, JPEG 2000 or RLE"
        )
    if raw.ndim == 3:
        return StoredValues(raw, None, (1 << _bits_stored(tags)) - 1)
    return _meaningful_bits(raw, tags)


def _transfer_syntax(tags: pydicom.Dataset) -> str:
    stated = getattr(getattr(tags, "file_meta", None), "TransferSyntaxUID", None)
    if stated:
        return str(stated)
    return str(uid.ImplicitVRLittleEndian if tags.is_implicit_VR else uid.ExplicitVRLittleEndian)


def _shape(tags: pydicom.Dataset) -> tuple[int, ...]:
    samples = _integer(tags, "SamplesPerPixel", 1)
    size = _integer(tags, "Rows"), _integer(tags, "Columns")
    return size if samples == 1 else (*size, samples)


def _uncompressed(tags: pydicom.Dataset) -> np.ndarray:
    shape, data = _shape(tags), tags.PixelData
    item = _integer(tags, "BitsAllocated") // 8
    is_subsampled = code_of(tags, "PhotometricInterpretation") in _SUBSAMPLED and len(shape) == 3
    count = shape[0] * shape[1] * (2 if is_subsampled else shape[-1] if len(shape) == 3 else 1)
    if not isinstance(data, bytes) or len(data) < count * item:
        raise cut_short("the tag PixelData", len(data) if isinstance(data, bytes) else 0, count * item)
    order = "<" if tags.is_little_endian else ">"
    values = np.frombuffer(data, f"{order}u{item}", count).astype(f"=u{item}")
    if is_subsampled:  # Y1 Y2 Cb Cr for two pixels, of which the luminance is kept
        return values.reshape(-1, 4)[:, :2].reshape(shape[:2])
    if len(shape) == 3 and integer_of(tags, "PlanarConfiguration") == 1:
        return np.moveaxis(values.reshape(shape[2], *shape[:2]), 0, -1)
    return values.reshape(shape)


def _decompressed(tags: pydicom.Dataset, decoder: Callable[[bytes], np.ndarray] | str) -> np.ndarray:
    shape = _shape(tags)
    try:
        frames = encaps.generate_pixel_data_frame(tags.PixelData, 1)
        frame = next(iter(frames), b"")
    except (ValueError, EOFError, *_DECODE_ERRORS) as error:
        raise UnreadableImageError(f"the file is cut short or damaged ({error_text(error)})") from error
    if not frame:
        raise UnreadableImageError("the file is cut short: the tag PixelData has no frame")
    try:
        if callable(decoder):
            check_codestream(frame)
            check_end(frame)
            decoded = decoder(frame)
            if decoder is imagecodecs.jpeg_decode:
                check_all_decoded(frame, decoded, decoder)
        else:
            decoded = _decode_rle(frame, shape, _integer(tags, "BitsAllocated") // 8)
    except UnreadableImageError:
        raise
    except _DECODE_ERRORS as error:
        raise UnreadableImageError(f"the compressed image is damaged or cut short ({error_text(error)})") from error
    if decoded.shape != shape:
        raise UnreadableImageError(
            f"the compressed image has shape {decoded.shape}, expected {shape} by Rows, Columns and SamplesPerPixel"
        )
    allocated = _integer(tags, "BitsAllocated") // 8
    return decoded.view(f"u{decoded.itemsize}").astype(f"u{max(allocated, decoded.itemsize)}", copy=False)


def _decode_rle(frame: bytes, shape: tuple[int, ...], item: int) -> np.ndarray:
    """Decode RLE: a segment for each byte of each sample, the most significant first."""
    segments = int.from_bytes(frame[:4], "little")
    samples, pixels = (shape[2] if len(shape) == 3 else 1), shape[0] * shape[1]
    if segments != samples * item:
        raise UnreadableImageError(f"the RLE header has {segments} segments, expected {samples * item}")
    begins = [int.from_bytes(frame[4 + 4 * n : 8 + 4 * n], "little") for n in range(segments)]
    planes = np.zeros((segments, pixels), np.uint8)
    for number, (begin, end) in enumerate(zip(begins, [*begins[1:], len(frame)], strict=True)):
        run = imagecodecs.packbits_decode(frame[begin:end], out=pixels)
        if len(run) < pixels:
            raise cut_short(f"RLE segment {number + 1}", len(run), pixels)
        planes[number] = np.frombuffer(run, np.uint8, pixels)
    values = np.ascontiguousarray(planes.reshape(samples, item, pixels).transpose(2, 0, 1)).view(f">u{item}")
    return values.astype(f"=u{item}").reshape(shape)


def _meaningful_bits(raw: np.ndarray, tags: pydicom.Dataset) -> StoredValues:
    """Values of the stored bits, signed where PixelRepresentation is 1."""
    allocated, bits = 8 * raw.itemsize, _bits_stored(tags)
    high = _integer(tags, "HighBit", bits - 1)
    is_signed = _integer(tags, "PixelRepresentation", 0) == 1
    padding = _padding(raw, tags, is_signed)
    image = raw if padding is None or padding.all() else raw[~padding]
    warnings: list[ImageWarning] = []
    largest, shift = int(image.max()), high + 1 - bits
    if not bits - 1 <= high < allocated and largest >= 1 << bits:
        raise UnreadableImageError(
            f"the tag HighBit is {high}, expected {bits - 1} to {allocated - 1}, since BitsStored is {bits}, and the "
            f"values reach {largest}"
        )
    if shift > 0 and (largest >= 1 << bits or not (image & ((1 << shift) - 1)).any()):
        raw, largest = raw >> shift, largest >> shift
    elif shift:
        warnings.append(contradiction(f"HighBit is {high} but the values lie below bit {bits}; the values were obeyed"))
    if largest >= 1 << bits and _has_overlay_bits(tags):
        raw = raw & ((1 << bits) - 1)
        largest = (1 << bits) - 1
    if is_signed:
        values, signed_warnings = _signed(raw, image if shift <= 0 else raw, bits)
        return StoredValues(values, padding, (1 << bits) - 1, (*warnings, *signed_warnings))
    if largest >= 1 << bits:
        sentence = f"BitsStored is {bits} but the values reach {largest}"
        below = raw & ((1 << bits) - 1)
        if _relative_roughness(below) < _MAX_RELATIVE_ROUGHNESS * _relative_roughness(
            raw
        ):  # graphics in the bits above
            warnings.append(contradiction(f"{sentence}; BitsStored was obeyed"))
            raw = below
        else:
            warnings.append(contradiction(f"{sentence}; the values were obeyed"))
            bits = allocated
    return StoredValues(raw, padding, (1 << bits) - 1, tuple(warnings))


def _relative_roughness(values: np.ndarray) -> float:
    """Roughness as a share of the spread of the values."""
    return _roughness(values) / (float(values.std()) or 1.0)


def _signed(raw: np.ndarray, image: np.ndarray, bits: int) -> tuple[np.ndarray, list[ImageWarning]]:
    """Two's complement of the stored bits, whether or not the bits above repeat the sign."""
    unused = 8 * raw.itemsize - bits
    signed = raw.view(f"i{raw.itemsize}")
    inside = image.view(f"i{raw.itemsize}")
    limit = 1 << (bits - 1)
    if -limit <= int(inside.min()) and int(inside.max()) < limit:
        return signed, []
    if int(image.max()) < 1 << bits:
        extended = (signed << unused) >> unused
        if _roughness(extended) <= _roughness(signed):
            return extended, []
        sentence = f"PixelRepresentation is 1 (signed) but the values are unsigned, up to {int(image.max())}"
        return signed, [contradiction(f"{sentence}; the values were obeyed")]
    sentence = f"BitsStored is {bits} but the values reach from {int(inside.min())} to {int(inside.max())}"
    return signed, [contradiction(f"{sentence}; the values were obeyed")]


def _roughness(values: np.ndarray) -> float:
    """Mean absolute difference of neighbours, which is larger where values wrap around."""
    lines = values[:: max(1, len(values) // _MAX_ROUGHNESS_LINES)].astype(np.int64)
    return float(np.abs(np.diff(lines, axis=1)).mean()) if lines.shape[1] > 1 else 0.0


def _padding(raw: np.ndarray, tags: pydicom.Dataset, is_signed: bool) -> np.ndarray | None:
    """Which stored values lie in the range of PixelPaddingValue and PixelPaddingRangeLimit."""
    value = integer_of(tags, "PixelPaddingValue")
    if value is None:
        return None
    limit = integer_of(tags, "PixelPaddingRangeLimit")
    allocated = 8 * raw.itemsize
    kind = raw.view(f"i{raw.itemsize}") if is_signed else raw
    low, high = sorted(_wrapped(v, allocated, is_signed) for v in (value, value if limit is None else limit))
    return (kind >= low) & (kind <= high) if low < high else np.asarray(kind == low)


def _wrapped(value: int, bits: int, is_signed: bool) -> int:
    """A value whose tag may have been written with the other sign."""
    value %= 1 << bits
    return value - (1 << bits) if is_signed and value >= 1 << (bits - 1) else value


def _has_overlay_bits(tags: pydicom.Dataset) -> bool:
    """Whether unused bits hold overlays, as DICOM once allowed."""
    return any((value_of(tags, f"0x60{group:02x}0102") or 0) != 0 for group in range(0, 0x20, 2))
