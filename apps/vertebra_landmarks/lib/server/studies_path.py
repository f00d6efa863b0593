"""Whether the studies are a folder: MONAI Label also takes the address of a DICOMweb server, which this app does not.

Standard library only, since ``scripts/start.py`` asks before anything is installed.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_MADE_OF_ADDRESS = re.compile(r"(https?|dicom|dicom[-+]?webs?|wado|dicom\+https?|s3|gs|ftp|file):", re.IGNORECASE)
"""Name of a folder that MONAI Label has made of an address before it loads the app."""
_USER = re.compile(r"(?<=//)[^/@]*@")  # and password


def check_studies(studies: str) -> None:
    """See that the studies are no address.

    Args:
        studies: as given on the command line, or as the path that MONAI Label made of it; folders which it has just
            made for an address are removed while they are empty.

    Raises:
        ValueError: they are an address.
    """
    if _ADDRESS.match(studies):
        raise ValueError(_sentence(studies))
    path = Path(studies)
    for number, part in enumerate(path.parts):
        if _MADE_OF_ADDRESS.fullmatch(part):
            _remove_empty(path, len(path.parts) - number)
            raise ValueError(_sentence(f"{part}//{'/'.join(path.parts[number + 1 :])}"))


def _sentence(address: str) -> str:
    return (
        f"studies {_USER.sub('', address)!r:.200} is an address, and DICOMweb is not supported yet: name a folder of "
        "radiographs, such as one that the images were exported to"
    )


def _remove_empty(path: Path, count: int) -> None:
    with contextlib.suppress(OSError):  # not there, or somebody keeps something in it
        for folder in (path, *path.parents)[:count]:
            folder.rmdir()
