"""The cache of fetched images: bounded, private, filled once."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.server.pacs import image_cache
from lib.server.pacs.image_cache import ImageCache
from lib.server.store.store_context import SourceUnavailableError


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files just used may be evicted."""
    monkeypatch.setattr(image_cache, "MIN_KEPT_S", 0.0)


def test_a_file_is_retrieved_once_and_found_again(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)
    calls = []
    for _ in range(2):
        assert cache.fetch("a.dcm", lambda: calls.append(1) or b"content").read_bytes() == b"content"
    assert calls == [1]
    assert ImageCache(tmp_path, 1000).find("a.dcm") == cache.path("a.dcm")
    assert cache.find("b.dcm") is None


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_nobody_else_can_read_a_file(tmp_path: Path) -> None:
    path = ImageCache(tmp_path / "cache", 1000).fetch("a.dcm", lambda: b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_threads_that_ask_for_one_file_retrieve_it_once(tmp_path: Path) -> None:
    calls, cache = [], ImageCache(tmp_path, 1000)

    def retrieve() -> bytes:
        calls.append(1)
        time.sleep(0.1)
        return b"x"

    threads = [threading.Thread(target=cache.fetch, args=("a.dcm", retrieve)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_processes_that_ask_for_one_file_retrieve_it_once(tmp_path: Path) -> None:
    code = (
        "import time\nfrom pathlib import Path\nfrom lib.server.pacs.image_cache import ImageCache\n"
        f"place = Path({str(tmp_path)!r})\n"
        "def retrieve():\n"
        "    with (place / 'calls').open('a') as file: file.write('x')\n"
        "    time.sleep(1.0)\n    return b'x'\n"
        "ImageCache(place / 'cache', 1000).fetch('a.dcm', retrieve)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(image_cache.__file__).parents[3])}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=env) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert (tmp_path / "calls").read_text() == "x"


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)
    with pytest.raises(ConnectionError):
        cache.fetch("a.dcm", _away)
    assert cache.size() == (0, 0)
    assert cache.fetch("a.dcm", lambda: b"x").read_bytes() == b"x"


def _away() -> bytes:
    raise ConnectionError


def test_the_least_recently_used_are_evicted(tmp_path: Path, no_grace: None) -> None:
    cache = ImageCache(tmp_path, 300)
    for name in "abc":
        cache.fetch(name, lambda: b"x" * 100)
        time.sleep(0.01)
    cache.find("a")
    cache.fetch("d", lambda: b"x" * 100)
    assert sorted(cache.names()) == ["a", "c", "d"]
    assert cache.names()[0] == "d"


def test_the_cache_stays_bounded_whoever_fills_it(tmp_path: Path, no_grace: None) -> None:
    caches = [ImageCache(tmp_path, 2_000) for _ in range(2)]
    for number in range(200):
        caches[number % 2].fetch(f"{number}", lambda: b"x" * 100)
        assert caches[0].size()[1] <= 2_000 + 64 * 100  # what others have added is counted now and then
    caches[0].fetch("last", lambda: b"x" * 1_990)
    assert caches[0].size()[1] <= 2_000


def test_a_file_in_use_is_kept(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 100)
    for name in "abc":
        cache.fetch(name, lambda: b"x" * 100)
    assert sorted(cache.names()) == ["a", "b", "c"]


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 100)
    old, new = (cache.path(f".a.{digit * 12}.tmp") for digit in "01")
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    ImageCache(tmp_path, 100)
    assert (old.exists(), new.exists()) == (False, True)
    assert cache.names() == []


class Disk:
    """A disk that holds some bytes of a cache.

    Args:
        cache: whose files lie on it.
        size: of the disk.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: ImageCache, size: int) -> None:
        self.size, self._cache, self._write = size, cache, image_cache._write
        monkeypatch.setattr(image_cache, "_write", self.write)
        monkeypatch.setattr(image_cache, "_SPARE_BYTES", 0)
        monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=self.free))

    @property
    def free(self) -> int:
        return self.size - self._cache.size()[1]

    def write(self, path: Path, content: bytes) -> None:
        if len(content) > self.free:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._write(path, content)


@pytest.mark.usefixtures("no_grace")
def test_on_a_full_disk_files_that_are_no_longer_used_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ImageCache(tmp_path, 10**9)
    Disk(monkeypatch, cache, 100)
    for name in ("a", "b", "c", "d"):
        assert cache.fetch(f"{name}.dcm", lambda: b"x" * 40).exists()
    assert cache.names() == ["d.dcm", "c.dcm"]
    assert cache.failure is None


def test_a_disk_that_is_full_of_other_things_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache(tmp_path, 10**9)
    disk = Disk(monkeypatch, cache, 50)
    used = cache.fetch("a.dcm", lambda: b"x" * 40)
    with pytest.raises(SourceUnavailableError, match="the disk of the working folder is full"):
        cache.fetch("b.dcm", lambda: b"x" * 40)
    assert (cache.failure, used.exists(), cache.find("a.dcm")) == (image_cache.DISK_FULL, True, used)
    disk.size = 100
    assert cache.failure is None
    assert cache.fetch("b.dcm", lambda: b"x" * 40).exists()
