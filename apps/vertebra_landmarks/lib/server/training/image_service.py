"""Fetches images for the other processes of a training, which have neither the store nor a login to its PACS."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, NamedTuple

from ...learning.data import IMAGE
from ...learning.data.transforms import FetchedImage

_KEY_BYTES, _BACKLOG = 32, 64
Item = Mapping[str, Any]


class ServiceAddress(NamedTuple):
    """Where another process of this machine and user asks for images.

    Attributes:
        address: as ``multiprocessing.connection`` names it.
        key: without which nothing is answered.
    """

    address: Any
    key: bytes


@contextmanager
def image_service(items: Iterable[Item]) -> Iterator[ServiceAddress]:
    """Fetch the images of some items for whoever asks, for the time of the block."""
    images = {str(item[IMAGE]): item[IMAGE] for item in items if isinstance(item[IMAGE], FetchedImage)}
    key, is_ending = secrets.token_bytes(_KEY_BYTES), threading.Event()
    with Listener(backlog=_BACKLOG, authkey=key) as listener:
        thread = threading.Thread(target=_serve, args=(listener, images, is_ending), daemon=True)
        thread.start()
        try:
            yield ServiceAddress(listener.address, key)
        finally:
            is_ending.set()
            with suppress(OSError, EOFError, AuthenticationError):
                Client(listener.address, authkey=key).close()  # wakes it
            thread.join()


def handed_over(items: Iterable[Item], service: ServiceAddress) -> list[dict[str, Any]]:
    """Items to be pickled for another process, where their images are fetched whenever they are read."""
    return [
        {**item, IMAGE: _HandedOver(str(item[IMAGE]), service)} if isinstance(item[IMAGE], FetchedImage) else dict(item)
        for item in items
    ]


class _HandedOver:
    """Becomes a ``FetchedImage`` when it is read from a pickle."""

    def __init__(self, name: str, service: ServiceAddress) -> None:
        self._parts = name, service

    def __reduce__(self) -> tuple[Any, tuple[str, ServiceAddress]]:
        return _taken_over, self._parts


def _taken_over(name: str, service: ServiceAddress) -> FetchedImage:
    return FetchedImage(Path(name), partial(_ask, service, name))


def _ask(service: ServiceAddress, name: str) -> Path:
    """Path of an image.

    Raises:
        ConnectionError: it cannot be fetched; the message is a sentence that says why.
    """
    try:
        with Client(service.address, authkey=service.key) as connection:
            connection.send(name)
            path, reason = connection.recv()
    except (EOFError, OSError):
        raise ConnectionError("the training that this process takes part in has ended") from None
    if path is None:
        raise ConnectionError(reason)
    return Path(path)


def _serve(listener: Listener, images: Mapping[str, FetchedImage], is_ending: threading.Event) -> None:
    while not is_ending.is_set():
        with suppress(OSError, EOFError, AuthenticationError):  # of one that has ended, or does not belong here
            connection = listener.accept()
            threading.Thread(target=_answer, args=(connection, images), daemon=True).start()


def _answer(connection: Connection, images: Mapping[str, FetchedImage]) -> None:
    with connection, suppress(OSError, EOFError):
        name = connection.recv()
        try:
            answer: tuple[str | None, str] = str(images[name].fetch()), ""
        except OSError as error:
            answer = None, str(error)
        connection.send(answer)
