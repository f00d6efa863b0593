"""A film as the server sends it: pixels in a ``.npy`` file, facts in a header."""

from __future__ import annotations

import re
from typing import Any, Optional

import numpy as np

from .image_info import image_facts
from .json_fields import bad_answer
from .responses import Film

_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00..{'descr': '(?P<kind>\|u1|<u2)', 'fortran_order': False, "
    rb"'shape': \((?P<height>\d{1,6}), (?P<width>\d{1,6})\), } *\n",
    re.DOTALL,
)
"""Begin of a ``.npy`` file of the only kinds that the server sends."""


def film_of(image_id: str, facts: Any, body: bytes, source: str, path: Optional[str] = None) -> Film:
    """Put a film together.

    Args:
        image_id: see ``Film``.
        facts: what the header held, as JSON.
        body: content of a ``.npy`` file with ``(H, W)`` unsigned pixels of 8 or 16 bits.
        source: see ``Film``.
        path: see ``Film``.

    Raises:
        ServerError: BAD_ANSWER, the parts are not like that or do not fit together.
    """
    known = image_facts(facts)
    pixels = _array(body)
    if pixels.shape != (known.height, known.width):
        raise bad_answer(f"the pixels have shape {pixels.shape}, the facts say {(known.height, known.width)}")
    return Film(image_id, pixels, source, path, known)


def _array(body: bytes) -> np.ndarray:
    """The array, without a copy of the pixels; numpy's own reader makes one, and trips over damaged heads."""
    found = _HEAD.match(body)
    if found is None:
        raise bad_answer(f"the pixels are no .npy file of unsigned numbers: {body[:80]!r}")
    dtype = np.dtype(found["kind"].decode())
    shape = int(found["height"]), int(found["width"])
    if len(body) - found.end() != shape[0] * shape[1] * dtype.itemsize:
        raise bad_answer(f"the pixels have {len(body) - found.end()} bytes, {shape} of {dtype} has another number")
    pixels = np.frombuffer(body, dtype, offset=found.end()).reshape(shape)
    return pixels if dtype.isnative else pixels.astype(dtype.newbyteorder("="))
