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
"""Source of a side that a person has stated; any other one is the file's."""


SERVER, SESSION, LOCAL = "server", "session", "local"
"""Where a film comes from: the server's folder, a file sent for a quick look, a file without a server."""


@dataclass(frozen=True)
class ImageInfo:
    """What is known about an image besides its pixels.

    Attributes:
        width: columns of the stored raster.
        height: rows of the stored raster.
        geometry: where Slicer's own reader places the pixels.
        millimetres: (x, y) size of a pixel in the patient, for measuring; ``None`` where the file does not say.
        image_left_is: the patient's side at the left of the upright image, "left" or "right"; ``None`` where nobody
            has stated it.
        image_left_is_source: who or what states it; "" where nobody does, ``None`` where the server is too old to keep
            what a person states.
        orientation: how the file says that the raster must be turned to stand upright; ``None`` where it says nothing.
        warnings: what reading the file gave reason to doubt.
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
        """Whether the file states the patient's side, so that nobody else needs to."""
        return self.image_left_is is not None and self.image_left_is_source != BY_PERSON


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A radiograph to look at.

    Attributes:
        id: name of the image at the server; for a file that is not there yet, its name without extension.
        pixels: ``(H, W)`` uint8 or uint16, read-only, bright bone, in the raster of the file.
        source: ``SERVER``, ``SESSION`` or ``LOCAL``.
        path: the file on this computer, ``None`` for an image of the server.
        facts: what is known about it besides.
    """

    id: str
    pixels: np.ndarray
    source: str
    path: Optional[str]
    facts: ImageInfo


def parse_image_info(content: Any) -> ImageInfo:
    """Read what stands beside an image or in an answer.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    facts = as_object(content, "image")
    size = facts.get("millimetres")
    return ImageInfo(
        width=as_integer(facts.get("width"), "width", 1),
        height=as_integer(facts.get("height"), "height", 1),
        geometry=_geometry(facts),
        millimetres=None if size is None else _size(as_object(size, "millimetres")),
        image_left_is=optional_choice(facts.get("image_left_is"), SIDES, "image_left_is"),
        image_left_is_source=_side_source(facts),
        orientation=orientation_in(facts),
        warnings=warnings_in(facts),
    )


def orientation_in(facts: dict[str, Any]) -> Optional[Orientation]:
    """The entry ``orientation``, as ``Orientation.as_dict`` makes it; ``None`` where it is absent or null.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    content = facts.get("orientation")
    if content is None:
        return None
    orientation = as_object(content, "orientation")
    turn = as_integer(orientation.get("turn_deg"), "turn_deg")
    if turn not in (0, 90, 180, 270):
        raise bad_response(f"turn_deg must be 0, 90, 180 or 270, got {turn}")
    return Orientation(turn // 90, as_bool(orientation.get("mirrored"), "mirrored"))


def warnings_in(facts: dict[str, Any]) -> tuple[ImageWarning, ...]:
    """The entry ``warnings``, as lists of ``ImageWarning.as_dict``; empty where it is absent.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    return tuple(_warning(as_object(one, "warning")) for one in as_list(facts.get("warnings", []), "warnings"))


def _warning(content: dict[str, Any]) -> ImageWarning:
    """A warning, of whichever code: a newer server may know others."""
    named = {as_string(name, "vertebra") for name in as_list(content.get("vertebrae", []), "vertebrae")}
    return ImageWarning(
        code=as_string(content.get("code"), "code"),
        message=as_string(content.get("message"), "message"),
        vertebrae=tuple(name for name in VERTEBRAE if name in named),
    )


def _geometry(facts: dict[str, Any]) -> ImageGeometry:
    """``geometry``, or from a server before 0.8 what it knew of it: spacing and where that comes from."""
    spacing = as_numbers(facts.get("spacing"), 2, "spacing", 1e-6, 1e3)
    if facts.get("geometry") is None:
        source = as_string(facts.get("spacing_source", "none"), "spacing_source")
        return ImageGeometry((spacing[0], spacing[1]), source=source)
    try:
        return ImageGeometry.parse(facts["geometry"])
    except ValueError as error:
        raise bad_response(str(error)) from error


def _size(content: dict[str, Any]) -> tuple[float, float]:
    return as_number(content.get("x"), "millimetres", 1e-6, 1e3), as_number(content.get("y"), "millimetres", 1e-6, 1e3)


def _side_source(facts: dict[str, Any]) -> Optional[str]:
    if "image_left_is_source" not in facts:
        return None
    source = as_string(facts["image_left_is_source"] or "", "image_left_is_source")
    return "" if source == "none" else source


_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00..{'descr': '(?P<kind>\|u1|<u2)', 'fortran_order': False, "
    rb"'shape': \((?P<height>\d{1,6}), (?P<width>\d{1,6})\), } *\n",
    re.DOTALL,
)
"""Begin of a ``.npy`` file of the only kinds that the server sends."""


def parse_radiograph(image_id: str, facts: Any, body: bytes, source: str, path: Optional[str] = None) -> Radiograph:
    """Put a film together.

    Args:
        image_id: see ``Radiograph``.
        facts: what the header held, as JSON.
        body: content of a ``.npy`` file with ``(H, W)`` unsigned pixels of 8 or 16 bits.
        source: see ``Radiograph``.
        path: see ``Radiograph``.

    Raises:
        ServerError: BAD_RESPONSE, the parts are not like that or do not fit together.
    """
    known = parse_image_info(facts)
    pixels = _array(body)
    if pixels.shape != (known.height, known.width):
        raise bad_response(f"the pixels have shape {pixels.shape}, the facts say {(known.height, known.width)}")
    return Radiograph(image_id, pixels, source, path, known)


def _array(body: bytes) -> np.ndarray:
    """The array, without a copy of the pixels; numpy's own reader makes one, and trips over damaged heads."""
    found = _HEAD.match(body)
    if found is None:
        raise bad_response(f"the pixels are no .npy file of unsigned numbers: {body[:80]!r}")
    dtype = np.dtype(found["kind"].decode())
    shape = int(found["height"]), int(found["width"])
    if len(body) - found.end() != shape[0] * shape[1] * dtype.itemsize:
        raise bad_response(f"the pixels have {len(body) - found.end()} bytes, {shape} of {dtype} has another number")
    pixels = np.frombuffer(body, dtype, offset=found.end()).reshape(shape)
    return pixels if dtype.isnative else pixels.astype(dtype.newbyteorder("="))
