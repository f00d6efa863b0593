"""``scripts/evaluate.py``: its arguments, its cases, and runs with a predictor that knows the answer."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evaluate
from lib.learning.aasce import Record
from lib.learning.decoders import DECODERS
from lib.learning.padding import padded
from lib.learning.prediction import Prediction
from lib.learning.reading import Radiograph
from lib.spine.evaluation import evaluate as figures_of
from lib.spine.geometry import with_centers
from lib.spine.phantoms import Phantom, PhantomSpec, render_phantom
from lib.spine.schema import CORNERS, VERTEBRAE, Spine

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "evaluate.py"
SIZES = ((300, 120), (360, 150), (300, 160))


class Stub:
    """Predicts what is known of an image by its pixels, each decoder a little farther off; counts its calls."""

    def __init__(self, known: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self.known, self.asked = known, 0

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def compare(self, radiograph: Radiograph, decoders: Sequence[str]) -> dict[str, Prediction]:
        """The points where the image lies in the field, ``off(decoder)`` pixels to the right."""
        self.asked += 1
        for pixels, points in self.known:
            place = find(radiograph.pixels, pixels)
            if place is not None:
                return {
                    name: Prediction(Spine.from_arrays(points + place + (off(name), 0)), 0.9, name, {})
                    for name in decoders
                }
        raise AssertionError("an image that nobody knows")


def off(decoder: str) -> float:
    """How far a decoder of the stub is off."""
    return float(DECODERS.index(decoder))


def find(field: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
    """Place (x, y) of an image in a field that holds it unchanged."""
    height, width = pixels.shape
    rows, columns = field.shape[0] - height + 1, field.shape[1] - width + 1
    if rows < 1 or columns < 1:
        return None
    row = np.lib.stride_tricks.sliding_window_view(field, (1, width))[:rows, :columns, 0]
    for y, x in np.argwhere((row == pixels[0]).all(-1)):
        if (field[y : y + height, x : x + width] == pixels).all():
            return np.array([x, y], dtype=float)
    return None


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    """Three small films with exact landmarks."""
    return [
        render_phantom(PhantomSpec(height=height, width=width, seed=seed, curves=((8.0, 30.0),)))
        for seed, (height, width) in enumerate(SIZES)
    ]


@pytest.fixture
def stub(phantoms: list[Phantom], monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor that ``main`` gets."""
    stub = Stub([(phantom.pixels, phantom.spine.xy) for phantom in phantoms])
    monkeypatch.setattr(evaluate, "LandmarkPredictor", stub)
    return stub


ROWS = [  # split, film, phantom, group, geometry_ok, suitable, level_ok, duplicate_of_training
    ("training", "a.png", 0, 1, 1, 1, 1, 0),
    ("training", "b.png", 1, 2, 1, 1, 0, 0),
    ("training", "c.png", 2, 3, 0, 1, 1, 0),
    ("test", "seen.png", 0, 1, 1, 1, 1, 1),
    ("test", "relative.png", 1, 1, 1, 1, 1, 0),
    ("test", "doubtful.png", 2, 8, 1, 0, 1, 0),
    ("test", "strict.png", 1, 9, 1, 1, 1, 0),
]
RESORTED_OFF = 5.0
"""How far re-sorted labels lie below the repaired ones here."""


def write(path: Path, rows: list[Sequence[object]]) -> None:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


