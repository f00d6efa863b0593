"""Films that are kept in memory while people work on them."""

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
from lib.server.inference.image_cache import OpenFilms

NOTHING = Maps(torch.zeros(1, 17, 1, 1), torch.zeros(1, 2, 1, 1), torch.zeros(1, 8, 1, 1))


def film(folder: Path, name: str = "film.png", value: int = 9) -> Path:
    """An image of 20 x 30 pixels."""
    Image.new("L", (20, 30), value).save(folder / name)
    return folder / name


def test_a_film_is_read_once(tmp_path: Path) -> None:
    films, path = OpenFilms(), film(tmp_path)
    first = films.open(path)
    assert first.radiograph.pixels.shape == (30, 20)
    assert films.open(path) is first
    assert len(films) == 1


def test_a_film_that_was_sent_again_is_known_by_its_content(tmp_path: Path) -> None:
    films, path = OpenFilms(), film(tmp_path)
    first = films.open(path)
    again = shutil.copy(path, tmp_path / "other.png")
    path.unlink()
    assert films.open(again) is first
    assert films.open(again) is first
    assert len(films) == 1


def test_the_same_content_under_another_kind_of_name_is_another_film(tmp_path: Path) -> None:
    """The name decides how a file is read."""
    films, path = OpenFilms(), film(tmp_path)
    assert films.open(path) is not films.open(Path(shutil.copy(path, tmp_path / "film.bmp")))


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    films, path = OpenFilms(), film(tmp_path)
    first = films.open(path)
    state = path.stat()
    replaced = film(tmp_path, "new.png", 99)
    os.utime(replaced, ns=(state.st_atime_ns, state.st_mtime_ns))
    replaced.replace(path)
    second = films.open(path)
    assert second is not first
    assert (second.radiograph.pixels == 99).all()


def test_few_films_are_kept_those_in_work_the_longest(tmp_path: Path) -> None:
    films = OpenFilms(most=3)
    paths = [film(tmp_path, f"{value}.png", value) for value in range(6)]
    corrected = films.open(paths[0])
    corrected.is_corrected = True
    for path in paths[1:]:
        films.open(path)
        assert len(films) <= 3
    assert films.open(paths[0]) is corrected


def test_of_films_in_work_the_oldest_goes(tmp_path: Path) -> None:
    films = OpenFilms(most=2)
    opened = [films.open(film(tmp_path, f"{value}.png", value)) for value in range(2)]
    for one in opened:
        one.is_corrected = True
    films.open(film(tmp_path, "2.png", 2))
    assert films.open(tmp_path / "1.png") is opened[1]
    assert films.open(tmp_path / "0.png") is not opened[0]


def test_memory_is_bounded_but_one_film_is_always_kept(tmp_path: Path) -> None:
    films = OpenFilms(most_bytes=1)
    films.open(film(tmp_path, "a.png", 1))
    last = films.open(film(tmp_path, "b.png", 2))
    assert len(films) == 1
    assert films.open(tmp_path / "b.png") is last


def test_idle_films_are_forgotten(tmp_path: Path) -> None:
    films = OpenFilms(idle_s=-1.0)
    films.open(film(tmp_path, "a.png", 1))
    films.open(film(tmp_path, "b.png", 2))
    assert len(films) == 1


def test_what_other_weights_saw_does_not_count(tmp_path: Path) -> None:
    opened = OpenFilms().open(film(tmp_path))
    seen = PredictionCache()
    opened.keep(("a.pt", 1, 2, 3), seen)
    assert opened.seen_with(("a.pt", 1, 2, 3)) is seen
    assert opened.seen_with(("a.pt", 2, 2, 3)) is None


@pytest.mark.parametrize("content", [None, b"no image"])
def test_what_cannot_be_read_is_told_and_not_kept(tmp_path: Path, content: bytes | None) -> None:
    films, path = OpenFilms(), tmp_path / "film.png"
    if content is not None:
        path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match=r"film\.png"):
            films.open(path)
    assert len(films) == 0


def test_several_threads_get_whole_films(tmp_path: Path) -> None:
    films = OpenFilms(most=2)
    paths = [film(tmp_path, f"{value}.png", value) for value in range(5)] * 8
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(films.open, paths))
    for path, one in zip(paths, opened, strict=True):
        assert (one.radiograph.pixels == int(path.stem)).all()
    assert len(films) <= 2
