"""DICOM files in the answers of a PACS: found in a multipart body, and checked before they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from io import BytesIO

import pydicom
from pydicom.errors import InvalidDicomError

_PREAMBLE_BYTES, _MAGIC = 128, b"DICM"


def content_of(body: bytes, content_type: str) -> bytes:
    """The first part of a multipart body, or the body itself where it is of one part.

    Raises:
        ValueError: the body is cut short or has no part.
    """
    return next(parts_of(body, content_type))


def parts_of(body: bytes, content_type: str) -> Iterator[bytes]:
    """The parts of a multipart body, one or more, or the body itself where it is of one part.

    Raises:
        ValueError: the body is cut short or has no part.
    """
    kind = Message()
    kind["Content-Type"] = content_type
    if not kind.get_content_type().startswith("multipart/"):
        yield body
        return
    boundary = b"--" + str(kind.get_param("boundary", "")).encode()
    at = 0 if body.startswith(boundary) else body.find(b"\r\n" + boundary) + 2
    while True:
        head = body.find(b"\r\n\r\n", at)
        end = body.find(b"\r\n" + boundary, head + 4)
        if len(boundary) == 2 or not body.startswith(boundary, at) or head < 0 or end < 0:
            raise ValueError("the body is no complete multipart message")
        yield body[head + 4 : end]
        at = end + 2
        if body.startswith(b"--", at + len(boundary)):
            return


def transfer_syntax(content: bytes, instance_uid: str) -> str:
    """The transfer syntax of a DICOM file, by its UID, after a check that it is of an instance.

    Raises:
        ValueError: the content is no DICOM file, or of another instance.
    """
    header, syntax = _header(content, "SOPInstanceUID")
    if header != instance_uid:
        raise ValueError("the content is another instance than the one asked for")
    return syntax


def sop_class(content: bytes) -> str:
    """The SOP Class UID of a DICOM file.

    Raises:
        ValueError: the content is no DICOM file.
    """
    return _header(content, "SOPClassUID")[0]


def _header(content: bytes, keyword: str) -> tuple[str, str]:
    """The value of an attribute of a DICOM file, and its transfer syntax."""
    if content[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_MAGIC)] != _MAGIC:
        raise ValueError("the content is no DICOM file")
    try:
        header = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=[keyword])
        return str(header.get(keyword, "")), str(header.file_meta.TransferSyntaxUID)
    except (InvalidDicomError, OSError, AttributeError, KeyError, EOFError) as error:
        raise ValueError("the content is no DICOM file") from error
