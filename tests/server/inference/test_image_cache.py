"""The cache of images in work."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib.image_io import UnreadableImageError
from lib.learning.models.landmark_net import Maps
from lib.learning.prediction.request import PredictionCache
from lib.server.inference.image_cache import ImageCache

NOTHING = Maps(torch.zeros(1, 17, 1, 1), torch.zeros(1, 2, 1, 1), torch.zeros(1, 8, 1, 1))


def image_file(folder: Path, name: str = "image.png", value: int = 9) -> Path:
    """An image of 20 x 30 pixels."""
    Image.new("L", (20, 30), value).save(folder / name)
    return folder / name


def test_an_image_is_read_once(tmp_path: Path) -> None:
    cache, path = ImageCache(), image_file(tmp_path)
    first = cache.load(path)
    assert first.radiograph.pixels.shape == (30, 20)
    assert cache.load(path) is first
    assert len(cache) == 1


def test_an_image_that_was_sent_again_is_recognized_by_its_content(tmp_path: Path) -> None:
    cache, path = ImageCache(), image_file(tmp_path)
    first = cache.load(path)
    again = shutil.copy(path, tmp_path / "other.png")
    path.unlink()
    assert cache.load(again) is first
    assert cache.load(again) is first
    assert len(cache) == 1


def test_the_same_content_with_another_suffix_is_another_image(tmp_path: Path) -> None:
    """The name decides how a file is read."""
    cache, path = ImageCache(), image_file(tmp_path)
    assert cache.load(path) is not cache.load(Path(shutil.copy(path, tmp_path / "image.bmp")))


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    cache, path = ImageCache(), image_file(tmp_path)
    first = cache.load(path)
    state = path.stat()
    replaced = image_file(tmp_path, "new.png", 99)
    os.utime(replaced, ns=(state.st_atime_ns, state.st_mtime_ns))
    replaced.replace(path)
    second = cache.load(path)
    assert second is not first
    assert (second.radiograph.pixels == 99).all()


def test_corrected_images_are_evicted_last(tmp_path: Path) -> None:
    cache = ImageCache(max_images=3)
    paths = [image_file(tmp_path, f"{value}.png", value) for value in range(6)]
    corrected = cache.load(paths[0])
    corrected.is_corrected = True
    for path in paths[1:]:
        cache.load(path)
        assert len(cache) <= 3
    assert cache.load(paths[0]) is corrected


def test_of_corrected_images_the_oldest_is_evicted(tmp_path: Path) -> None:
    cache = ImageCache(max_images=2)
    opened = [cache.load(image_file(tmp_path, f"{value}.png", value)) for value in range(2)]
    for one in opened:
        one.is_corrected = True
    cache.load(image_file(tmp_path, "2.png", 2))
    assert cache.load(tmp_path / "1.png") is opened[1]
    assert cache.load(tmp_path / "0.png") is not opened[0]


def test_memory_is_bounded_but_one_image_is_always_cached(tmp_path: Path) -> None:
    cache = ImageCache(max_bytes=1)
    cache.load(image_file(tmp_path, "a.png", 1))
    last = cache.load(image_file(tmp_path, "b.png", 2))
    assert len(cache) == 1
    assert cache.load(tmp_path / "b.png") is last


def test_idle_images_are_evicted(tmp_path: Path) -> None:
    cache = ImageCache(idle_timeout_s=-1.0)
    cache.load(image_file(tmp_path, "a.png", 1))
    cache.load(image_file(tmp_path, "b.png", 2))
    assert len(cache) == 1


def test_network_output_of_other_weights_is_not_used(tmp_path: Path) -> None:
    opened = ImageCache().load(image_file(tmp_path))
    seen = PredictionCache()
    opened.store_output(("a.pt", 1, 2, 3), seen)
    assert opened.output_of(("a.pt", 1, 2, 3)) is seen
    assert opened.output_of(("a.pt", 2, 2, 3)) is None


@pytest.mark.parametrize("content", [None, b"no image"])
def test_an_unreadable_file_raises_and_is_not_cached(tmp_path: Path, content: bytes | None) -> None:
    cache, path = ImageCache(), tmp_path / "image.png"
    if content is not None:
        path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match=r"image\.png"):
            cache.load(path)
    assert len(cache) == 0


def test_the_cache_is_thread_safe(tmp_path: Path) -> None:
    cache = ImageCache(max_images=2)
    paths = [image_file(tmp_path, f"{value}.png", value) for value in range(5)] * 8
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(cache.load, paths))
    for path, one in zip(paths, opened, strict=True):
        assert (one.radiograph.pixels == int(path.stem)).all()
    assert len(cache) <= 2
