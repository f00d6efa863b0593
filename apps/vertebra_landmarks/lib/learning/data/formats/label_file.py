"""Labels of many images in one file, whose names lead to the images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from ....spine.image_suffixes import image_stem
from ....spine.labels.label_exchange import ReadResult, decode_text
from ....spine.labels.landmark_names import NameMap
from ..input_files import find_images
from .data_set import DataFormat, DataOptions, DataSet
from .label_source import LabelSource, build_data_set, constant_spine


class LabelFile(DataFormat):
    """A file that names images and gives their points."""

    @abstractmethod
    def parse(self, text: str, names: NameMap) -> ReadResult:
        """Labels of a text, and sentences about those that cannot be used.

        Raises:
            ValueError: it is not of this format.
        """

    def read(self, path: Path, options: DataOptions) -> DataSet:
        """Read the labels, and the images in the file's folder or in ``image_folder``."""
        try:
            labels, problems = self.parse(decode_text(path.read_bytes()), options.names)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        images = ImageFolder(options.image_folder or path.parent)
        sources, problems = [], list(problems)
        for label in labels:
            size = None if label.frame is None else (label.frame.width, label.frame.height)
            try:
                image = images.find(label.image)
            except ValueError as error:
                problems.append(f"image {label.image!r:.80}: {error}")
                continue
            read_spine = constant_spine(label.spine, size)
            sources.append(LabelSource(label.image, image, read_spine, label.patient))
        return build_data_set(path.name, sources, problems, options)


class ImageFolder:
    """Images by the names that label files give them.

    Args:
        folder: with all of them, in subfolders too.

    Raises:
        ValueError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder} with the images")
        self._folder = folder

    def find(self, name: str) -> Path:
        """The file of an image.

        Args:
            name: path below the folder, else a path of another machine, whose last part counts, or the image's name
                without its suffix.

        Raises:
            ValueError: there is none, or several have that name.
        """
        plain = PurePosixPath(name.replace("\\", "/"))
        inside = self._folder / plain
        if not plain.is_absolute() and ".." not in plain.parts and inside.is_file():
            return inside
        found = self._by_name.get(plain.name) or self._by_stem.get(plain.name, [])
        if len(found) > 1:
            listed = ", ".join(path.relative_to(self._folder).as_posix() for path in found[:3])
            raise ValueError(f"{len(found)} images in {self._folder} have that name: {listed}")
        if not found:
            raise ValueError(f"there is no such image in {self._folder} (--image-folder names another folder)")
        return found[0]

    @cached_property
    def _files(self) -> Sequence[Path]:
        return [image.path for image in find_images([self._folder])]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return _grouped((path.name, path) for path in self._files)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return _grouped((image_stem(path.name), path) for path in self._files)


def _grouped(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for name, path in pairs:
        groups.setdefault(name, []).append(path)
    return groups
