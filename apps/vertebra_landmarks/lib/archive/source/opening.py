"""From what the user names to an archive."""

from __future__ import annotations

from pathlib import Path

import fsspec

from .dicomweb import PREFIX, PacsArchive, settings_of
from .entries import Source, is_url
from .folders import LocalFolder, RemoteFolder, SingleImage
from .manifest import SUFFIXES, Manifest

_WITHOUT_FOLDERS = ("http://", "https://")


def open_source(
    place: str,
    *,
    excluded: Path | None = None,
    column: str | None = None,
    image_filter: Path | None = None,
    ca: Path | None = None,
) -> Source:
    """The archive that a text names; nothing is listed yet.

    Args:
        place: folder, image, manifest (``.csv``, ``.tsv``, ``.parquet``), URL of one of these, or the address of a
            DICOMweb service after ``dicomweb:``.
        excluded: local folder that is not searched.
        column: of the manifest that has the images.
        image_filter: see ``settings_of``.
        ca: see ``settings_of``.

    Raises:
        ValueError: there is no such archive, or it cannot be used.
        OSError: it cannot be read.
    """
    if place.startswith(PREFIX):
        return PacsArchive(place, settings_of(place, image_filter, ca))
    if place.lower().endswith(SUFFIXES):
        return Manifest(place, column)
    if is_url(place):
        root, _, name = place.rpartition("/")
        if place.lower().startswith(_WITHOUT_FOLDERS):
            return SingleImage(root, name)
        filesystem, path = fsspec.core.url_to_fs(place)
        return SingleImage(root, name) if name and filesystem.isfile(path) else RemoteFolder(place)
    path = Path(place)
    if path.is_dir():
        return LocalFolder(path, excluded)
    if not path.exists():
        raise ValueError(f"{place}: there is no such file or folder")
    return SingleImage(str(path.absolute().parent), path.name)
