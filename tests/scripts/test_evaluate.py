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
import torch
from PIL import Image

import _evaluation_samples
import evaluate
from lib.evaluation.evaluate import evaluate as figures_of
from lib.image_io import Radiograph
from lib.learning.config import CornerConfig, load_config
from lib.learning.data.aasce import Record
from lib.learning.data.boxed_images import BoxRecord
from lib.learning.data.label_audit import COLUMNS
from lib.learning.data.synthetic import padded
from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.learning.models.corner_net import CornerNet
from lib.learning.prediction.result import Prediction
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    CornerWeights,
    load_weights,
    networks_digest,
    save_weights,
)
from lib.phantoms import Phantom, PhantomSpec, render_phantom
from lib.spine.geometry import with_centers
from lib.spine.schema import CORNERS, VERTEBRAE, Spine

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "evaluate.py"
SIZES = ((300, 120), (360, 150), (300, 160))


class Stub:
    """Predicts what is known of an image by its pixels, each decoder a little farther off; counts its calls."""

    def __init__(self, known: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self.known, self.asked = known, 0
        self.errors: np.ndarray | None = None
        self.told: dict[str, dict[str, Any]] = {}
        self.weights = ""
        self.predicted_by: dict[int, str] = {}

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        self.weights = weights.name
        return self

    def compare(self, radiograph: Radiograph, decoders: Sequence[str]) -> dict[str, Prediction]:
        """The points where the image lies in the field, ``off(decoder)`` pixels to the right."""
        self.asked += 1
        for number, (pixels, points) in enumerate(self.known):
            place = find(radiograph.pixels, pixels)
            if place is not None:
                self.predicted_by[number] = self.weights
                spines = {n: Spine.from_arrays(points + place + (off(n), 0), errors=self.errors) for n in decoders}
                frame, told = radiograph.frame, self.told
                return {n: Prediction(spine, 0.9, n, {}, frame, **told.get(n, {})) for n, spine in spines.items()}
        raise AssertionError("an image that nobody knows")


def off(decoder: str) -> float:
    """How far a decoder of the stub is off."""
    return float(list(DECODERS).index(decoder))


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
    """Three small images with exact landmarks."""
    return [
        render_phantom(PhantomSpec(height=height, width=width, seed=seed, curves=((8.0, 30.0),)))
        for seed, (height, width) in enumerate(SIZES)
    ]


@pytest.fixture
def stub(phantoms: list[Phantom], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor that ``main`` gets; without ``--json`` figures go to the test's own folder."""
    monkeypatch.chdir(tmp_path)
    stub = Stub([(phantom.pixels, phantom.spine.xy) for phantom in phantoms])
    monkeypatch.setattr(evaluate, "LandmarkPredictor", stub)
    return stub


ROWS = [  # split, file, phantom, group, geometry_ok, suitable, level_ok, duplicate_of_training
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
    """Three training and four test images in the AASCE layout; official angles of 30, 20 and 10 degrees."""
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
        ([], "one of the arguments --data --boxes --phantoms is required"),
        (["--data", "x", "--split", "test", "--boxes", "y"], "not allowed with argument"),
        (["--data", "x", "--phantoms", "3"], "not allowed with argument"),
        (["--split", "test", "--phantoms", "3"], "--split goes with --data only"),
        (["--data", "x", "--split", "validation"], "invalid choice: 'validation'"),
        (["--data", "x", "--split", "test", "--fold", "0"], "--fold goes with --split training or --boxes only"),
        (["--phantoms", "3", "--fold", "0"], "--fold goes with --split training or --boxes only"),
        (["--data", "x", "--split", "training", "--fold", "5"], "invalid choice: 5"),
        (["--phantoms", "0"], "--phantoms must be at least 1"),
        (["--phantoms", "many"], "invalid int value"),
        (["--phantoms", "3", "--decoder", "best"], "invalid choice: 'best'"),
        (["--phantoms", "3", "--decoder"], "expected at least one argument"),
        (["--data", "x", "--split", "test", "--kind", "film"], "--kind goes with --boxes only"),
        (["--data", "x", "--split", "test", "--audit", __file__], "--audit goes with --split training only"),
        (["--boxes", "x", "--kind", "leg"], "invalid choice: 'leg'"),
        (["--boxes", "x", "--split", "test"], "--split goes with --data only"),
        (["--phantoms", "3", "--weights", __file__, __file__], "several --weights go with --split training or --boxes"),
        (
            ["--data", "x", "--split", "test", "--weights", __file__, __file__],
            "several --weights go with --split training",
        ),
        (
            ["--phantoms", "3", "--decoder", "map", "parallel", "--predictions", "f.csv"],
            "--predictions goes with one decoder only",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate.parse_arguments(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_arguments() -> None:
    plain = evaluate.parse_arguments(["--phantoms", "3"])
    assert (plain.phantoms, plain.decoder, plain.padded, plain.fold) == (3, ["map"], False, None)
    assert (plain.json, plain.images, plain.predictions) == (Path("evaluation.json"), None, None)
    full = evaluate.parse_arguments(
        ["--data", "d", "--split", "training", "--fold", "0", "--decoder", *DECODERS, "--padded", "--json", "f.json"]
    )
    assert (full.data, full.split, full.fold, full.decoder) == (Path("d"), "training", [0], list(DECODERS))
    assert full.padded
    assert full.json == Path("f.json")
    boxed = evaluate.parse_arguments(["--boxes", "d", "--kind", "film", "--fold", "0", "1", "--fold", "3"])
    assert (boxed.boxes, boxed.kind, boxed.fold) == (Path("d"), "film", [0, 1, 3])


def test_training_has_the_sets_sane_and_clean(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image with wrong geometry is in neither; one whose names are doubted is sane only."""
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


def test_clean_labels_without_a_finding_are_the_set_sound(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, out = tmp_path / "audit.csv", tmp_path / "out.json"
    clean = next(row[1] for row in ROWS if row[0] == "training" and all(row[4:7]))
    for rule, sets in (("step", {"sane", "clean"}), ("names", {"sane", "clean", "sound"})):
        write(audit, [COLUMNS, (clean, 0, "yes", rule, "T1-T2", "a finding")])
        assert run(monkeypatch, "--data", data, "--split", "training", "--audit", audit, "--json", out) == 0
        assert set(figures(out)["map"]) == sets


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
    assert stub.asked == 4  # each image once, whatever the sets and decoders
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
    found = figures(out)["map"]["strict"]
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_a_padded_image_is_moved_back(data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_one_fold_holds_its_images_only(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three groups of one image in five folds: one each in the first three, of which the third has wrong geometry."""
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
    monkeypatch.setattr(
        _evaluation_samples, "phantom", lambda number: (phantoms[number].pixels, phantoms[number].spine.xy)
    )
    out = tmp_path / "deep" / "er" / "out.json"
    assert run(monkeypatch, "--phantoms", 3, "--decoder", "sequential", "--json", out) == 0
    results = figures(out)
    assert {name: set(sets) for name, sets in results.items()} == {"sequential": {"phantoms"}, "labels": {"phantoms"}}
    assert results["sequential"]["phantoms"]["images"] == 3
    assert results["sequential"]["phantoms"]["smape"] == pytest.approx(0, abs=1e-3)
    assert results["sequential"]["phantoms"]["corner_mean"] == pytest.approx(off("sequential"))


def test_phantoms_are_none_that_training_draws() -> None:
    pixels, points = _evaluation_samples.phantom(0)
    assert (pixels.shape, pixels.dtype, points.shape) == ((1000, 460), np.uint8, (17, 5, 2))
    assert _evaluation_samples.PHANTOM_SEED >= 1_000_000


def record(group: int, is_clean: bool = True, is_duplicate: bool = False, geometry_ok: bool = True) -> Record:
    """A test image of a patient."""
    corners = np.zeros((17, 4, 2))
    return Record(
        Path(f"{group}.jpg"), group, corners, corners + 1, np.ones(3), geometry_ok, is_clean, True, is_duplicate
    )


@pytest.mark.parametrize(
    ("record_", "sets"),
    [
        (record(5), [("all", "unseen"), ("strict",)]),
        (record(5, is_clean=False), [("all", "unseen")]),
        (record(5, geometry_ok=False), [("all", "unseen")]),
        (record(5, is_duplicate=True), [("all",)]),
        (record(1), [("all", "unseen")]),
        (record(1, is_duplicate=True), [("all",)]),
    ],
    ids=["strict", "doubtful", "wrong geometry", "duplicate", "another image of a patient", "both"],
)
def test_sets_of_a_test_image(record_: Record, sets: list[tuple[str, ...]]) -> None:
    cases = _evaluation_samples.test_samples([record_], [record(1), record(2)])
    assert [case.sets for case in cases] == sets
    assert record_.resorted is not None
    labels = (record_.resorted, record_.corners)
    for case, corners in zip(cases, labels[: len(cases)], strict=True):
        np.testing.assert_array_equal(case.points, with_centers(corners))
        assert case.angles is record_.angles


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


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_figures_are_written_without_being_asked(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "--data", data, "--split", "test") == 0
    assert set(figures(tmp_path / "evaluation.json")) == {"map", "labels"}


def test_the_contract_of_the_test_split(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure that the project promises, for all images, those not seen in training, and the strict ones."""
    assert run(monkeypatch, "--data", data, "--split", "test", "--decoder", "map") == 0
    promised = "smape cmae_deg mae_largest_deg within_5_deg nmse or20 or40 corner_mean corner_median center_mean"
    promised += " center_median within_2 within_2_5 within_3 within_4 names_shifted names_shifted_images"
    for name in ("fmin", "fmax", "eq", "neg"):
        promised += f" n_{name} {name}_per_1000 corner_means_n_{name}"
    for chosen in ("all", "unseen", "strict"):
        assert set(promised.split()) <= set(figures(tmp_path / "evaluation.json")["map"][chosen])


def test_images_have_a_row_for_every_set_and_decoder(
    data: Path, phantoms: list[Phantom], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "images.csv"
    assert run(monkeypatch, "--data", data, "--split", "test", "--decoder", "map", "parallel", "--images", out) == 0
    rows = table(out)
    keys = [(row["image"], row["set"], row["decoder"]) for row in rows]
    assert len(set(keys)) == len(keys) == 2 * (4 + 3 + 1)
    assert [key[0] for key in keys if key[1:] == ("unseen", "map")] == ["relative.png", "doubtful.png", "strict.png"]
    results = figures(tmp_path / "evaluation.json")
    for decoder, chosen in itertools.product(("map", "parallel"), ("all", "unseen", "strict")):
        part = [row for row in rows if (row["set"], row["decoder"]) == (chosen, decoder)]
        for column, figure in (("corner_mean_px", "corner_mean"), ("center_mean_px", "center_mean")):
            mean = np.mean([float(row[column]) for row in part])
            assert mean == pytest.approx(results[decoder][chosen][figure], abs=1e-4)
        largest = np.mean([abs(float(row["angle1_error_deg"])) for row in part])
        assert largest == pytest.approx(results[decoder][chosen]["mae_largest_deg"], abs=1e-4)
    strict = next(row for row in rows if (row["set"], row["decoder"]) == ("strict", "map"))
    assert [float(strict[f"reference{i}_deg"]) for i in (1, 2, 3)] == [30, 20, 10]
    assert (strict["levels_off"], strict["names_right"], strict["spine_score"]) == ("0", "1", "0.9000")
    assert strict["expected_corner_px"] == strict["expected_center_px"] == ""


def test_expected_errors_are_compared_with_observed_ones(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Points are off by 5 px on the images with re-sorted labels; centers expect 10 px, corners 4."""
    stub.errors = np.full((17, 5), 4.0)
    stub.errors[:, 0] = 10
    assert run(monkeypatch, "--data", data, "--split", "test", "--images", tmp_path / "images.csv") == 0
    results = figures(tmp_path / "evaluation.json")
    assert "calibration" not in results["labels"]["all"]
    figures_of_all: dict[str, Any] = results["map"]["all"]
    ends = [figures_of_all[f"calibration_{name}"] for name in ("centers_least", "centers_most", "corners_most")]
    assert ends == pytest.approx([2, 2, 0.8])
    assert (figures_of_all["calibration_all_least"], figures_of_all["calibration_all_most"]) == pytest.approx((0.8, 2))
    deciles = figures_of_all["calibration"]
    assert [(row["points"], row["decile"]) for row in deciles] == [
        (name, number) for name in ("all", "centers", "corners") for number in range(1, 11)
    ]
    assert sum(row["count"] for row in deciles) == 2 * 4 * 85
    assert deciles[-1] == pytest.approx(
        {"points": "corners", "decile": 10, "count": 27, "expected": 4, "observed": 5, "ratio": 0.8}
    )
    printed = capsys.readouterr().out
    assert "map, all, centers: expected / observed error in px by decile of the expected\n10/5  10/5" in printed
    assert all(row["expected_center_px"] == "10.0000" for row in table(tmp_path / "images.csv"))


def test_points_that_are_nowhere_off_have_no_ratio(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predictions and labels are the same to the last bit."""
    stub.errors = np.full((17, 5), 4.0)
    monkeypatch.setattr(_evaluation_samples, "phantom", lambda number: stub.known[number])
    assert run(monkeypatch, "--phantoms", 3, "--decoder", DEFAULT_DECODER) == 0
    found: dict[str, Any] = figures(tmp_path / "evaluation.json")[DEFAULT_DECODER]["phantoms"]
    assert {row["ratio"] for row in found["calibration"]} == {None}
    assert "calibration_all_least" not in found


def test_predictions_have_the_columns_of_predict(
    data: Path, phantoms: list[Phantom], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image once, though the strict one is in three sets; padding is taken off again."""
    for name, extra in (("plain.csv", []), ("padded.csv", ["--padded"])):
        out = tmp_path / name
        assert run(monkeypatch, "--data", data, "--split", "test", "--predictions", out, *extra) == 0
        rows = table(out)
        assert list(rows[0]) == ["image", "vertebra", "point", "x_px", "y_px", "score", "visible"]
        assert len(rows) == 4 * 85
        points = np.array([[row["x_px"], row["y_px"]] for row in rows if row["image"] == "strict.png"], dtype=float)
        np.testing.assert_allclose(points.reshape(17, 5, 2), phantoms[1].spine.xy, atol=6e-4)


def test_a_folder_in_the_place_of_a_result_is_told_before_the_work(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--json", "--images", "--predictions"):
        assert run(monkeypatch, "--data", data, "--split", "test", option, tmp_path) == 1
        assert capsys.readouterr().err == f"evaluate: {tmp_path} is a folder\n"
    assert stub.asked == 0


@pytest.fixture
def boxes(tmp_path: Path, phantoms: list[Phantom]) -> Path:
    """Two whole images and a crop; the second image lacks the boxes of T1 and L5, the crop has one of C7."""
    folder = tmp_path / "boxed"
    (folder / "images").mkdir(parents=True)
    rows: list[Sequence[object]] = [("image", "order_from_top", "x1_px", "y1_px", "x2_px", "y2_px")]
    for number, name in enumerate(("film_001.png", "film_011.png", "trunk_001.png")):
        Image.fromarray(phantoms[number].pixels).save(folder / "images" / name)
        centers = phantoms[number].spine.xy[:, 0]
        if number == 1:
            centers = centers[1:-1]
        if number == 2:
            centers = np.concatenate([2 * centers[:1] - centers[1:2], centers])
        for order, (x, y) in enumerate(centers.tolist()):
            rows.append((name, order, x - 6, y - 4, x + 6, y + 4))
    write(folder / "boxes.csv", rows)
    return folder


def test_boxes_have_the_kinds_as_sets(
    boxes: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--boxes", boxes, "--images", tmp_path / "images.csv") == 0
    results = figures(tmp_path / "evaluation.json")
    assert {name: list(sets) for name, sets in results.items()} == {
        "map": ["film", "trunk"],
        "labels": ["film", "trunk"],
    }
    whole, trunk = results["map"]["film"], results["map"]["trunk"]
    assert (whole["images"], whole["boxes"], whole["boxes_left_out"], whole["boxes_matched"]) == (2, 32, 0, 1)
    assert (whole["unmatched_beyond"], whole["unmatched_between"], whole["unmatched_astray"]) == (2, 0, 0)
    assert (trunk["boxes"], trunk["boxes_left_out"], trunk["images_complete"]) == (17, 1, 1)
    assert (results["labels"]["film"]["gaps"], results["map"]["film"]["gaps"]) == (16, 32)
    assert capsys.readouterr().out.splitlines()[1].split() == ["film", "trunk", "film", "trunk"]
    rows = table(tmp_path / "images.csv")
    assert [(row["image"], row["set"], row["fold"], row["boxes_matched"]) for row in rows] == [
        ("film_001.png", "film", "0", "17"),
        ("film_011.png", "film", "1", "15"),
        ("trunk_001.png", "trunk", "0", "17"),
    ]
    assert {(row["decoder"], row["in_order"], row["distance_mean_steps"]) for row in rows} == {("map", "1", "0.0000")}


def test_boxes_of_one_kind_and_of_some_folds(
    boxes: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra, sets in (
        (["--kind", "film"], {"film": 2}),
        (["--fold", 0], {"film": 1, "trunk": 1}),
        (["--kind", "film", "--fold", 1, "--fold", 4], {"film": 1}),
    ):
        assert run(monkeypatch, "--boxes", boxes, *extra) == 0
        found = figures(tmp_path / "evaluation.json")["map"]
        assert {name: values["images"] for name, values in found.items()} == sets
    capsys.readouterr()
    assert run(monkeypatch, "--boxes", boxes, "--fold", 3) == 1
    assert capsys.readouterr().err == "evaluate: there is no image to compare\n"


def test_boxes_that_are_missed_are_told(
    boxes: Path, phantoms: list[Phantom], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a step too low, no box is found; the table has no distance then."""
    half = [np.array([0, np.diff(p.spine.xy[:, 0, 1]).mean() / 2]) for p in phantoms]
    stub.known = [(p.pixels, p.spine.xy + down) for p, down in zip(phantoms, half, strict=True)]
    out = tmp_path / "images.csv"
    assert run(monkeypatch, "--boxes", boxes, "--kind", "film", "--images", out) == 0
    whole = figures(tmp_path / "evaluation.json")["map"]["film"]
    assert whole["boxes_matched"] < 0.5
    assert whole["images_complete"] == 0
    assert whole["unmatched_between"] > 10


def test_other_names_are_a_kind_of_their_own() -> None:
    records = [BoxRecord(Path(name), np.zeros((3, 4))) for name in ("film_1.png", "filming_12.png", "spine.png")]
    assert [case.sets for case in _evaluation_samples.boxed_samples(records)] == [("film",), ("other",), ("other",)]
    assert [case.name for case in _evaluation_samples.boxed_samples(records, "film")] == ["film_1.png"]
    assert [case.name for case in _evaluation_samples.boxed_samples(records, None, [1])] == ["filming_12.png"]


def test_predictions_of_boxed_images_too(
    boxes: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "landmarks.csv"
    assert run(monkeypatch, "--boxes", boxes, "--fold", 1, "--predictions", out) == 0
    assert {row["image"] for row in table(out)} == {"film_011.png"}


def facts(fold: int | None, **more: Any) -> dict[str, Any]:
    """What a training on the AASCE layout stores."""
    return {"data": "AASCE training split", "fold": fold, **more}


PATCH = CornerConfig(16, 24, 8.0, 4, 0)
KNOTS = ((0.1, 0.1), (1.0, 1.0))
ERRORS = ErrorModel(KNOTS, KNOTS, 0.0, 0.0, 1.0, 1.0)


def weights(path: Path, first: dict[str, Any], measured_on: dict[str, Any] | None = None) -> Path:
    """A weight file; with a corner network and its error model, where there is something to say of it."""
    refiner = None
    if measured_on is not None:
        state = {name: torch.zeros_like(tensor) for name, tensor in CornerNet(PATCH).state_dict().items()}
        refiner = CornerWeights(state, PATCH, {**first, ERRORS_MEASURED_ON: measured_on}, ERRORS)
    save_weights(path, {"a": torch.ones(1)}, load_config(), first, refiner=refiner)
    return path


@pytest.mark.parametrize(
    ("first", "arguments", "sets", "words"),
    [
        (facts(0), ["--fold", 0], {"sane": False, "clean": False}, ""),
        (facts(0), [], {"sane": True, "clean": False}, "a.pt was trained on 1 of these images (folds 1)"),
        (facts(1), [], {"sane": True, "clean": True}, "a.pt was trained on 1 of these images (folds 0)"),
        (facts(None), [], {"sane": True, "clean": True}, "a.pt was trained on 2 of these images (folds 0, 1)"),
        (facts(2), [], {"sane": True, "clean": True}, "a.pt was trained on 2 of these images (folds 0, 1)"),
        ({}, [], {"sane": None, "clean": None}, "a.pt does not say on which images it was trained"),
    ],
    ids=["held out", "some", "clean ones too", "all", "others", "unknown"],
)
def test_images_that_were_trained_on_are_warned_of(
    data: Path,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: dict[str, Any],
    arguments: list[object],
    sets: dict[str, bool | None],
    words: str,
) -> None:
    """Image a of fold 0 is clean, image b of fold 1 is not."""
    path = weights(tmp_path / "a.pt", first)
    assert run(monkeypatch, "--data", data, "--split", "training", "--weights", path, *arguments) == 0
    found = figures(tmp_path / "evaluation.json")
    assert {chosen: found["map"][chosen]["trained_on"] for chosen in sets} == sets
    assert all("trained_on" not in of_labels for of_labels in found["labels"].values())
    said = capsys.readouterr().err
    assert said.startswith(f"evaluate: {words}") if words else said == ""


def test_whether_images_were_trained_on_is_printed(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights(tmp_path / "a.pt", facts(0))
    assert run(monkeypatch, "--data", data, "--split", "training", "--weights", path) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["trained_on", "yes", "no"] in rows


@pytest.mark.parametrize(("fold", "is_known"), [(0, False), (1, True)])
def test_a_test_image_that_is_also_in_training_may_be_known(
    data: Path,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fold: int,
    is_known: bool,
) -> None:
    """It is of the patient of image a, of fold 0, as another one is that does not stand there."""
    path = weights(tmp_path / "a.pt", facts(fold))
    assert run(monkeypatch, "--data", data, "--split", "test", "--weights", path) == 0
    found = figures(tmp_path / "evaluation.json")["map"]
    assert {chosen: found[chosen]["trained_on"] for chosen in found} == {
        "all": is_known,
        "unseen": False,
        "strict": False,
    }
    assert ("a.pt was trained on 1 of these images (folds 0)" in capsys.readouterr().err) is is_known


def test_phantoms_are_never_trained_on(
    phantoms: list[Phantom],
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        _evaluation_samples, "phantom", lambda number: (phantoms[number].pixels, phantoms[number].spine.xy)
    )
    assert run(monkeypatch, "--phantoms", 3, "--weights", weights(tmp_path / "a.pt", {}, {})) == 0
    assert figures(tmp_path / "evaluation.json")["map"]["phantoms"]["trained_on"] is False
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("first", "arguments", "sets", "words"),
    [
        (facts(0, boxed_radiographs=9), ["--fold", 0], {"film": False, "trunk": False}, ""),
        (facts(0, boxed_radiographs=9), [], {"film": True, "trunk": False}, "a.pt was trained on 1 of these images"),
        (facts(0), [], {"film": False, "trunk": False}, ""),
        (facts(None, boxed_radiographs=9, boxes_fold=0), ["--fold", 0], {"film": False, "trunk": False}, ""),
    ],
    ids=["held out", "some", "without boxes", "another fold"],
)
def test_boxed_images_that_were_trained_on_are_told(
    boxes: Path,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: dict[str, Any],
    arguments: list[object],
    sets: dict[str, bool],
    words: str,
) -> None:
    path = weights(tmp_path / "a.pt", first)
    assert run(monkeypatch, "--boxes", boxes, "--weights", path, *arguments) == 0
    found = figures(tmp_path / "evaluation.json")["map"]
    assert {chosen: found[chosen]["trained_on"] for chosen in sets} == sets
    said = capsys.readouterr().err
    assert said.startswith(f"evaluate: {words}") if words else said == ""


def test_each_of_several_weight_files_predicts_the_fold_that_it_holds_out(
    data: Path,
    boxes: Path,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Images 0 and 1 are of folds 0 and 1 in either data set; the third image is of fold 0 among the boxed ones."""
    paths = [weights(tmp_path / f"{fold}.pt", facts(fold, boxed_radiographs=9)) for fold in (1, 0)]
    assert run(monkeypatch, "--data", data, "--split", "training", "--weights", *paths) == 0
    assert stub.predicted_by == {0: "0.pt", 1: "1.pt"}
    found = figures(tmp_path / "evaluation.json")["map"]
    assert {chosen: (found[chosen]["images"], found[chosen]["trained_on"]) for chosen in found} == {
        "sane": (2, False),
        "clean": (1, False),
    }
    stub.predicted_by.clear()
    assert run(monkeypatch, "--boxes", boxes, "--weights", *paths) == 0
    assert stub.predicted_by == {0: "0.pt", 1: "1.pt", 2: "0.pt"}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ([0, 2], "exactly one must hold out fold 1 of the AASCE training split, here it is none"),
        ([0, 1, 1], "exactly one must hold out fold 1 of the AASCE training split, here it is 1.pt, 2.pt"),
        ([0, 1, 2], "2.pt holds out none of the folds 0, 1 of the AASCE training split"),
    ],
)
def test_several_weight_files_that_do_not_fit_the_folds_are_refused(
    data: Path,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    held_out: list[int],
    words: str,
) -> None:
    paths = [weights(tmp_path / f"{number}.pt", facts(fold)) for number, fold in enumerate(held_out)]
    assert run(monkeypatch, "--data", data, "--split", "training", "--weights", *paths) == 1
    assert words in capsys.readouterr().err
    assert stub.asked == 0


@pytest.mark.parametrize(
    ("measured_on", "arguments", "sets", "words"),
    [
        ({"fold": 0}, [], {"sane": True, "clean": True}, "a.pt were measured on fold 0: on it they are fitted"),
        ({"fold": 1}, [], {"sane": True, "clean": False}, "a.pt were measured on fold 1: on it they are fitted"),
        ({"fold": 1}, ["--fold", 0], {"sane": False, "clean": False}, ""),
        ({}, [], {"sane": None, "clean": None}, "a.pt does not say on which images its expected errors were measured"),
    ],
)
def test_expected_errors_that_were_measured_on_these_images_are_told(
    data: Path,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured_on: dict[str, Any],
    arguments: list[object],
    sets: dict[str, bool | None],
    words: str,
) -> None:
    stub.errors = np.full((17, 5), 4.0)
    digest = networks_digest(load_weights(weights(tmp_path / "a.pt", facts(0), {})))
    path = weights(tmp_path / "a.pt", facts(0), {**measured_on, "networks": digest} if measured_on else {})
    assert run(monkeypatch, "--data", data, "--split", "training", "--weights", path, *arguments) == 0
    found = figures(tmp_path / "evaluation.json")["map"]
    assert {chosen: found[chosen]["calibrated_on"] for chosen in sets} == sets
    said = capsys.readouterr().err
    assert words in said
    assert ("expected errors" in said) is bool(words)
    assert "with other weights" not in said


def test_expected_errors_of_other_weights_are_told(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights(tmp_path / "a.pt", facts(0), {"fold": 3, "networks": "0123456789ab"})
    assert run(monkeypatch, "--data", data, "--split", "training", "--fold", 0, "--weights", path) == 0
    said = capsys.readouterr().err
    assert said == "evaluate: the expected errors of a.pt were measured with other weights: they are an estimate\n"
    assert "calibrated_on" not in figures(tmp_path / "evaluation.json")["map"]["sane"]  # the stub expects no errors


def test_intervals_and_chances_are_reported_of_decoders_that_tell_them(
    data: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stub's angles are right and lie in every interval; a half width is that of two tilts of 3 degrees."""
    decoder, stub.told = "parallel", {"parallel": {"names_right": 0.75, "tilt_half_widths": np.full(17, 3.0)}}
    out = tmp_path / "images.csv"
    arguments = ["--data", data, "--split", "training", "--decoder", "map", "parallel"]
    assert run(monkeypatch, *arguments, "--images", out) == 0
    expected = {"angle_inside_interval": 1.0, "angle_half_width_deg": 3 * 2**0.5, "expected_names_right": 0.75}
    expected |= {f"right_names_{name}": value for name, value in expected.items() if name.startswith("angle_")}
    results = figures(tmp_path / "evaluation.json")
    for name, chosen in itertools.product(("map", "parallel"), ("sane", "clean")):
        found = {key: value for key, value in results[name][chosen].items() if key in expected}
        assert found == (pytest.approx(expected) if name == decoder else {})
    columns = ("curve_half_width_deg", "angle_inside_interval", "expected_names_right")
    cells = {tuple(row[column] for column in columns) for row in table(out) if row["decoder"] == decoder}
    assert cells == {("4.2426", "1", "0.7500")}
    cells = {tuple(row[column] for column in columns) for row in table(out) if row["decoder"] != decoder}
    assert cells == {("", "", "")}
    assert {(row["image"], row["fold"]) for row in table(out)} == {("a.png", "0"), ("b.png", "1")}


@pytest.mark.integration
def test_the_command_names_bad_weights(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    command = [sys.executable, str(SCRIPT), "--phantoms", "1", "--weights", str(tmp_path / "bad.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bad.pt: not a weight file" in done.stderr
    assert "Traceback" not in done.stderr
