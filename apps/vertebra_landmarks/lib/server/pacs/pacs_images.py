"""The images of a PACS as a source of the store: known by the catalogue, fetched into the cache when asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..log_privacy import redacted_traceback
from ..store.datastore import PACS_FOLDER, StudiesDatastore
from ..store.store_context import ImageUnavailableError, SourceUnavailableError, StoreContext
from ..store.studies_folder import FileEntry
from .client import GoneError, PacsClient, PacsError
from .image_cache import ImageCache
from .image_catalogue import ImageCatalogue
from .settings import PacsSettings

logger = logging.getLogger(__name__)

CACHE_FOLDER = "cache"


class PacsImages:
    """The instances of a PACS that pass the filter; an ``ImageSource``.

    Attributes:
        client: of the PACS.
        catalogue: of its images.
        cache: of fetched images.

    Args:
        settings: of the PACS.
        context: of the store, whose folder is the working folder.
    """

    def __init__(self, settings: PacsSettings, context: StoreContext) -> None:
        folder = context.folder.app_folder / PACS_FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._settings = settings
        self.client = PacsClient(settings)
        self.catalogue = ImageCatalogue(context, folder)
        self.cache = ImageCache(folder / CACHE_FOLDER, settings.cache_bytes)
        self._prefetcher = _Prefetcher()

    @property
    def why_fixed(self) -> str:
        """Why images can be neither added nor removed."""
        return f"the images are those of the PACS at {self._settings.host}: send new ones there, and remove them there"

    def close(self) -> None:
        """Stop prefetching and close the connections."""
        self._prefetcher.stop()
        self.client.close()

    def images(self, sniffed: Iterable[FileEntry] = ()) -> list[FileEntry]:
        """All images that are known to be in the PACS, by name."""
        return self.catalogue.entries()

    def skipped(self) -> dict[str, str]:
        """Nothing: what does not pass the filter is no matter of the store."""
        return {}

    def image_entry(self, name: str) -> FileEntry | None:
        """The file of an image; ``None`` where there is none in the PACS."""
        return self.catalogue.entry(name)

    def location(self, name: str) -> Path:
        """Where a file lies while it is cached."""
        return self.cache.path(name)

    def readable_path(self, name: str) -> Path | None:
        """Path of a file in the cache, fetched where necessary; ``None`` where there is no such image.

        Raises:
            PacsError: it is not in the cache, and the PACS does not return it.
            SourceUnavailableError: likewise, and the PACS returns no other one either.
        """
        uids = self.catalogue.uids(name)
        if uids is None:
            return None
        try:
            return self.cache.fetch(name, partial(self.client.retrieve, uids))
        except GoneError:
            if self.client.is_there(uids):  # else the watcher would bring it back
                raise
            self.catalogue.note_gone([name])
            return None
        except PacsError:
            if self.client.failure is None:  # is it this image alone?
                with suppress(PacsError):
                    self.client.ping()
            if self.client.failure is not None:
                raise SourceUnavailableError(self.client.failure) from None
            raise

    @property
    def failure(self) -> str | None:
        """Why nothing can be fetched now; ``None`` while it can."""
        return self.client.failure or self.cache.failure

    def at_hand(self) -> Collection[str]:
        """Names of the cached files, the most recently used first."""
        self._prefetcher.request(self._ping)  # where no watcher of this process notices that it answers again
        return self.cache.names()

    def _ping(self) -> Iterator[None]:
        self.client.ping()
        yield

    def prefetch(self, upcoming: Callable[[], Iterable[str]], fetch: Callable[[str], object]) -> None:
        """Fetch images in the background; a later request replaces what is left of an earlier one."""

        def steps() -> Iterator[None]:
            for image in upcoming():
                fetch(image)
                yield

        self._prefetcher.request(steps)

    def status(self) -> dict[str, Any]:
        """What clients see: the PACS, why it cannot be used if so, and how full the cache is."""
        files, size = self.cache.size()
        return {
            "host": self._settings.host,
            "failure": self.failure,
            "cached": files,
            "cached_mb": round(size / 1e6, 1),
            "cache_mb": self._settings.cache_bytes // 1_000_000,
        }


def open_pacs_store(
    settings: PacsSettings, database: str | None = None, auto_reload: bool = False, read_only: bool = False
) -> tuple[StudiesDatastore, PacsImages]:
    """Open the working folder of a PACS, which is made for nobody else to look into; the PACS is not asked.

    Args:
        settings: of the PACS.
        database: see ``StudiesDatastore``.
        auto_reload: watch for labels that others add, change or remove.
        read_only: see ``StudiesDatastore``.

    Returns:
        The store, and the source of its images.

    Raises:
        ValueError, ConnectionError: see ``StudiesDatastore``.
    """
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = StudiesDatastore(
        str(settings.folder), database, auto_reload, read_only, source=lambda context: PacsImages(settings, context)
    )
    source = store.context.source
    assert isinstance(source, PacsImages)
    return store, source


class _Prefetcher:
    """A thread that does the steps of the latest request."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._steps: Callable[[], Iterator[None]] | None = None
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def request(self, steps: Callable[[], Iterator[None]]) -> None:
        with self._condition:
            self._steps = steps
            if self._thread is None and not self._is_stopping:
                self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
                self._thread.start()
            self._condition.notify()

    def stop(self) -> None:
        with self._condition:
            self._is_stopping = True
            self._condition.notify()

    def _is_outdated(self) -> bool:
        return self._is_stopping or self._steps is not None

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(self._is_outdated)
                steps, self._steps = self._steps, None
            if self._is_stopping or steps is None:
                return
            try:
                for _ in steps():
                    if self._is_outdated():
                        break
            except ImageUnavailableError:  # whoever asks for the image is told why
                continue
            except Exception as error:  # such as a disk that is full
                logger.warning("An image could not be fetched ahead of time\n%s", redacted_traceback(error))
