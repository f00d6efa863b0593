"""The studies folder as MONAI Label sees it: which files are images and which are labels."""

from __future__ import annotations

from pathlib import Path

from monailabel.datastore.local import LocalDatastore

from ..learning.reading import IMAGE_SUFFIXES
from ..spine.markups import SUFFIX


class StudiesDatastore(LocalDatastore):
    """A folder of radiographs in every format that can be read; labels are ``.mrk.json`` files.

    MONAI Label has one list of file names for images and labels, and it distinguishes upper from lower case. Here a
    Markups file beside the radiographs is not taken for an image, and ``.PNG`` is one.
    """

    def __init__(self, folder: str, auto_reload: bool, read_only: bool) -> None:
        suffixes = [*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES), SUFFIX]
        patterns = [f"*{suffix}" for suffix in suffixes]
        super().__init__(folder, extensions=patterns, auto_reload=auto_reload, read_only=read_only)

    def _list_files(self, path: str, patterns: list[str]) -> list[str]:
        files: list[str] = super()._list_files(path, patterns)
        if Path(path).resolve() != Path(self._datastore.image_path()).resolve():
            return files
        return [file for file in files if not file.lower().endswith(SUFFIX)]
