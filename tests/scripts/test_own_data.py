"""The training commands on a user's own data: whose images are held out, and what weights say of them."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import _data_arguments
import _training
import audit_labels
import audit_names
import calibrate
import evaluate
import pack_training
import train
import train_refiner
from lib.image_io import Radiograph
from lib.learning.config import load_config
from lib.learning.data import IMAGE
from lib.learning.models.corner_net import CornerNet
from lib.learning.prediction.result import Prediction
from lib.learning.weights.provenance import IMAGES, public_facts, read_known_images, trained_on
from lib.learning.weights.weight_files import CornerWeights, load_weights, save_weights
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.coco import to_coco
from lib.spine.labels.label_exchange import LabelledImage, landmarks_csv
from lib.spine.labels.markups import SUFFIX, write_markups
from lib.spine.schema import Spine
from lib.study.plan import PLAN_FILE, checked_plan, plan_text

PATIENTS, VISITS = 6, ("first", "second")
SIZE = (100, 300)
PRIVATE = "MEIER"


class Recorder:
    """In the place of the trainers' classes: keeps what they would have learnt from."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.learnt: set[str] = set()
        self.checked: set[str] = set()

    def __call__(self, *arguments: Any, **options: Any) -> Recorder:
        """A trainer; its facts are the one dictionary that says on which data."""
        self.facts = next(one for one in arguments if isinstance(one, dict) and "data" in one)
        return self

    def fit(self, training: list[dict[str, Any]], checked: list[dict[str, Any]], on_epoch: object = None) -> Path:
        """Learns nothing."""
        self.learnt, self.checked = ({Path(item[IMAGE]).name for item in part} for part in (training, checked))
        return Path("best.pt")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    """Both trainers; the test's folder is the current one."""
    recorder = Recorder()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "LandmarkTrainer", recorder)
    monkeypatch.setattr(train_refiner, "CornerTrainer", recorder)
    return recorder


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit status and errors of a command."""

    def run(command: Any, *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", [f"{command.__name__}.py", *map(str, arguments)])
        status = command.main()
        return status, capsys.readouterr().err

    return run


def points_of(ladder: np.ndarray, number: int) -> np.ndarray:
    """``(17, 5, 2)`` labelled points of a patient, whose spine is a little bent."""
    bend = number * np.stack([0.3 * np.sin(np.arange(17)), 0.1 * np.cos(np.arange(17))], -1)
    return np.asarray(ladder + number + bend[:, None])


PLAIN = ("--device", "cpu", "--set", "training.phantoms", "0", "--set", "training.spineless", "0")


@pytest.fixture
def spines(tmp_path: Path, ladder: np.ndarray) -> Path:
    """Six patients with two images each, in a studies folder."""
    folder = tmp_path / "spines"
    (folder / "labels" / "final").mkdir(parents=True)
    for number in range(PATIENTS):
        for visit, words in enumerate(VISITS):
            name = f"{PRIVATE}{number}_{words}"
            Image.new("L", SIZE, 10 * number + visit + 1).save(folder / f"{name}.png")
            write_markups(folder / "labels" / "final" / f"{name}{SUFFIX}", Spine.from_arrays(points_of(ladder, number)))
    return folder


def saved(path: Path, facts: dict[str, Any], refiner: dict[str, Any] | None = None) -> Path:
    """A weight file with a network of one number, and one of the corners where there are facts of it."""
    import torch

    config = load_config()
    patch = config.refiner
    corners = None if refiner is None else CornerWeights(CornerNet(patch).state_dict(), patch, refiner)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, {"a": torch.ones(1)}, config, facts, refiner=corners)
    return path


def trained(call: Call, recorder: Recorder, spines: Path, run: str = "run", fold: object = 0, *more: object) -> Path:
    """Weights as ``train.py`` would have written them."""
    arguments = ("--data", spines, "--fold", fold, "--output", run, *PLAIN, *more)
    status, errors = call(train, *arguments)
    assert status == 0, errors
    return saved(Path(run) / "best.pt", recorder.facts, recorder.facts)


def patients(names: set[str]) -> set[str]:
    """Of image names."""
    return {name.partition("_")[0] for name in names}


def as_file(spines: Path, kind: str) -> Path:
    """The labels of the folder in a file elsewhere, with other names for some images."""
    from lib.spine.labels.markups import read_markups

    labels = [
        LabelledImage(f"{path.name.removesuffix(SUFFIX)}.png", read_markups(path), ImageFrame(*SIZE))
        for path in sorted((spines / "labels" / "final").iterdir())
    ]
    target = spines.parent / f"labels.{'csv' if kind == 'csv' else 'json'}"
    target.write_text({"csv": landmarks_csv, "coco": to_coco}[kind](labels))
    return target


def test_a_fold_holds_out_patients_and_is_written_down(call: Call, recorder: Recorder, spines: Path) -> None:
    trained(call, recorder, spines)
    assert len(recorder.learnt) + len(recorder.checked) == PATIENTS * len(VISITS)
    assert recorder.checked
    assert not patients(recorder.learnt) & patients(recorder.checked)
    with Path("run/folds.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["image"] for row in rows if row["fold"] == "0"} == recorder.checked
    facts = public_facts(recorder.facts)
    assert facts["data_set"] | {"digest": ""} == {"name": "spines", "digest": "", "images": 12}
    assert (facts["data"], facts["fold"], facts["radiographs"]) == ("own data", 0, len(recorder.learnt))
    assert PRIVATE not in json.dumps(recorder.facts)
    assert IMAGES in recorder.facts
    assert IMAGES not in facts


@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_the_same_labels_in_a_file_are_the_same_data(call: Call, recorder: Recorder, spines: Path, kind: str) -> None:
    trained(call, recorder, spines)
    first, learnt = recorder.facts, recorder.learnt
    trained(call, recorder, as_file(spines, kind), "other", 0, "--image-folder", spines)
    assert recorder.learnt == learnt
    assert recorder.facts["data_set"]["digest"] == first["data_set"]["digest"]
    assert recorder.facts[IMAGES] == first[IMAGES]


def test_a_run_goes_on_with_its_folds_while_data_grow(
    call: Call, recorder: Recorder, spines: Path, ladder: np.ndarray
) -> None:
    trained(call, recorder, spines)
    checked = recorder.checked
    for number in range(5):
        Image.new("L", SIZE, 200 + number).save(spines / f"0{number}.png")
        write_markups(spines / "labels" / "final" / f"0{number}{SUFFIX}", Spine.from_arrays(ladder))
    trained(call, recorder, spines, "later", 0, "--folds", "run/folds.csv")
    assert checked <= recorder.checked
    assert not recorder.learnt & checked
    assert len(Path("run/folds.csv").read_text().splitlines()) == 1 + 17


def test_weights_are_refused_on_patients_whom_they_know(call: Call, recorder: Recorder, spines: Path) -> None:
    """Whatever the images are called, and in whatever format and fold they come."""
    weights = trained(call, recorder, spines)
    shutil.move(weights, "model.pt")  # away from its folds
    seen = next(iter(recorder.learnt))
    table = Path("mine.csv")
    with table.open("w") as stream:
        people = {f"{PRIVATE}{n}": int(f"{PRIVATE}{n}" == seen.partition("_")[0]) for n in range(PATIENTS)}
        rows = [(f"{patient}_{visit}.png", fold) for patient, fold in people.items() for visit in VISITS]
        csv.writer(stream).writerows([("image", "fold"), *rows])
    file = as_file(spines, "coco")
    data = ("--data", file, "--image-folder", spines, "--folds", table)
    words = "model.pt was trained on your data spines: it knows 2 of the 2 images in fold 1 of labels.json"
    for command, more in (
        (train, ("--init", "model.pt", "--output", "run2", *PLAIN)),
        (train_refiner, ("--weights", "model.pt", "--output", "run2", "--device", "cpu")),
        (calibrate, ("--weights", "model.pt", "--output", "out.pt", "--device", "cpu")),
    ):
        recorder.learnt = set()
        status, errors = call(command, *data, "--fold", 1, *more)
        assert status == 1
        assert words in errors.splitlines()[-1]
        assert recorder.learnt == set()
    status, errors = call(evaluate, *data, "--fold", 1, "--weights", "model.pt", "--device", "cpu")
    assert status == 1
    assert "model.pt was trained on your data spines: it knows 2 of these 2 images of labels.json" in errors


def test_another_image_of_a_patient_is_known_too(call: Call, recorder: Recorder, spines: Path, tmp_path: Path) -> None:
    names = [f"{PRIVATE}{number}_first" for number in range(PATIENTS)]
    part = tmp_path / "part"
    (part / "labels" / "final").mkdir(parents=True)
    for name in names:
        shutil.copy(spines / f"{name}.png", part)
        shutil.copy(spines / "labels" / "final" / f"{name}{SUFFIX}", part / "labels" / "final")
    weights = trained(call, recorder, part, "run", "none")
    Path("run/folds.csv").unlink()
    shutil.rmtree(part)
    for name in names[:-1]:  # of the other patients only second visits are left
        (spines / f"{name}.png").unlink()
        (spines / "labels" / "final" / f"{name}{SUFFIX}").unlink()
    status, errors = call(evaluate, "--data", spines, "--weights", weights, "--device", "cpu")
    assert status == 1
    assert "it knows 2 of these 7 images of spines, or other images of their patients" in errors


def test_what_began_with_weights_knows_what_they_know(call: Call, recorder: Recorder, spines: Path) -> None:
    first = trained(call, recorder, spines)
    learnt = recorder.facts[IMAGES].split()
    trained(call, recorder, spines, "second", 0, "--init", first, "--folds", "run/folds.csv")
    seen = trained_on(recorder.facts)
    assert seen.is_known
    assert seen.images == set(learnt)
    assert trained_on({**recorder.facts, IMAGES: ""}).images == set(learnt)  # by way of init


class Stub:
    """Finds the spine of an image by its gray value, moved by (3, 4) px."""

    def __init__(self, ladder: np.ndarray) -> None:
        self.ladder, self.asked = ladder, 0

    def __call__(self, *arguments: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def locate(self, radiograph: Radiograph, decoder: str) -> Prediction:
        """The spine, with raw errors."""
        self.asked += 1
        points = points_of(self.ladder, (int(radiograph.pixels[0, 0]) - 1) // 10) + np.array([3.0, 4.0])
        said = 1 + np.arange(85.0).reshape(17, 5) / 10
        spine = Spine.from_arrays(points, errors=np.full((17, 5), 5.0))
        return Prediction(spine, 0.9, decoder, {}, radiograph.frame, naming_lead=12.5, raw_errors=said)

    def compare(self, radiograph: Radiograph, decoders: list[str]) -> dict[str, Prediction]:
        """The spine of every decoder."""
        return {name: self.locate(radiograph, name) for name in decoders}


@pytest.fixture
def stub(ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor of both commands that measure; two images are enough for an error model."""
    stub = Stub(ladder)
    monkeypatch.setattr(calibrate, "LandmarkPredictor", stub)
    monkeypatch.setattr(evaluate, "LandmarkPredictor", stub)
    monkeypatch.setattr("lib.learning.uncertainty.error_model.MIN_SPINES", 1)
    monkeypatch.setattr(calibrate, "MIN_SPINES", 1)
    return stub


