"""Archives that are a folder of images, on a disk or in an object store, or one image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import fsspec

from ...image_io import is_image_name
from ...learning.data.input_files import walk_images
from .entries import Entry


class LocalFolder:
    """A folder tree; images are found as ``scripts/predict.py`` finds them.

    Args:
        folder: where they lie.
        excluded: a folder that is not searched; ``None`` without.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, folder: Path, excluded: Path | None) -> None:
        self._folder, self._excluded = folder, excluded
        self.root = str(folder.absolute())

    def entries(self) -> Iterator[Entry]:
        """The images in order of their paths.

        Raises:
            OSError: a folder cannot be listed.
        """
        for index, file in enumerate(walk_images(self._folder, self._excluded, _raise)):
            name = file.relative_to(self._folder).as_posix()
            try:
                name.encode()
                yield Entry(index, name)
            except UnicodeEncodeError:
                shown = name.encode(errors="backslashreplace").decode()
                yield Entry(index, shown, defect="the file's name is no UTF-8: rename it")


class RemoteFolder:
    """All objects below a URL whose names end like an image's; names with a part that begins with a dot are left out.

    Args:
        url: such as ``s3://bucket/folder``.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")

    def entries(self) -> Iterator[Entry]:
        """The images in order of their names.

        Raises:
            OSError: the URL cannot be listed.
        """
        filesystem, path = fsspec.core.url_to_fs(self.root)
        prefix = path.rstrip("/") + "/"
        names = (name.removeprefix(prefix) for name in sorted(filesystem.find(path)))
        images = (name for name in names if is_image_name(Path(name)) and not _is_hidden(name))
        yield from (Entry(index, name) for index, name in enumerate(images))


class SingleImage:
    """One image.

    Args:
        root: folder or URL that it lies in.
        name: of it.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, root: str, name: str) -> None:
        self.root, self._name = root, name

    def entries(self) -> Iterator[Entry]:
        """The image."""
        yield Entry(0, self._name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _raise(error: OSError) -> None:
    raise error
