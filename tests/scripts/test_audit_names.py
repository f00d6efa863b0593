"""``scripts/audit_names.py``: its arguments, its table, and what it makes of a phantom with the shipped weights."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import audit_names
from lib.image_io import Radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.prediction.level_names import COLUMNS, read_model_folds, read_names
from lib.learning.weights.weight_files import load_weights, save_weights
from lib.phantoms import PhantomSpec, render_phantom

BESIDE = {"clear": 0.01, "unclear": 0.5}
SAID = {  # by how many levels the stub thinks an image's names off, and how clearly
    "fits.png": (0, "clear"),
    "moved.png": (1, "clear"),
    "unclear.png": (-1, "unclear"),
    "doubted.png": (0, "clear"),
    "open.png": (1, "unclear"),
    "film_001.png": (2, "clear"),
    "film_011.png": (2, "clear"),
}


class Stub:
    """Scores as ``SAID`` tells; keeps the points that it was asked about."""

    def __init__(self, grays: dict[str, int]) -> None:
        self.names = {gray: name for name, gray in grays.items()}
        self.asked: dict[str, np.ndarray] = {}

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def scores_at(self, radiograph: Radiograph, points: np.ndarray) -> np.ndarray:
        """0.8 for the true name, less for those beside it, nothing for others."""
        name = self.names[int(radiograph.pixels[0, 0])]
        self.asked[name] = points
        levels, clearness = SAID[name]
        distance = np.abs(np.arange(17)[:, None] - np.arange(len(points)) - levels)
        return np.where(distance == 0, 0.8, np.where(distance == 1, BESIDE[clearness], 0.0))


@pytest.fixture
def stub(folders: Any, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor that ``main`` gets."""
    stub = Stub(folders.grays)
    monkeypatch.setattr(audit_names, "LandmarkPredictor", stub)
    return stub


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process."""
    monkeypatch.setattr(sys, "argv", ["audit_names.py", *map(str, arguments)])
    return audit_names.main()


def table(path: Path) -> dict[str, dict[str, str]]:
    """Rows by file name."""
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["filename"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "x.csv"], "--data or --boxes is needed"),
        (["--data", "x"], "the following arguments are required: --output"),
        (["--data", "x", "--split", "test", "--output", "x.csv"], "unrecognized arguments: --split test"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        audit_names.parse_arguments(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_the_table_says_what_to_learn(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image with wrong geometry teaches nothing and has no row; film_001 would reach beyond L5."""
    out = tmp_path / "names.csv"
    assert run(monkeypatch, "--data", folders.data, "--boxes", folders.boxes, "--output", out) == 0
    rows = table(out)
    assert tuple(next(iter(rows.values()))) == COLUMNS
    assert {
        name: tuple(row[column] for column in COLUMNS if column not in ("margin", "model_folds"))
        for name, row in rows.items()
    } == {
        "fits.png": ("fits.png", "0", "yes", "17", "0", ""),
        "moved.png": ("moved.png", "1", "yes", "17", "1", "1"),
        "unclear.png": ("unclear.png", "2", "yes", "17", "-1", "none"),
        "doubted.png": ("doubted.png", "3", "no", "17", "0", "0"),
        "open.png": ("open.png", "4", "no", "17", "1", ""),
        "film_001.png": ("film_001.png", "0", "", "16", "2", ""),
        "film_011.png": ("film_011.png", "1", "", "15", "2", "2"),
    }
    assert all(float(row["margin"]) > 0 for row in rows.values())
    # by hand: one level further down 14 have 0.01 instead of 0.8, and the last, beyond L5, counts 0.03
    expected = 14 * np.log(0.8 / 0.01) + np.log(0.8 / 0.03)
    assert float(rows["film_011.png"]["margin"]) == pytest.approx(expected, abs=0.05)
    assert read_names(out) == {"moved.png": 1, "unclear.png": None, "doubted.png": 0, "film_011.png": 2}
    assert capsys.readouterr().out == f"4 of 7 labels are renamed or ignored in training; see {out}\n"