@pytest.fixture
def data(tmp_path: Path, phantoms: list[Phantom]) -> Path:
    """Three training and four test films in the AASCE layout; official angles of 30, 20 and 10 degrees."""
    folder = tmp_path / "data"
    index: list[Sequence[object]] = [
        ("split", "filename", "group", "geometry_ok", "suitable", "level_ok", "duplicate_of_training")
    ]
    repaired: list[Sequence[object]] = [("split", "filename", "vertebra", "corner", "x_px", "y_px")]
    resorted: list[Sequence[object]] = [("image", "vertebra", "corner", "x_px", "y_px")]
    for split, name, number, *rest in ROWS:
        index.append((split, name, *rest))
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantoms[number].pixels).save(folder / "images" / split / name)
        corners = phantoms[number].spine.xy[:, 1:]
        for v, k in itertools.product(range(17), range(4)):
            x, y = corners[v, k].tolist()
            repaired.append((split, name, VERTEBRAE[v], CORNERS[k], x, y))
            if split == "test":
                resorted.append((name, v, CORNERS[k], x, y + RESORTED_OFF))
    write(folder / "index.csv", index)
    write(folder / "landmarks_repaired.csv", repaired)
    write(folder / "landmarks_test_resorted.csv", resorted)
    for split in ("training", "test"):
        names = [row[1] for row in ROWS if row[0] == split]
        write(folder / "labels" / split / "filenames.csv", [(name,) for name in names])
        write(folder / "labels" / split / "angles.csv", [(30, 20, 10)] * len(names))
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process."""
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
    return evaluate.main()


def figures(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The written figures, which have no NaN."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    content: dict[str, dict[str, dict[str, float]]] = json.loads(path.read_text(), parse_constant=refuse)
    return content


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the arguments --data --phantoms is required"),
        (["--data", "x", "--phantoms", "3"], "not allowed with argument"),
        (["--data", "x"], "--data and --split go together"),
        (["--split", "test", "--phantoms", "3"], "--data and --split go together"),
        (["--data", "x", "--split", "validation"], "invalid choice: 'validation'"),
        (["--data", "x", "--split", "test", "--fold", "0"], "--fold goes with --split training only"),
        (["--phantoms", "3", "--fold", "0"], "--fold goes with --split training only"),
        (["--data", "x", "--split", "training", "--fold", "5"], "invalid choice: 5"),
        (["--phantoms", "0"], "--phantoms must be at least 1"),
        (["--phantoms", "many"], "invalid int value"),
        (["--phantoms", "3", "--decoder", "best"], "invalid choice: 'best'"),
        (["--phantoms", "3", "--decoder"], "expected at least one argument"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate.parse_arguments(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_arguments() -> None:
    plain = evaluate.parse_arguments(["--phantoms", "3"])
    assert (plain.phantoms, plain.decoder, plain.padded, plain.fold, plain.json) == (3, ["map"], False, None, None)
    full = evaluate.parse_arguments(
        ["--data", "d", "--split", "training", "--fold", "0", "--decoder", *DECODERS, "--padded", "--json", "f.json"]
    )
    assert (full.data, full.split, full.fold, full.decoder) == (Path("d"), "training", 0, list(DECODERS))
    assert full.padded
    assert full.json == Path("f.json")


def test_training_has_the_sets_sane_and_clean(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A film with wrong geometry is in neither; one whose names are doubted is sane only."""
    out = tmp_path / "out.json"
    assert run(monkeypatch, "--data", data, "--split", "training", "--json", out) == 0
    results = figures(out)
    assert {name: set(sets) for name, sets in results.items()} == {
        "map": {"sane", "clean"},
        "labels": {"sane", "clean"},
    }
    for name in ("map", "labels"):
        assert {chosen: results[name][chosen]["images"] for chosen in ("sane", "clean")} == {"sane": 2, "clean": 1}
    assert stub.asked == 2
    assert results["map"]["sane"]["corner_mean"] == pytest.approx(0, abs=1e-9)
    assert "corner_mean" not in results["labels"]["sane"]
    assert results["labels"]["sane"]["gaps"] == 32
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["map", "map", "labels", "labels"]
    assert printed[1].split() == ["sane", "clean", "sane", "clean"]
    assert printed[2].split() == ["images", "2", "1", "2", "1"]
    assert {line.split()[0] for line in printed[2:]} == set(results["map"]["sane"])


