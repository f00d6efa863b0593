"""Thumbnails: size, orientation, gray range, cache and its bounds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from fastapi import HTTPException
from PIL import Image

from lib.image_io import Radiograph, UnreadableImageError
from lib.server.overview import thumbnails
from lib.server.overview.study_overview import Overview
from lib.server.overview.thumbnails import Thumbnails, draw_thumbnail
from lib.server.store.datastore import StudiesDatastore
from lib.spine.imaging.orientation import Orientation


def decoded(content: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    return np.asarray(image)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((2000, 1000), (240, 120)),
        ((3000, 700), (240, 56)),
        ((500, 2000), (30, 120)),
        ((100, 50), (100, 50)),
        ((1, 5000), (1, 120)),
        ((241, 13), (240, 13)),
    ],
)
def test_a_thumbnail_fits_and_is_not_enlarged(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert decoded(draw_thumbnail(Radiograph(np.zeros(size, np.uint16)))).shape == shown


def test_it_stands_upright_and_fills_the_gray_range() -> None:
    pixels = np.full((400, 800), 30_000, np.uint16)
    pixels[:, :200] = 30_400  # the left of the file is the top of the upright image
    shown = decoded(draw_thumbnail(Radiograph(pixels, orientation=Orientation(1))))
    assert shown.shape == (240, 120)
    assert shown[:50].min() > 240
    assert shown[70:].max() < 15


def test_single_bright_pixels_are_averaged() -> None:
    pixels = np.zeros((2400, 1200), np.uint8)
    pixels[::2, ::2] = 200
    pixels[:1200] = 0
    pixels[:100] = 200
    shown = decoded(draw_thumbnail(Radiograph(pixels)))
    assert shown[130:].std() < 4  # no pattern
    assert 40 < shown[130:].mean() < 90


def studies_with(folder: Path, **images: np.ndarray) -> StudiesDatastore:
    folder.mkdir()
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return StudiesDatastore(str(folder))


def test_it_is_drawn_once_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = studies_with(tmp_path / "studies", a=np.zeros((50, 20), np.uint8))
    some, again = (Thumbnails(store, tmp_path / "cache") for _ in range(2))
    key = some.key("a")
    assert some.cached(key) is None
    content = some.make("a", key)
    monkeypatch.setattr(thumbnails, "draw_thumbnail", lambda _: b"drawn again")
    assert some.make("a", key) == content == again.cached(key) == again.make("a", key)
    Image.fromarray(np.zeros((60, 20), np.uint8)).save(tmp_path / "studies" / "a.png")
    store.refresh()
    assert again.key("a") != key
    assert again.make("a", again.key("a")) == b"drawn again"
    store.close()


def test_no_thumbnail_stays_of_what_was_replaced_or_removed(tmp_path: Path) -> None:
    store = studies_with(tmp_path / "studies", **dict.fromkeys("ab", np.zeros((50, 20), np.uint8)))
    some = Thumbnails(store, tmp_path / "cache")
    for name in "ab":
        some.make(name, some.key(name))
    old = some.key("a")
    Image.fromarray(np.zeros((60, 20), np.uint8)).save(tmp_path / "studies" / "a.png")
    store.refresh()
    some.make("a", some.key("a"))
    assert some.cached(old) is None
    assert some.cached(some.key("a")) is not None
    some.forget("a")
    assert [path.stem for path in (tmp_path / "cache").rglob("*.jpg")] == [some.key("b")]
    store.close()


def test_no_thumbnail_stays_of_an_image_whose_file_vanishes(tmp_path: Path) -> None:
    store = studies_with(tmp_path / "studies", **dict.fromkeys("abc", np.zeros((50, 20), np.uint8)))
    overview = Overview(store, tmp_path)
    for name in "abc":
        overview.thumbnails.make(name, overview.thumbnails.key(name))
    kept = {overview.thumbnails.key(name) for name in "bc"}
    (tmp_path / "studies" / "a.png").unlink()
    store.refresh()
    assert {path.stem for path in (tmp_path / "thumbnails").rglob("*.jpg")} == kept
    store.close()
    (tmp_path / "studies" / "b.png").unlink()  # while no server runs
    Image.fromarray(np.zeros((50, 20), np.uint8)).save(tmp_path / "studies" / "d.png")
    store = StudiesDatastore(str(tmp_path / "studies"))
    later = Overview(store, tmp_path).thumbnails
    later.make("d", later.key("d"))
    assert {path.stem for path in (tmp_path / "thumbnails").rglob("*.jpg")} == {later.key("c"), later.key("d")}
    store.close()


def test_an_unreadable_image_is_noted_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = studies_with(tmp_path / "studies")
    (tmp_path / "studies" / "bad.png").write_bytes(b"no pixels")
    store.refresh()
    some = Thumbnails(store, tmp_path / "cache")
    with pytest.raises(UnreadableImageError, match="not an image"):
        some.make("bad", some.key("bad"))
    monkeypatch.setattr(thumbnails, "read_radiograph", lambda _: pytest.fail("read again"))
    with pytest.raises(UnreadableImageError, match="not an image"):
        some.make("bad", some.key("bad"))
    with pytest.raises(HTTPException, match="there is no image 'none'"):
        some.make("none", some.key("none"))
    assert not list((tmp_path / "cache").rglob("*.jpg"))
    store.close()


def test_the_oldest_are_deleted_where_there_are_too_many(tmp_path: Path) -> None:
    names = [f"n{number:02d}" for number in range(60)]
    store = studies_with(tmp_path / "studies", **dict.fromkeys(names, np.zeros((9, 9), np.uint8)))
    some = Thumbnails(store, tmp_path / "cache", max_files=16)
    most = 0
    for name in names:
        some.make(name, some.key(name))
        most = max(most, len(list((tmp_path / "cache").rglob("*.jpg"))))
    assert 12 <= most <= 18
    assert some.cached(some.key(names[-1])) is not None
    assert some.cached(some.key(names[0])) is None
    store.close()


def test_a_full_disk_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = studies_with(tmp_path / "studies", a=np.zeros((50, 20), np.uint8))
    (tmp_path / "cache").write_text("a file where the folder would be")
    some = Thumbnails(store, tmp_path / "cache")
    assert decoded(some.make("a", some.key("a"))).shape == (50, 20)
    store.close()