def test_held_out_images_are_calibrated_and_measured(call: Call, recorder: Recorder, spines: Path, stub: Stub) -> None:
    weights = trained(call, recorder, spines)
    count = len(recorder.checked)
    status, errors = call(
        calibrate, "--data", spines, "--fold", 0, "--weights", weights, "--output", "run/model.pt", "--device", "cpu"
    )
    assert (status, stub.asked) == (0, count), errors
    known = read_known_images(Path("run/model.pt"))
    assert known.errors_on is not None
    assert known.errors_on["data_set"]["name"] == "spines"
    assert known.was_calibrated_on(0) is False  # that is a fold of the AASCE training split
    data = ("--data", spines, "--fold", 0, "--device", "cpu", "--json", "figures.json", "--images", "images.csv")
    status, errors = call(evaluate, *data, "--weights", "run/model.pt")
    assert status == 0, errors
    figures = json.loads(Path("figures.json").read_text())["map"]["complete"]
    assert (figures["images"], figures["trained_on"], figures["calibrated_on"]) == (count, False, True)
    assert figures["corner_mean"] == pytest.approx(5)
    assert "the expected errors of model.pt were measured on fold 0" in errors
    with Path("images.csv").open() as stream:
        assert {row["image"] for row in csv.DictReader(stream)} == recorder.checked


