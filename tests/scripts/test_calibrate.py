"""``scripts/calibrate.py``: images compared with their labels, and what is written into the weight file."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import calibrate
from lib.image_io import Radiograph
from lib.learning.config import CornerConfig, NetworkConfig, load_config
from lib.learning.data.formats.aasce_layout import AasceLayout
from lib.learning.data.formats.data_set import DataImage, DataOptions
from lib.learning.models.corner_net import CornerNet
from lib.learning.prediction.result import Prediction
from lib.learning.uncertainty.error_model import CalibrationCase, ErrorModel, fit_error_model
from lib.learning.weights.provenance import read_known_images
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    CornerWeights,
    file_digest,
    load_weights,
    networks_digest,
    save_weights,
)
from lib.spine.chain_prior import DEFAULT_PRIOR
from lib.spine.geometry import rotation, transform_points
from lib.spine.schema import Spine

PATCH = CornerConfig(16, 24, 8.0, 4, 0)
MODEL = ErrorModel(((0.01, 0.02), (0.1, 0.2)), ((0.01, 0.01), (0.1, 0.1)), 0.0, 0.0, 1.0, 3.0)


class Stub:
    """Finds the straight spine of ``ladder``, moved by (3, 4) px and, on some images, by a level; notes its images."""

    def __init__(self, ladder: np.ndarray, grays: dict[str, int]) -> None:
        self.points, self.names = ladder + np.array([3.0, 4.0]), {gray: name for name, gray in grays.items()}
        self.levels: dict[str, int] = {}
        self.said: np.ndarray | None = 1 + np.arange(85.0).reshape(17, 5) / 10
        self.asked: list[str] = []

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def locate(self, radiograph: Radiograph, decoder: str) -> Prediction:
        """The spine, as one level of 16 px down where the names are off."""
        name = self.names[int(radiograph.pixels[0, 0])]
        self.asked.append(name)
        assert decoder == "map"
        spine = Spine.from_arrays(self.points + np.array([0.0, 16.0 * self.levels.get(name, 0)]))
        return Prediction(spine, 0.1, decoder, {}, radiograph.frame, naming_lead=12.5, raw_errors=self.said)


@pytest.fixture
def stub(folders: Any, ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor that ``main`` gets; one image of each kind is enough for it to measure."""
    stub = Stub(ladder, folders.grays)
    monkeypatch.setattr(calibrate, "LandmarkPredictor", stub)
    monkeypatch.setattr("lib.learning.uncertainty.error_model.MIN_SPINES", 1)
    monkeypatch.setattr("lib.learning.data.formats.aasce_layout.folds", lambda records: [0] * len(records))
    return stub


def labelled(folders: Any, name: str) -> DataImage:
    """An image of the set."""
    return next(image for image in AasceLayout().read(folders.data, DataOptions()).images if image.name == name)


def facts(fold: int | None) -> dict[str, Any]:
    """What a training on the AASCE layout stores."""
    return {"data": "AASCE training split", "fold": fold, "epoch": 7}