@pytest.mark.parametrize(
    ("facts", "folds"),
    [
        ({"data": "AASCE training split", "fold": 0}, frozenset({1, 2, 3, 4})),
        ({"data": "AASCE training split", "fold": None}, frozenset(range(5))),
        ({}, None),
    ],
    ids=["one held out", "all", "unknown"],
)
def test_the_table_says_which_folds_its_model_knows(
    folders: Any,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, Any],
    folds: frozenset[int] | None,
) -> None:
    """Which the corner network does not matter for: it is not asked."""
    shipped = load_weights(DEFAULT_WEIGHTS_FILE)
    save_weights(tmp_path / "a.pt", {}, shipped.config, facts, refiner=shipped.refiner)
    out = tmp_path / "names.csv"
    arguments = ("--data", folders.data, "--output", out, "--weights", tmp_path / "a.pt")
    assert run(monkeypatch, *arguments) == 0
    assert read_model_folds(out) == folds


def test_the_model_is_asked_about_the_labelled_centers(
    folders: Any, stub: Stub, ladder: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        run(
            monkeypatch,
            "--data",
            folders.data,
            "--boxes",
            folders.boxes,
            "--output",
            tmp_path / "names.csv",
        )
        == 0
    )
    assert set(stub.asked) == set(SAID)
    for name, points in stub.asked.items():
        np.testing.assert_allclose(points, ladder[: len(points), 0])
        assert len(points) == {"film_001.png": 16, "film_011.png": 15}.get(name, 17)


@pytest.mark.parametrize("kind", ["data", "boxes"])
def test_one_kind_of_labels_is_enough(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    out = tmp_path / "names.csv"
    assert run(monkeypatch, f"--{kind}", getattr(folders, kind), "--output", out) == 0
    assert set(table(out)) == {name for name in SAID if name.startswith("film_") == (kind == "boxes")}


@pytest.mark.parametrize("name", ["data/index.csv", "data/images/training/moved.png", "boxed/boxes.csv"])
def test_a_missing_file_is_named_without_a_traceback(
    folders: Any,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    (tmp_path / name).unlink()
    out = tmp_path / "names.csv"
    assert run(monkeypatch, "--data", folders.data, "--boxes", folders.boxes, "--output", out) == 1
    said = capsys.readouterr().err
    assert said.startswith("audit_names: ")
    assert Path(name).name in said
    assert not out.exists()


def test_bad_weights_are_named(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    arguments = ("--data", folders.data, "--output", tmp_path / "names.csv", "--weights", tmp_path / "bad.pt")
    assert run(monkeypatch, *arguments, "--device", "cpu") == 1
    assert capsys.readouterr().err.startswith("audit_names: bad.pt: not a weight file")


@pytest.mark.parametrize("name", ["", "moved.png/names.csv"], ids=["a folder", "below a file"])
def test_a_table_that_cannot_be_written_is_told_before_the_work(
    folders: Any, stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = folders.data / "images" / "training" / name
    assert run(monkeypatch, "--data", folders.data, "--output", out) == 1
    assert capsys.readouterr().err.startswith("audit_names: ")
    assert stub.asked == {}


def test_the_folder_of_the_table_is_made(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "names.csv"
    assert run(monkeypatch, "--data", folders.data, "--output", out) == 0
    assert list(out.parent.iterdir()) == [out]


def test_a_failure_leaves_an_earlier_table_alone(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "names.csv"
    out.write_text("earlier")
    (folders.data / "images" / "training" / "moved.png").unlink()
    assert run(monkeypatch, "--data", folders.data, "--output", out) == 1
    assert out.read_text() == "earlier"


@pytest.mark.slow
def test_the_shipped_model_names_the_boxes_of_a_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes around T3 to L4: what a label calls T1 for want of a name is T3."""
    phantom = render_phantom(PhantomSpec(height=1000, width=460, seed=2_000_000, curves=((8.0, 30.0),)))
    corners = phantom.spine.xy[2:16, 1:]
    boxes = np.concatenate([corners.min(1), corners.max(1)], -1)
    (tmp_path / "images").mkdir()
    Image.fromarray(phantom.pixels).save(tmp_path / "images" / "film_001.png")
    rows = [f"film_001.png,{n},{','.join(map(str, box))}" for n, box in enumerate(boxes.tolist())]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,order_from_top,x1_px,y1_px,x2_px,y2_px", *rows]))
    out = tmp_path / "names.csv"
    assert run(monkeypatch, "--boxes", tmp_path, "--output", out, "--device", "cpu") == 0
    assert read_names(out) == {"film_001.png": 2}
