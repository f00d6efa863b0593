"""The folder or object store that results go to; every file in it is complete or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import fsspec
from filelock import FileLock, Timeout

from ..spine.atomic_write import atomic_write
from .backoff import with_retries
from .source.entries import is_url


class Output(Protocol):
    """Files by name, ``folder/name`` at most.

    Attributes:
        place: path or URL, as named by the user.
    """

    place: str

    def names(self, folder: str) -> set[str]:
        """Names of the files in a folder; none where there is no such folder."""

    def read(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read.
        """

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file.

        Raises:
            OSError: it cannot be written; an earlier one is untouched.
        """

    def create(self, name: str, content: bytes) -> None:
        """Write a new file.

        Raises:
            FileExistsError: there is one, perhaps of another process that was quicker.
            OSError: it cannot be written.
        """

    def put(self, name: str, path: Path) -> None:
        """Copy a local file; see ``write``."""

    def get(self, name: str, path: Path) -> None:
        """Copy to a local file; see ``read``."""

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""

    def lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Lock out other runs, where that is possible.

        Raises:
            BlockingIOError: another run holds the lock.
        """


def open_output(place: str) -> Output:
    """The output that a path or URL names; a folder is created.

    Raises:
        OSError: the folder cannot be created.
    """
    return RemoteOutput(place) if is_url(place) else LocalOutput(place)


class LocalOutput:
    """A folder on a disk, perhaps one that several machines share."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._folder = Path(place).absolute()
        self._folder.mkdir(parents=True, exist_ok=True)

    def names(self, folder: str) -> set[str]:
        """See ``Output``."""
        try:
            with os.scandir(self._folder / folder) as entries:
                return {entry.name for entry in entries}
        except FileNotFoundError:
            return set()

    def read(self, name: str) -> bytes:
        """See ``Output``."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See ``Output``."""
        with self._replacing(name) as temporary, temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # a renamed file without content would count as done after a power failure

    def create(self, name: str, content: bytes) -> None:
        """See ``Output``."""
        path = self._folder / name
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            temporary.write_bytes(content)
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def put(self, name: str, path: Path) -> None:
        """See ``Output``."""
        with self._replacing(name) as temporary:
            shutil.copyfile(path, temporary)

    def get(self, name: str, path: Path) -> None:
        """See ``Output``."""
        shutil.copyfile(self._folder / name, path)

    def remove(self, name: str) -> None:
        """See ``Output``."""
        (self._folder / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """See ``Output``."""
        try:
            with FileLock(self._folder / f".{name}.lock", timeout=0):
                yield
        except Timeout as error:
            raise BlockingIOError(f"another run is writing to {self.place}: wait for it to end") from error

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as temporary:
            yield temporary


class RemoteOutput:
    """A folder of an object store, by fsspec; requests that fail are repeated.

    Two runs on one folder do the same work twice, and neither harms the other: a part has the same content whoever
    writes it, and an object is replaced as a whole.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._filesystem, path = fsspec.core.url_to_fs(place)
        self._folder = path.rstrip("/")

    def names(self, folder: str) -> set[str]:
        """See ``Output``."""
        path = f"{self._folder}/{folder}"

        def find() -> list[str]:
            self._filesystem.invalidate_cache()
            return list(self._filesystem.find(path))

        with self._sentences(folder):
            return {found.rpartition("/")[2] for found in with_retries(find)}

    def read(self, name: str) -> bytes:
        """See ``Output``."""
        with self._sentences(name):
            content: bytes = with_retries(lambda: self._filesystem.cat_file(self._path(name)))
        return content

    def write(self, name: str, content: bytes) -> None:
        """See ``Output``."""
        with self._sentences(name):
            with_retries(lambda: self._filesystem.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> None:
        """See ``Output``."""
        with self._sentences(name):
            with_retries(lambda: self._filesystem.pipe_file(self._path(name), content, mode="create"))

    def put(self, name: str, path: Path) -> None:
        """See ``Output``."""
        with self._sentences(name):
            with_retries(lambda: self._filesystem.put_file(str(path), self._path(name)))

    def get(self, name: str, path: Path) -> None:
        """See ``Output``."""
        with self._sentences(name):
            with_retries(lambda: self._filesystem.get_file(self._path(name), str(path)))

    def remove(self, name: str) -> None:
        """See ``Output``."""
        with self._sentences(name), contextlib.suppress(FileNotFoundError):
            with_retries(lambda: self._filesystem.rm_file(self._path(name)))

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """See ``Output``; an object store has no locks."""
        yield

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @contextlib.contextmanager
    def _sentences(self, name: str) -> Iterator[None]:
        """Errors of clients, which have types of their own, as ``OSError`` with the name of the object."""
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise OSError(f"{self.place.rstrip('/')}/{name}: {text}") from error