def test_several_models_measure_the_fold_that_each_holds_out(
    call: Call, recorder: Recorder, spines: Path, stub: Stub
) -> None:
    both = [trained(call, recorder, spines, f"run{fold}", fold) for fold in (0, 1)]
    data = ("--data", spines, "--fold", 0, 1, "--device", "cpu", "--json", "figures.json")
    status, errors = call(evaluate, *data, "--weights", *both)
    assert status == 0, errors
    assert json.loads(Path("figures.json").read_text())["map"]["complete"]["trained_on"] is False
    status, errors = call(evaluate, *data, "--fold", 2, "--weights", *both)
    assert status == 1
    assert "exactly one must hold out fold 2 of the data spines, here it is none" in errors


def test_trained_images_are_measured_on_demand_and_marked(
    call: Call, recorder: Recorder, spines: Path, stub: Stub
) -> None:
    weights = trained(call, recorder, spines)
    data = ("--data", spines, "--device", "cpu", "--json", "figures.json", "--weights", weights)
    assert call(evaluate, *data)[0] == 1
    assert stub.asked == 0
    status, errors = call(evaluate, *data, "--trained-too")
    assert status == 0
    assert "best.pt was trained on" in errors
    assert json.loads(Path("figures.json").read_text())["map"]["complete"]["trained_on"] is True