def weights(
    path: Path,
    errors: ErrorModel | None = None,
    has_refiner: bool = True,
    first: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
) -> Path:
    """A weight file with a network of one number, and a second one; both hold out fold 0 unless told otherwise."""
    config = dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8))
    first, second = facts(0) if first is None else first, facts(0) if second is None else second
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, second, errors)
    prior = dataclasses.replace(DEFAULT_PRIOR)
    save_weights(path, {"a": torch.ones(1)}, config, first, prior, refiner if has_refiner else None)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process."""
    monkeypatch.setattr(sys, "argv", ["calibrate.py", *map(str, arguments), "--device", "cpu"])
    return calibrate.main()


def test_a_image_is_compared_with_its_label(folders: Any, stub: Stub, ladder: np.ndarray) -> None:
    """All points are off by 5 px, (3, 4), and both spines are straight."""
    case = calibrate.compared(labelled(folders, "fits.png"), stub)  # type: ignore[arg-type]
    np.testing.assert_allclose(case.observed, 5)
    np.testing.assert_array_equal(case.raw, stub.said)
    np.testing.assert_array_equal(case.points, ladder + np.array([3.0, 4.0]))
    assert case.step == pytest.approx(16)
    assert (case.lead, case.is_shifted, case.angle_error) == (12.5, False, 0)
    assert stub.asked == ["fits.png"]


@pytest.mark.parametrize("levels", [-1, 1])
def test_names_off_by_a_level_are_seen(folders: Any, stub: Stub, levels: int) -> None:
    stub.levels["fits.png"] = levels
    case = calibrate.compared(labelled(folders, "fits.png"), stub)  # type: ignore[arg-type]
    assert case.is_shifted
    np.testing.assert_allclose(case.observed, math.hypot(3, 4 + 16 * levels))


def test_the_largest_angle_is_compared_wherever_it_is(folders: Any, stub: Stub, ladder: np.ndarray) -> None:
    """Vertebrae turned more and more from T5 to T12, by 21 degrees in all; those above and below go on straight."""
    turns = np.interp(range(17), [4, 11], [0, 21])
    for v, degrees in enumerate(turns):
        stub.points[v] = transform_points(rotation(degrees), ladder[v] - ladder[v, 0]) + ladder[v, 0]
    case = calibrate.compared(labelled(folders, "fits.png"), stub)  # type: ignore[arg-type]
    assert case.ends == (4, 11)
    assert case.angle_error == pytest.approx(21, abs=1e-5)


def test_a_prediction_without_errors_is_refused(folders: Any, stub: Stub) -> None:
    stub.said = None
    with pytest.raises(ValueError, match=r"corner network was not asked: prediction\.refinement of model\.yaml is off"):
        calibrate.compared(labelled(folders, "fits.png"), stub)  # type: ignore[arg-type]


def test_expected_by_hand(ladder: np.ndarray) -> None:
    """Said is 0.8 px of 16: 0.05 steps; twice that for centers. That names may be off changes nothing."""
    case = CalibrationCase(np.full((17, 5), 0.8), np.ones((17, 5)), 16.0, 0.0, False, ladder, (4, 10), 0.0)
    errors, width = calibrate.expected(case, MODEL)
    np.testing.assert_allclose(errors[:, 0], 1.6)
    np.testing.assert_allclose(errors[:, 1:], 0.8)
    assert width == pytest.approx(3 * math.sqrt(2) * math.degrees(math.atan2(0.8, 20)))


def test_the_interval_is_that_of_the_ends(ladder: np.ndarray) -> None:
    said = np.full((17, 5), 0.8)
    said[[4, 10]] = 1.6
    case = CalibrationCase(said, said, 16.0, 0.0, False, ladder, (4, 10), 0.0)
    assert calibrate.expected(case, MODEL)[1] == pytest.approx(3 * math.sqrt(2) * math.degrees(math.atan2(1.6, 20)))


def simulated(ladder: np.ndarray, seed: int, is_shifted: bool) -> CalibrationCase:
    """An image whose errors are twice what is said, in the mean; 16 px and more where names are off."""
    random = np.random.default_rng(seed)
    said = np.exp(random.normal(0, 0.5, (17, 5)))
    observed = random.rayleigh(2 * said / math.sqrt(math.pi / 2)) + 16 * is_shifted
    return CalibrationCase(said, observed, 16.0, 30.0, is_shifted, ladder, (4, 10), abs(random.normal(0, 2)))


def test_cross_checking_judges_each_half_by_the_other(
    ladder: np.ndarray, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the 100 images, ten are misnamed: they count among all of them, and for the angles."""
    cases = [simulated(ladder, seed, is_shifted=seed % 10 == 0) for seed in range(100)]
    half = [int(n % 5 < 2) for n in range(100)]
    fitted: list[list[CalibrationCase]] = []
    judged: list[list[CalibrationCase]] = []
    expected = calibrate.expected

    def fit(part: list[CalibrationCase]) -> ErrorModel:
        fitted.append(part)
        judged.append([])
        return fit_error_model(part)

    def expect(case: CalibrationCase, model: ErrorModel) -> tuple[np.ndarray, float]:
        judged[-1].append(case)
        return expected(case, model)

    monkeypatch.setattr(calibrate, "fit_error_model", fit)
    monkeypatch.setattr(calibrate, "expected", expect)
    calibrate.cross_checked(cases, half)
    assert [len(part) for part in fitted] == [40, 60]
    parts = [{id(case) for case, side in zip(cases, half, strict=True) if side == wanted} for wanted in (0, 1)]
    assert [{id(case) for case in part} for part in judged] == parts
    assert [{id(case) for case in part} for part in fitted] == parts[::-1]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 23
    assert lines[0].startswith("cross-checked on 90 images with right names")
    assert lines[11].startswith("cross-checked on 100 all images")
    right, everything = ([float(line.split("(")[1].rstrip(")")) for line in lines[a : a + 10]] for a in (1, 12))
    assert right == pytest.approx([1] * 10, abs=0.1)
    assert max(everything) < 0.9  # of misnamed images nobody expects such errors
    assert lines[-1].endswith("of 100 images")
    assert 80 <= float(lines[-1].split(": ")[1].split("%")[0]) <= 100


