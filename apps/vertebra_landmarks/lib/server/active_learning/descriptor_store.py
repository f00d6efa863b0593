"""File store of image descriptors of one model version; survives restarts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ...learning.active_learning import ImageDescriptor

_ARRAYS = {"features": (-1,), "shape": (-1, 2)}
_SUFFIX = ".opinions"


class DescriptorStore:
    """One JSON line per image, appended; memory holds only the offsets of the lines.

    An incomplete line of a killed server is ignored, and its image described again.

    Args:
        folder: of the files of all models; it is created.
        version: of the model.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, folder: Path, version: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _file_name(version)
        self._offsets: dict[str, int] = {}
        self._end = 0
        self.catch_up()

    def catch_up(self) -> bool:
        """Read what other processes have appended; returns whether there was anything.

        Raises:
            OSError: the file cannot be read.
        """
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < self._end:  # another process has deleted the file
            self._offsets, self._end = {}, 0
        begin = self._end
        if size > begin:
            with self._path.open("rb") as stream:
                stream.seek(begin)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    image = _image_of(line)
                    if image is not None:
                        self._offsets[image] = self._end
                    self._end += len(line)
        return self._end > begin

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, image: str) -> bool:
        return image in self._offsets

    def add(self, image: str, descriptor: ImageDescriptor) -> None:
        """Append the descriptor of an image.

        Raises:
            OSError: the file cannot be written.
        """
        line = json.dumps({"image": image, **_to_json(descriptor)}).encode() + b"\n"
        with self._path.open("ab") as stream:
            offset = stream.tell()
            if offset and not _ends_with_newline(self._path):
                offset += stream.write(b"\n")
            stream.write(line)
            self._end = stream.tell()
        self._offsets[image] = offset

    def read(self, images: Iterable[str]) -> dict[str, ImageDescriptor]:
        """Descriptors of those of some images that are in the file.

        Raises:
            OSError: the file cannot be read.
        """
        descriptors = {}
        wanted = sorted((self._offsets[image], image) for image in set(images) if image in self._offsets)
        if wanted:
            with self._path.open("rb") as stream:
                for offset, image in wanted:
                    stream.seek(offset)
                    descriptors[image] = _from_json(json.loads(stream.readline()))
        return descriptors

    def delete_others(self, keep: Iterable[str]) -> None:
        """Delete the files of all models except these versions and this one."""
        names = {self._path.name, *map(_file_name, keep)}
        for path in self._path.parent.glob(f"*{_SUFFIX}"):
            if path.name not in names:
                path.unlink(missing_ok=True)


def _file_name(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:16] + _SUFFIX


def _to_json(descriptor: ImageDescriptor) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in fields(descriptor):
        value = getattr(descriptor, field.name)
        is_array = field.name in _ARRAYS
        values[field.name] = base64.b64encode(value.astype("<f2").tobytes()).decode() if is_array else value
    return values


def _from_json(values: dict[str, Any]) -> ImageDescriptor:
    arrays = {
        name: np.frombuffer(base64.b64decode(values[name]), "<f2").astype(np.float32).reshape(shape)
        for name, shape in _ARRAYS.items()
    }
    return ImageDescriptor(**{**{field.name: values[field.name] for field in fields(ImageDescriptor)}, **arrays})


def _image_of(line: bytes) -> str | None:
    try:
        return str(json.loads(line)["image"])
    except (ValueError, KeyError, TypeError):
        return None


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
