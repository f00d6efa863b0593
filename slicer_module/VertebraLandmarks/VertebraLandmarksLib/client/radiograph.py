"""A radiograph as the server sends it: pixels in a ``.npy`` file, image information in a header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..spine.imaging.image_geometry import PIXELS, ImageGeometry
from ..spine.imaging.orientation import Orientation
from ..spine.measurement.cobb import SIDES
from ..spine.measurement.image_warnings import ImageWarning
from ..spine.schema import VERTEBRAE
from .json_fields import (
    as_bool,
    as_integer,
    as_list,
    as_number,
    as_numbers,
    as_object,
    as_string,
    bad_response,
    optional_choice,
)

BY_PERSON = "stated by a person"
"""Source of a side that a user stated; any other source is the file."""


SERVER, SESSION, LOCAL = "server", "session", "local"
"""Source of a radiograph: the server's folder, a file in an upload session, a file read without a server."""


@dataclass(frozen=True)
class ImageInfo:
    """Image information besides the pixels.

    Attributes:
        width: columns of the stored raster.
        height: rows of the stored raster.
        geometry: where Slicer's own reader places the pixels.
        millimetres: (x, y) size of a pixel in the patient, for measuring; ``None`` where the file does not state it.
        image_left_is: the patient's side at the left of the upright image, "left" or "right"; ``None`` where unknown.
        image_left_is_source: who or what states the side; "" where it is unknown, ``None`` where the server is too old
            to store a side stated by a user.
        orientation: how the raster must be turned to be upright, by the file; ``None`` where it does not state it.
        warnings: raised by reading the file.
    """

    width: int
    height: int
    geometry: ImageGeometry = PIXELS
    millimetres: Optional[tuple[float, float]] = None
    image_left_is: Optional[str] = None
    image_left_is_source: Optional[str] = None
    orientation: Optional[Orientation] = None
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def is_side_in_file(self) -> bool:
        """Whether the file itself states the patient's side."""
        return self.image_left_is is not None and self.image_left_is_source != BY_PERSON


@dataclass(frozen=True, eq=False)
class Radiograph:
    """Decoded image.

    Attributes:
        id: name of the image on the server; of a file that is not there yet, its name without extension.
        pixels: ``(H, W)`` uint8 or uint16, read-only, bright bone, in the raster of the file.
        source: ``SERVER``, ``SESSION`` or ``LOCAL``.
        path: the file on this computer, ``None`` for an image of the server.
        info: image information besides the pixels.
    """

    id: str
    pixels: np.ndarray
    source: str
    path: Optional[str]
    info: ImageInfo


def parse_image_info(content: Any) -> ImageInfo:
    """Parse the image information of an image or a prediction.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    fields = as_object(content, "image")
    size = fields.get("millimetres")
    return ImageInfo(
        width=as_integer(fields.get("width"), "width", 1),
        height=as_integer(fields.get("height"), "height", 1),
        geometry=_geometry(fields),
        millimetres=None if size is None else _size(as_object(size, "millimetres")),
        image_left_is=optional_choice(fields.get("image_left_is"), SIDES, "image_left_is"),
        image_left_is_source=_side_source(fields),
        orientation=orientation_in(fields),
        warnings=warnings_in(fields),
    )


def orientation_in(fields: dict[str, Any]) -> Optional[Orientation]:
    """Parse the entry ``orientation``, made by ``Orientation.as_dict``; ``None`` where it is absent or null.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    content = fields.get("orientation")
    if content is None:
        return None
    orientation = as_object(content, "orientation")
    turn = as_integer(orientation.get("turn_deg"), "turn_deg")
    if turn not in (0, 90, 180, 270):
        raise bad_response(f"turn_deg must be 0, 90, 180 or 270, got {turn}")
    return Orientation(turn // 90, as_bool(orientation.get("mirrored"), "mirrored"))


def warnings_in(fields: dict[str, Any]) -> tuple[ImageWarning, ...]:
    """Parse the entry ``warnings``, a list of ``ImageWarning.as_dict``; empty where it is absent.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    return tuple(_warning(as_object(one, "warning")) for one in as_list(fields.get("warnings", []), "warnings"))


def _warning(content: dict[str, Any]) -> ImageWarning:
    """A warning of any code, as newer servers may add some."""
    named = {as_string(name, "vertebra") for name in as_list(content.get("vertebrae", []), "vertebrae")}
    return ImageWarning(
        code=as_string(content.get("code"), "code"),
        message=as_string(content.get("message"), "message"),
        vertebrae=tuple(name for name in VERTEBRAE if name in named),
    )


def _geometry(fields: dict[str, Any]) -> ImageGeometry:
    """The entry ``geometry``; servers before 0.8 send spacing and its source only."""
    spacing = as_numbers(fields.get("spacing"), 2, "spacing", 1e-6, 1e3)
    if fields.get("geometry") is None:
        source = as_string(fields.get("spacing_source", "none"), "spacing_source")
        return ImageGeometry((spacing[0], spacing[1]), source=source)
    try:
        return ImageGeometry.parse(fields["geometry"])
    except ValueError as error:
        raise bad_response(str(error)) from error


def _size(content: dict[str, Any]) -> tuple[float, float]:
    return as_number(content.get("x"), "millimetres", 1e-6, 1e3), as_number(content.get("y"), "millimetres", 1e-6, 1e3)


def _side_source(fields: dict[str, Any]) -> Optional[str]:
    if "image_left_is_source" not in fields:
        return None
    source = as_string(fields["image_left_is_source"] or "", "image_left_is_source")
    return "" if source == "none" else source


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..{'descr': '(?P<kind>\|u1|<u2)', 'fortran_order': False, "
    rb"'shape': \((?P<height>\d{1,6}), (?P<width>\d{1,6})\), } *\n",
    re.DOTALL,
)
"""Header of the two kinds of ``.npy`` files that the server sends."""


def parse_radiograph(image_id: str, info: Any, body: bytes, source: str, path: Optional[str] = None) -> Radiograph:
    """Parse the response with an image.

    Args:
        image_id: see ``Radiograph``.
        info: JSON content of the header.
        body: content of a ``.npy`` file with ``(H, W)`` unsigned pixels of 8 or 16 bits.
        source: see ``Radiograph``.
        path: see ``Radiograph``.

    Raises:
        ServerError: BAD_RESPONSE, header or body are malformed or inconsistent.
    """
    image_info = parse_image_info(info)
    pixels = _array(body)
    if pixels.shape != (image_info.height, image_info.width):
        raise bad_response(
            f"the pixels have shape {pixels.shape}, the header states {(image_info.height, image_info.width)}"
        )
    return Radiograph(image_id, pixels, source, path, image_info)


def _array(body: bytes) -> np.ndarray:
    """The array without copying the pixels; numpy's own reader copies, and fails on malformed headers."""
    header = _HEADER.match(body)
    if header is None:
        raise bad_response(f"the pixels are not a .npy file of unsigned integers: {body[:80]!r}")
    dtype = np.dtype(header["kind"].decode())
    shape = int(header["height"]), int(header["width"])
    if len(body) - header.end() != shape[0] * shape[1] * dtype.itemsize:
        raise bad_response(f"the pixels have {len(body) - header.end()} bytes, expected those of {shape} {dtype}")
    pixels = np.frombuffer(body, dtype, offset=header.end()).reshape(shape)
    return pixels if dtype.isnative else pixels.astype(dtype.newbyteorder("="))
