"""The studies folder as MONAI Label sees it: which files are images and which are labels."""

from __future__ import annotations

import logging
from pathlib import Path

from monailabel.datastore.local import LocalDatastore

from ..learning.inputs import OVERLAY_SUFFIX
from ..learning.reading import IMAGE_SUFFIXES, is_image_name
from ..spine.markups import SUFFIX

logger = logging.getLogger(__name__)


class StudiesDatastore(LocalDatastore):
    """A folder of radiographs in every format that can be read; labels are ``.mrk.json`` files.

    MONAI Label has one list of file names for images and labels, tells upper from lower case, and silently keeps one
    of two images that differ in their extension only. Here ``.Png`` is an image, a Markups file or an overlay beside
    the radiographs is not, and an image that cannot be served since another has its id is named in the log.
    """

    def __init__(self, folder: str, auto_reload: bool, read_only: bool) -> None:
        suffixes = [*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES), SUFFIX]
        patterns = [f"*{suffix}" for suffix in suffixes]
        super().__init__(folder, extensions=patterns, auto_reload=auto_reload, read_only=read_only)

    def _to_id(self, file: str) -> tuple[str, str]:
        """Id and extension of a file name, which make up the name again."""
        fitting = [suffix for suffix in (SUFFIX, *IMAGE_SUFFIXES) if file.lower().endswith(suffix)]
        length = max(map(len, fitting), default=len(Path(file).suffix))
        return file[: len(file) - length], file[len(file) - length :]

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        """The images of the images' folder or the labels of another, each name under itself."""
        folder = Path(path)
        names = sorted(file.name for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
        if folder.resolve() != Path(self._datastore.image_path()).resolve():
            return {name: name for name in names if name.lower().endswith(SUFFIX)}
        by_id: dict[str, str] = {}
        for name in names:
            if not is_image_name(Path(name)) or name.endswith(OVERLAY_SUFFIX):
                continue
            kept = by_id.setdefault(self._to_id(name)[0], name)
            if kept != name:
                logger.warning("%s is not served: %s has the same name without extension", name, kept)
        return {name: name for name in by_id.values()}
