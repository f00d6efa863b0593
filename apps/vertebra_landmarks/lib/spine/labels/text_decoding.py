"""Text of files from spreadsheets and editors: UTF-8 and UTF-16 with or without a byte order mark, and Windows-1252."""

from __future__ import annotations

import codecs

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PEEKED = 1000  # bytes


def decode_text(content: bytes) -> str:
    """The text of a file, without its byte order mark.

    A file without a mark is UTF-16 where every other byte of its begin is 0, else UTF-8 where it can be, else
    Windows-1252.

    Raises:
        ValueError: it is no text in any of these.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    begin = content[:_PEEKED]
    if 0 in begin:
        return content.decode("utf-16-le" if begin[1::2].count(0) >= begin[::2].count(0) else "utf-16-be")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252")