def test_test_has_the_sets_all_unseen_and_strict(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Re-sorted labels count for the first two, 5 px lower here than the repaired ones of the strict set."""
    out = tmp_path / "out.json"
    assert run(monkeypatch, "--data", data, "--split", "test", "--decoder", *DECODERS, "--json", out) == 0
    results = figures(out)
    assert list(results) == [*DECODERS, "labels"]
    for sets in results.values():
        assert {name: values["images"] for name, values in sets.items()} == {"all": 4, "unseen": 3, "strict": 1}
    assert stub.asked == 4  # each film once, whatever the sets and decoders
    for name in DECODERS:
        for chosen, below in (("all", RESORTED_OFF), ("unseen", RESORTED_OFF), ("strict", 0)):
            expected = np.hypot(off(name), below)
            assert results[name][chosen]["corner_mean"] == pytest.approx(expected), (name, chosen)
            assert results[name][chosen]["center_mean"] == pytest.approx(expected), (name, chosen)


def test_angles_are_compared_with_the_official_ones(
    data: Path, phantoms: list[Phantom], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    assert run(monkeypatch, "--data", data, "--split", "test", "--json", out) == 0
    strict = phantoms[1].spine.xy[None]
    expected = figures_of(strict, strict, np.array([[150, 360]]), np.array([[30.0, 20, 10]]))
    assert expected["smape"] > 0
    assert figures(out)["map"]["strict"] == pytest.approx(expected, abs=1e-6)


def test_a_padded_film_is_moved_back(data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = {name: tmp_path / f"{name}.json" for name in ("plain", "padded", "again")}
    for name, path in out.items():
        extra = [] if name == "plain" else ["--padded"]
        assert run(monkeypatch, "--data", data, "--split", "test", "--json", path, *extra) == 0
    plain, moved = figures(out["plain"]), figures(out["padded"])
    assert figures(out["again"]) == moved
    for chosen in ("all", "unseen", "strict"):
        assert moved["map"][chosen] == pytest.approx(plain["map"][chosen], abs=1e-6)


def test_the_stub_sees_the_padded_field(phantoms: list[Phantom], stub: Stub) -> None:
    """What the test above rests on."""
    field, moved = padded(Radiograph(phantoms[0].pixels), 3)
    assert moved.any()
    found = find(field.pixels, phantoms[0].pixels)
    assert found is not None
    np.testing.assert_array_equal(found, moved)


def test_one_fold_holds_its_films_only(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three groups of one film in five folds: one each in the first three, of which the third has wrong geometry."""
    out = tmp_path / "out.json"
    for fold, sets in ((0, {"sane": 1, "clean": 1}), (1, {"sane": 1})):
        assert run(monkeypatch, "--data", data, "--split", "training", "--fold", fold, "--json", out) == 0
        assert {name: values["images"] for name, values in figures(out)["labels"].items()} == sets
    for fold in (2, 4):
        capsys.readouterr()
        assert run(monkeypatch, "--data", data, "--split", "training", "--fold", fold) == 1
        assert capsys.readouterr().err == "evaluate: there is no image to compare\n"


def test_phantoms_are_one_set(
    phantoms: list[Phantom], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no official angles: those of their points count."""
    monkeypatch.setattr(evaluate, "phantom", lambda number: (phantoms[number].pixels, phantoms[number].spine.xy))
    out = tmp_path / "deep" / "er" / "out.json"
    assert run(monkeypatch, "--phantoms", 3, "--decoder", "sequential", "--json", out) == 0
    results = figures(out)
    assert {name: set(sets) for name, sets in results.items()} == {"sequential": {"phantoms"}, "labels": {"phantoms"}}
    assert results["sequential"]["phantoms"]["images"] == 3
    assert results["sequential"]["phantoms"]["smape"] == pytest.approx(0, abs=1e-3)
    assert results["sequential"]["phantoms"]["corner_mean"] == pytest.approx(off("sequential"))


def test_phantoms_are_none_that_training_draws() -> None:
    pixels, points = evaluate.phantom(0)
    assert (pixels.shape, pixels.dtype, points.shape) == ((1000, 460), np.uint8, (17, 5, 2))
    assert evaluate.PHANTOM_SEED >= 1_000_000


def record(group: int, is_clean: bool = True, is_duplicate: bool = False, geometry_ok: bool = True) -> Record:
    """A test film of a patient."""
    corners = np.zeros((17, 4, 2))
    return Record(
        Path(f"{group}.jpg"), group, corners, corners + 1, np.ones(3), geometry_ok, is_clean, True, is_duplicate
    )


@pytest.mark.parametrize(
    ("film", "sets"),
    [
        (record(5), [("all", "unseen"), ("strict",)]),
        (record(5, is_clean=False), [("all", "unseen")]),
        (record(5, geometry_ok=False), [("all", "unseen")]),
        (record(5, is_duplicate=True), [("all",)]),
        (record(1), [("all", "unseen")]),
        (record(1, is_duplicate=True), [("all",)]),
    ],
    ids=["strict", "doubtful", "wrong geometry", "duplicate", "another film of a patient", "both"],
)
def test_sets_of_a_test_film(film: Record, sets: list[tuple[str, ...]]) -> None:
    cases = evaluate.test_cases([film], [record(1), record(2)])
    assert [case.sets for case in cases] == sets
    assert film.resorted is not None
    labels = (film.resorted, film.corners)
    for case, corners in zip(cases, labels[: len(cases)], strict=True):
        np.testing.assert_array_equal(case.points, with_centers(corners))
        assert case.angles is film.angles


@pytest.mark.parametrize("name", ["index.csv", "labels/training/angles.csv", "images/test/strict.png"])
def test_a_missing_file_is_named_without_a_traceback(
    data: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (data / name).unlink()
    assert run(monkeypatch, "--data", data, "--split", "test") == 1
    said = capsys.readouterr().err
    assert said.startswith("evaluate: ")
    assert Path(name).name in said


def test_figures_that_cannot_be_written_are_told_before_the_work(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert run(monkeypatch, "--data", data, "--split", "test", "--json", tmp_path / "file" / "out.json") == 1
    assert capsys.readouterr().err.startswith("evaluate: ")
    assert stub.asked == 0


def test_no_case_is_refused(stub: Stub) -> None:
    with pytest.raises(ValueError, match="there is no image to compare"):
        evaluate.measure([], stub, ["map"], False)  # type: ignore[arg-type]


@pytest.mark.integration
def test_the_command_names_bad_weights(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    command = [sys.executable, str(SCRIPT), "--phantoms", "1", "--weights", str(tmp_path / "bad.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bad.pt: not a weight file" in done.stderr
    assert "Traceback" not in done.stderr