def test_halves_are_of_whole_patients(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``deal`` does with the patients of the chosen images."""
    halves: list[list[int]] = []
    monkeypatch.setattr(calibrate, "cross_checked", lambda cases, half: halves.append(half))
    given = weights(tmp_path / "given.pt")
    assert run(monkeypatch, "--data", folders.data, "--weights", given, "--output", given) == 0
    assert halves == [[0, 1, 0]]


def test_images_too_few_for_halves_are_measured_all_the_same(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lib.learning.uncertainty.error_model.MIN_SPINES", 3)
    given = weights(tmp_path / "given.pt")
    assert run(monkeypatch, "--data", folders.data, "--weights", given, "--output", given) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "not checked on one half of the images by the other: "
        "an error model needs at least 3 images with right names, and 1 are left"
    )
    assert last.startswith("measured on 3 images")


def test_the_error_model_goes_into_the_weight_file_and_nothing_else_changes(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = weights(tmp_path / "given.pt", MODEL), tmp_path / "new" / "calibrated.pt"
    assert run(monkeypatch, "--data", folders.data, "--weights", given, "--output", out) == 0
    said = capsys.readouterr().out
    assert said.endswith(f"measured on 3 images of fold 0; written to {out}\n")
    assert stub.asked == ["fits.png", "moved.png", "unclear.png"]  # those with trusted points and names
    before, after = load_weights(given), load_weights(out)
    assert before.refiner is not None
    assert after.refiner is not None
    cases = [calibrate.compared(labelled(folders, name), stub) for name in stub.asked[:3]]  # type: ignore[arg-type]
    assert after.refiner.errors is not None
    assert after.refiner.errors.correlations is not None
    assert dataclasses.replace(after.refiner.errors, correlations=None) == fit_error_model(cases) != MODEL
    assert (after.config, after.facts, after.prior) == (before.config, before.facts, before.prior)
    measured_on = {"data": "AASCE training split", "fold": 0, "films": 3, "decoder": "map"}
    measured_on["networks"] = networks_digest(before)
    assert (after.refiner.config, after.refiner.facts) == (PATCH, {**facts(0), ERRORS_MEASURED_ON: measured_on})
    assert read_known_images(out).has_own_errors
    for left, right in ((before.state, after.state), (before.refiner.state, after.refiner.state)):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_weight_file_can_be_calibrated_in_place(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = weights(tmp_path / "given.pt")
    assert run(monkeypatch, "--data", folders.data, "--weights", given, "--output", given) == 0
    refiner = load_weights(given).refiner
    assert refiner is not None
    assert refiner.errors is not None


def test_only_the_chosen_fold_is_measured(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_two = [2, 2, 0, 0, 0, 0]
    monkeypatch.setattr("lib.learning.data.formats.aasce_layout.folds", lambda records: first_two)
    given = weights(tmp_path / "given.pt", first=facts(2), second=facts(2))
    arguments = ("--data", folders.data, "--weights", given, "--output", given)
    assert run(monkeypatch, *arguments, "--fold", 2) == 0
    assert stub.asked == ["fits.png", "moved.png"]
    refiner = load_weights(given).refiner
    assert refiner is not None
    assert refiner.facts[ERRORS_MEASURED_ON]["fold"] == 2


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        pytest.param(facts(1), facts(1), "given.pt was trained on fold 0", id="another fold"),
        pytest.param(facts(0), facts(1), "given.pt was trained on fold 0", id="corner network of another fold"),
        pytest.param(facts(None), facts(0), "given.pt was trained on fold 0", id="first network of all"),
        pytest.param({}, {}, "given.pt does not say on which images it was trained", id="unknown"),
    ],
)
def test_weights_are_not_measured_on_images_that_they_know(
    folders: Any,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: dict[str, Any],
    second: dict[str, Any],
    words: str,
) -> None:
    given, out = weights(tmp_path / "given.pt", first=first, second=second), tmp_path / "out.pt"
    arguments = ("--data", folders.data, "--weights", given, "--output", out)
    assert run(monkeypatch, *arguments) == 1
    assert capsys.readouterr().err.startswith(f"calibrate: {words}")
    assert stub.asked == []
    assert not out.exists()
    assert run(monkeypatch, *arguments, "--assume-unseen") == (0 if "does not say" in words else 1)


@pytest.mark.parametrize("measured_on", [{"fold": 3, "networks": "0123456789ab"}, None])
def test_an_error_model_is_copied_with_what_is_known_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured_on: dict[str, Any] | None,
) -> None:
    """Onto weights that were trained on all images; an older file does not say what its model was measured on."""
    second = facts(3) if measured_on is None else {**facts(3), ERRORS_MEASURED_ON: measured_on}
    source = weights(tmp_path / "source.pt", MODEL, second=second)
    given, out = weights(tmp_path / "given.pt", first=facts(None), second=facts(None)), tmp_path / "out.pt"
    assert run(monkeypatch, "--from", source, "--weights", given, "--output", out) == 0
    assert capsys.readouterr().out == f"copied from source.pt; written to {out}\n"
    before, after = load_weights(given), load_weights(out)
    assert after.refiner is not None
    assert after.refiner.errors == MODEL
    copied_from = {"file": "source.pt", "digest": file_digest(source)}
    said = {**(measured_on or {}), "copied_from": copied_from}
    assert after.refiner.facts == {**facts(None), ERRORS_MEASURED_ON: said}
    assert (after.facts, networks_digest(after)) == (before.facts, networks_digest(before))
    found = read_known_images(out)
    assert not found.has_own_errors
    assert found.was_calibrated_on(3) is (None if measured_on is None else True)


@pytest.mark.parametrize(
    ("has_refiner", "words"), [(True, "source.pt has no error model to copy"), (False, "source.pt holds no corner")]
)
def test_a_file_without_an_error_model_has_none_to_copy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    has_refiner: bool,
    words: str,
) -> None:
    source, out = weights(tmp_path / "source.pt", has_refiner=has_refiner), tmp_path / "out.pt"
    given = weights(tmp_path / "given.pt")
    assert run(monkeypatch, "--from", source, "--weights", given, "--output", out) == 1
    assert capsys.readouterr().err.startswith(f"calibrate: {words}")
    assert not out.exists()


def test_too_few_images_are_told_and_nothing_is_written(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lib.learning.uncertainty.error_model.MIN_SPINES", 20)
    out = tmp_path / "out.pt"
    assert run(monkeypatch, "--data", folders.data, "--weights", weights(tmp_path / "a.pt"), "--output", out) == 1
    assert capsys.readouterr().err.startswith("calibrate: an error model needs at least 20 images with right names")
    assert not out.exists()


def test_weights_without_a_second_network_are_refused(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = weights(tmp_path / "given.pt", has_refiner=False)
    assert run(monkeypatch, "--data", folders.data, "--weights", given, "--output", tmp_path / "out.pt") == 1
    assert capsys.readouterr().err.startswith("calibrate: given.pt holds no corner network")
    assert stub.asked == []


def test_a_file_that_cannot_be_written_is_told_before_the_work(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = weights(tmp_path / "given.pt")
    assert run(monkeypatch, "--data", folders.data, "--weights", given, "--output", tmp_path) == 1
    assert capsys.readouterr().err == f"calibrate: {tmp_path} is a folder\n"
    assert stub.asked == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "a.pt"], "one of the arguments --data --from is required"),
        (["--output", "a.pt", "--data", "x", "--from", __file__], "not allowed with argument"),
        (["--output", "a.pt", "--from", __file__, "--fold", "0"], "--fold and --assume-unseen go with --data only"),
        (["--output", "a.pt", "--from", __file__, "--assume-unseen"], "go with --data only"),
        (["--data", "x"], "the following arguments are required: --output"),
        (["--data", "x", "--output", "a.pt", "--fold", "9"], "invalid choice: 9"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        calibrate.parse_arguments(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