def test_a_part_of_a_spine_is_measured_by_its_points(
    call: Call, recorder: Recorder, spines: Path, stub: Stub, ladder: np.ndarray
) -> None:
    part = ladder.copy()
    part[:5] = np.nan
    write_markups(spines / "labels" / "final" / f"{PRIVATE}0_first{SUFFIX}", Spine.from_arrays(part))
    weights = saved(Path("weights.pt"), {"data": "AASCE training split", "fold": 0})
    data = ("--data", spines, "--device", "cpu", "--json", "figures.json", "--images", "images.csv")
    status, errors = call(evaluate, *data, "--weights", weights)
    assert status == 0, errors
    sets = json.loads(Path("figures.json").read_text())["map"]
    assert (sets["complete"]["images"], sets["partial"]["images"]) == (11, 1)
    assert sets["partial"]["corner_mean"] == pytest.approx(5)
    assert "smape" not in sets["partial"]
    with Path("images.csv").open() as stream:
        (row,) = [row for row in csv.DictReader(stream) if row["set"] == "partial"]
    assert (float(row["corner_mean_px"]), row["levels_off"], row["angle1_deg"]) == (5.0, "0", "")


def test_lying_images_are_measured_as_they_stand(
    call: Call, recorder: Recorder, spines: Path, stub: Stub, ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same figures as of upright ones: angles and anatomy count in the upright image."""
    weights = saved(Path("weights.pt"), {"data": "AASCE training split", "fold": 0})
    data = ("--data", spines, "--device", "cpu", "--json", "figures.json", "--weights", weights)
    assert call(evaluate, *data)[0] == 0
    upright = json.loads(Path("figures.json").read_text())

    def lying(xy: np.ndarray) -> np.ndarray:
        return np.stack([xy[..., 1], SIZE[0] - 1 - xy[..., 0]], -1)  # T1 at the left

    for path in spines.glob("*.png"):
        with Image.open(path) as image:
            turned = image.rotate(90, expand=True)
        turned.save(path)
        number = int(path.name[len(PRIVATE)])
        label = spines / "labels" / "final" / f"{path.stem}{SUFFIX}"
        write_markups(label, Spine.from_arrays(lying(points_of(ladder, number))))
    locate = stub.locate

    def locate_lying(radiograph: Radiograph, decoder: str) -> Prediction:
        found = locate(radiograph, decoder)
        return dataclasses.replace(found, spine=found.spine.moved_to(lying(found.spine.xy)))

    monkeypatch.setattr(stub, "locate", locate_lying)
    status, errors = call(evaluate, *data)
    assert status == 0, errors
    turned_figures, upright_figures = (
        {name: value for name, value in one["map"]["complete"].items() if not isinstance(value, list)}
        for one in (json.loads(Path("figures.json").read_text()), upright)
    )
    assert turned_figures == pytest.approx(upright_figures, abs=1e-6)


@pytest.mark.parametrize(
    ("kept", "arguments", "words"),
    [
        (0, [], "2 labelled images are the least to work with; there are no labels in spines"),
        (1, [], "2 labelled images are the least to work with; 1 of the 1 labels in spines can be used"),
        (2, [], "all 2 images of spines are of one patient, who is either learnt from or held out"),
        (
            4,
            ["--fold", "4"],
            "fold 4 of spines has no image: the 4 images are of 2 patients, who are in the folds 0",
        ),
        (12, ["--patients", "x"], "a pattern marks the patient by a group"),
        (12, ["--folds", "of_others.csv"], "none of the 12 images of spines stands in of_others.csv"),
        (12, ["--folds", "all.csv"], "fold 0 of spines has all 12 images, so that none is left to learn from"),
        (12, ["--map", "map.csv"], "the name map gives 'a' as 'b'"),
        (12, ["--format", "coco"], "Is a directory"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_told_in_a_sentence(
    call: Call, recorder: Recorder, spines: Path, kept: int, arguments: list[str], words: str
) -> None:
    for path in sorted((spines / "labels" / "final").iterdir())[kept:]:
        path.unlink()
    Path("of_others.csv").write_text("image,fold\nnobody.png,0\n")
    names = [f"{PRIVATE}{number}_{visit}.png,0" for number in range(PATIENTS) for visit in VISITS]
    Path("all.csv").write_text("\n".join(["image,fold", *names]))
    Path("map.csv").write_text("a,b\n")
    status, errors = call(train, "--data", spines, "--output", "run", *PLAIN, *arguments)
    assert status == 1
    assert errors.splitlines()[-1].startswith("train: ")
    assert words in errors.splitlines()[-1]
    assert recorder.learnt == set()


def test_the_aasce_layout_takes_no_other_folds(call: Call, recorder: Recorder, folders: Any) -> None:
    status, errors = call(train, "--data", folders.data, "--output", "run", *PLAIN, "--folds", "mine.csv")
    assert status == 1
    assert "states patients and folds itself: --folds, --patients, --image-folder and --map go" in errors
    assert not Path("run/folds.csv").exists()


def test_labels_that_are_left_out_are_told_and_counted(
    call: Call, recorder: Recorder, spines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels that are left out for like reasons are told together, a few of them; of many reasons the first."""
    monkeypatch.setattr(_data_arguments, "MAX_SENTENCES", 1)
    monkeypatch.setattr(_data_arguments, "MAX_ALIKE", 1)
    for number in range(2):
        (spines / f"{PRIVATE}{number}_first.png").unlink()
    (spines / f"{PRIVATE}2_first.png").write_bytes(b"no image")
    status, errors = call(train, "--data", spines, "--output", "run", *PLAIN)
    assert status == 0
    lines = errors.splitlines()
    assert lines[0] == f"image '{PRIVATE}0_first': {PRIVATE}0_first{SUFFIX} has no image of that name in {spines}"
    assert lines[1:4] == ["and 1 more like these", "and 1 more", "3 of 12 labels of spines are left out"]
    assert lines[4].startswith("nobody states the patient of 9 of 9 images: those whose names differ only in words")
    assert lines[5].startswith("spines: 9 labelled images of ")
    assert lines[5].endswith(" patients; folds dealt anew")


def withhold(spines: Path, **plan: Any) -> None:
    """A study plan in the folder."""
    values = {"readers": ["ada", "ben"], "adjudicators": ["cleo"], **plan}
    (spines / PLAN_FILE).write_text(plan_text(checked_plan(values)))


@pytest.mark.parametrize("kind", ["studies", "csv"])
def test_nothing_is_learnt_of_patients_whom_the_study_holds_out(
    call: Call, recorder: Recorder, spines: Path, kind: str
) -> None:
    """One of the held-out images has no label; labels in a file are of the same images."""
    withhold(spines, hold_out={"images": [f"{PRIVATE}0_first", f"{PRIVATE}1_second"]})
    (spines / "labels" / "final" / f"{PRIVATE}1_second{SUFFIX}").unlink()
    data = (spines,) if kind == "studies" else (as_file(spines, kind), "--image-folder", spines)
    status, errors = call(train, "--data", *data, "--output", "run", *PLAIN)
    assert status == 0
    assert patients(recorder.learnt | recorder.checked) == {f"{PRIVATE}{number}" for number in range(2, PATIENTS)}
    sentence = "study.yaml holds the image out, or another one of its patient, and no model learns from it"
    assert [line.endswith(sentence) for line in errors.splitlines()[:4]] == [True, True, True, False]
    assert "3 of 11 labels of " in errors
    assert "nobody states the patient of 8 of 8 images" in errors


def test_nothing_is_learnt_from_images_that_are_still_read(call: Call, recorder: Recorder, spines: Path) -> None:
    withhold(spines, second_reading={"share": 1.0})
    for number in (1, 2):
        (reading := spines / "labels" / f"reading-{number}").mkdir()
        for label in sorted((spines / "labels" / "final").iterdir())[4:]:
            shutil.copy(label, reading)
    status, errors = call(train, "--data", spines, "--output", "run", *PLAIN)
    assert status == 0
    assert patients(recorder.learnt | recorder.checked) == {f"{PRIVATE}{number}" for number in range(2, PATIENTS)}
    assert "study.yaml wants two readings of the image, and files do not show that" in errors
    assert "4 of 12 labels of spines are left out" in errors


@pytest.mark.parametrize("command", [train_refiner, calibrate, pack_training])
def test_every_command_that_learns_leaves_withheld_images_out(
    call: Call, recorder: Recorder, spines: Path, command: Any
) -> None:
    weights = trained(call, recorder, spines)
    withhold(spines, hold_out={"share": 1.0})
    given = () if command is pack_training else ("--weights", weights)
    status, errors = call(command, "--data", spines, *given, "--output", "out")
    assert status == 1
    assert "2 labelled images are the least to work with; 0 of the 12 labels in spines can be used" in errors


def test_a_plan_that_cannot_be_read_stops_a_training(call: Call, recorder: Recorder, spines: Path) -> None:
    (spines / PLAN_FILE).write_text("readers: [ada")
    status, errors = call(train, "--data", spines, "--output", "run", *PLAIN)
    assert status == 1
    assert f"{spines / PLAN_FILE}, line 1: it is no YAML" in errors


def test_held_out_images_may_be_measured(call: Call, recorder: Recorder, spines: Path, stub: Stub) -> None:
    withhold(spines, hold_out={"images": [f"{PRIVATE}0_first"]})
    weights = trained(call, recorder, spines)
    status, errors = call(evaluate, "--data", spines, "--fold", 0, "--weights", weights)
    assert status == 0, errors
    assert "spines: 12 labelled images of 6 patients" in errors


def test_audits_take_own_data(call: Call, recorder: Recorder, spines: Path, ladder: np.ndarray) -> None:
    low = ladder.copy()
    low[16, 3:, 1] -= 9  # an L5 that is a disc
    write_markups(spines / "labels" / "final" / f"{PRIVATE}3_first{SUFFIX}", Spine.from_arrays(low))
    status, errors = call(audit_labels, "--data", spines, "--output", "audit.csv")
    assert status == 0, errors
    with Path("audit.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert (f"{PRIVATE}3_first.png", "end_height", "L5") in {(r["filename"], r["rule"], r["vertebrae"]) for r in rows}


def test_names_are_audited_by_the_folds_of_the_data(
    call: Call, recorder: Recorder, spines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scores:
        """A model that is sure of every name."""

        def __init__(self, *arguments: object) -> None:
            pass

        def scores_at(self, radiograph: Radiograph, centers: np.ndarray) -> np.ndarray:
            return np.eye(17)

    weights = trained(call, recorder, spines)
    monkeypatch.setattr(audit_names, "LandmarkPredictor", Scores)
    arguments = ("--data", spines, "--weights", weights, "--output", "names.csv", "--device", "cpu")
    assert call(audit_names, *arguments)[0] == 0
    with Path("names.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    held_out = {row["filename"] for row in rows if row["fold"] not in row["model_folds"].split()}
    assert held_out == recorder.checked
    assert load_weights(weights).facts["data"] == "own data"


@pytest.mark.parametrize("command", [train, train_refiner])
def test_a_log_whose_package_is_missing_is_refused_before_anything_is_read(
    call: Call, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    status, errors = call(command, "--data", tmp_path / "nowhere", "--output", tmp_path / "run", "--log", "mlflow")
    assert (status, errors) == (
        1,
        f"{command.__name__}: mlflow is not installed; `.venv/bin/pip install --no-deps -r requirements-log.txt` "
        "installs what --log mlflow needs\n",
    )
    assert not (tmp_path / "run").exists()


def test_of_several_processes_the_first_one_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training.distributed, "is_first", lambda: False)
    with _training.logged(["tensorboard"], cast(Any, None), {}) as on_epoch:
        assert on_epoch is None
