"""``scripts/ablation.py``: its rows and table on figures made by hand, and real, tiny trainings that are done once."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from experiments.ablation import command, runs
from experiments.ablation.runs import EVALUATION, TRAINING, Ablation, Job, start_state, without_aids
from experiments.ablation.table import (
    ANATOMY,
    FINAL,
    LABELS,
    LOCALISATION,
    ROWS,
    TRAININGS,
    Entry,
    Row,
    Spread,
    configurations,
    spread,
    to_csv,
    to_markdown,
)
from lib.evaluation.evaluate import Figures
from lib.learning.config import CornerConfig, load_config
from lib.learning.data.aasce import read_aasce
from lib.learning.decoders import DECODERS
from lib.learning.models.corner_net import CornerNet
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.training.trainer import BEST, CHECKPOINT, HISTORY
from lib.learning.weights.provenance import trained_on
from lib.learning.weights.weight_files import CornerWeights, load_weights, save_weights
from lib.phantoms import PhantomSpec, render_phantom
from lib.spine.schema import CORNERS, VERTEBRAE

pytestmark = pytest.mark.usefixtures("torch_as_before")

TINY = ["--epochs", "1", "--device", "cpu", "--workers", "0", "--folds", "0", "1"]
TINY_SETTINGS = {
    **{"input.height": "64", "input.width": "32", "network.head_channels": "8"},
    **{"training.batch_size": "2", "training.cache_longest": "128"},
}
for _setting in TINY_SETTINGS.items():
    TINY += ["--set", *_setting]


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images of four patients in the AASCE layout, one of them with doubted names; nothing for testing."""
    folder = tmp_path_factory.mktemp("data")
    index: list[Sequence[object]] = [
        ("split", "filename", "group", "geometry_ok", "suitable", "level_ok", "duplicate_of_training")
    ]
    corners: list[Sequence[object]] = [("split", "filename", "vertebra", "corner", "x_px", "y_px")]
    (folder / "images" / "training").mkdir(parents=True)
    names = [f"{number}.png" for number in range(5)]
    for number, name in enumerate(names):
        phantom = render_phantom(PhantomSpec(height=300, width=120 + 10 * number, seed=number))
        Image.fromarray(phantom.pixels).save(folder / "images" / "training" / name)
        index.append(("training", name, min(number, 3), 1, 1, int(number != 4), 0))
        for v, k in itertools.product(range(17), range(4)):
            corners.append(("training", name, VERTEBRAE[v], CORNERS[k], *phantom.spine.xy[v, 1 + k].tolist()))
    write(folder / "index.csv", index)
    write(folder / "landmarks_repaired.csv", corners)
    write(folder / "labels" / "training" / "filenames.csv", [(name,) for name in names])
    write(folder / "labels" / "training" / "angles.csv", [(30, 20, 10)] * len(names))
    return folder


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process."""
    monkeypatch.setattr(sys, "argv", ["ablation.py", *map(str, arguments)])
    return command.main()


def figures(**values: float) -> Figures:
    """Figures of one fold, all alike unless told otherwise."""
    names = [name for column in (*LOCALISATION, *ANATOMY) for name in (column.name, column.rate) if name]
    names += ["images", "gaps"]
    return {**dict.fromkeys(names, 1.0), **values}


MULTI = Row("multi-channel", "multi", "parallel")


def entry(*values: Figures | None) -> Entry:
    """A row."""
    return Entry(MULTI, values)


def table(text: str) -> list[dict[str, str]]:
    """Rows of a CSV text."""
    return list(csv.DictReader(text.splitlines()))


def test_rows_are_the_published_ones_then_ours() -> None:
    assert [(row.title, row.source, row.decoder) for row in ROWS] == [
        ("single-channel baseline", "single", "parallel"),
        ("multi-channel", "multi", "parallel"),
        ("+ L_tri", "plain", "parallel"),
        ("+ L_tri + sequential", "plain", "sequential"),
        ("+ hinged L_tri", "hinged", "parallel"),
        ("+ hinged L_tri + MAP", "hinged", "map"),
        ("multi-channel + MAP", "multi", "map"),
        ("final recipe", FINAL, "map"),
        ("the labels", LABELS, ""),
    ]
    assert {row.source for row in ROWS} == {*TRAININGS, FINAL, LABELS}


def test_trainings_differ_by_what_their_rows_say_and_nothing_else() -> None:
    configs = configurations({"loss.anatomy_weight": "3"}, seed=5)
    said = {
        name: (c.network.heatmap_channels, c.loss.anatomy_weight, c.loss.anatomy_hinge) for name, c in configs.items()
    }
    hinge = load_config().loss.anatomy_hinge
    assert hinge == 0.15
    assert said == {
        "single": (1, 0.0, hinge),
        "multi": (17, 0.0, hinge),
        "plain": (17, 3.0, 0.0),
        "hinged": (17, 3.0, hinge),
    }
    same = {str((c.input, c.codec, c.augmentation, c.training)) for c in configs.values()}
    assert len(same) == 1
    assert {c.training.seed for c in configs.values()} == {5}
    assert (configs["multi"].input.height, configs["multi"].input.width) == (256, 128)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("network.heatmap_channels", "1", "the rows set it"),
        ("training.seed", "3", "give seeds instead"),
        ("loss.anatomy_weight", "0", "anatomy_weight must be positive"),
        ("loss.anatomy_hinge", "0.0", "anatomy_hinge must be positive"),
        ("map.prior_weight", "1", "only settings of network, input"),
        ("training.epoch", "1", "has no setting 'training.epoch'"),
    ],
)
def test_settings_that_make_no_ablation_are_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        configurations({name: value})


def test_spread_is_mean_and_standard_deviation() -> None:
    assert spread([1.0, None, 2.0, 6.0]) == Spread(3.0, pytest.approx(7**0.5), 3)
    assert spread([4.0]) == Spread(4.0, None, 1)
    assert spread([None]) is None


@pytest.mark.parametrize(
    ("found", "factor", "text"),
    [
        (Spread(34.97, 1.628, 3), 1, "35.0 ± 1.6"),
        (Spread(9.264, 0.386, 3), 1, "9.26 ± 0.39"),
        (Spread(0.1234, 0.05, 3), 100, "12.3 ± 5.0"),
        (Spread(0.0, 0.0, 3), 1, "0.0 ± 0.0"),
        (Spread(1234.5, 20.25, 2), 1, "1234.5 ± 20.2"),
        (Spread(-0.26, 0.1, 2), 1, "-0.26 ± 0.10"),
        (Spread(5.0, None, 1), 1, "5.00"),
    ],
)
def test_text_of_a_spread(found: Spread, factor: float, text: str) -> None:
    assert found.text(factor) == text


def test_height_of_steps_upwards_is_over_the_folds_that_have_any() -> None:
    row = entry(
        figures(n_neg=0.0, mean_negative_y=0.0),
        figures(n_neg=2.0, mean_negative_y=-4.0),
        figures(n_neg=1.0, mean_negative_y=-6.0),
    )
    assert row.spread("mean_negative_y") == Spread(-5.0, pytest.approx(2**0.5), 2)
    assert row.spread("n_neg") == Spread(1.0, 1.0, 3)
    assert row.total("n_neg") == 3
    assert entry(figures(n_neg=0.0, min_negative_y=0.0)).spread("min_negative_y") is None


def test_csv_has_mean_sd_and_total_of_complete_rows_only() -> None:
    rows = table(to_csv([entry(figures(smape=8.0, n_eq=4.0), figures(smape=10.0, n_eq=6.0)), entry(figures(), None)]))
    first, second = rows
    assert (first["row"], first["training"], first["decoder"]) == ("multi-channel", "multi", "parallel")
    assert (first["runs_done"], first["runs"], second["runs_done"], second["runs"]) == ("2", "2", "1", "2")
    assert (float(first["smape_mean"]), float(first["smape_sd"])) == (9.0, pytest.approx(2**0.5, abs=1e-5))
    assert (float(first["n_eq_mean"]), float(first["n_eq_total"])) == (5.0, 10.0)
    assert all(value == "" for name, value in second.items() if name.endswith(("_mean", "_sd", "_total")))


def test_document_marks_missing_rows_and_has_counts_with_rates() -> None:
    full = entry(
        figures(smape=8.0, n_eq=4.0, eq_per_1000=2.0, names_shifted=0.1),
        figures(smape=10.0, n_eq=6.0, eq_per_1000=3.0, names_shifted=0.2),
    )
    labels = Entry(Row("the labels", LABELS, ""), (figures(n_fmin=3.0), figures(n_fmin=3.0)))
    text = to_markdown([full, entry(figures(), None), labels], "How it was done.")
    lines = text.splitlines()
    assert lines[0] == (
        "| | decoder | corner error, px | center error, px | SMAPE, % | CMAE, ° | names shifted, % |"  # no labels here
    )
    assert (
        lines[2] == "| multi-channel | parallel | 1.00 ± 0.00 | 1.00 ± 0.00 | 9.00 ± 1.41 | 1.00 ± 0.00 | 15.0 ± 7.1 |"
    )
    assert lines[3] == "| multi-channel | parallel | missing (1 of 2) |  |  |  |  |"
    assert lines[4] == ""
    assert "| 5.00 ± 1.41 (2.50 ± 0.71) |" in lines[7]
    assert lines[9].startswith("| the labels | - | 3.00 ± 0.00 (1.00 ± 0.00) |")
    assert {line.count("|") for line in lines[:4]} == {8}
    assert {line.count("|") for line in lines[5:10]} == {9}
    assert lines[-1] == "How it was done."


def test_published_rows_are_predicted_without_aids() -> None:
    limits = without_aids(load_config().prediction)
    assert (limits.mirror, limits.second_look, limits.refinement) == (False, False, False)
    assert limits.min_longer_side == load_config().prediction.min_longer_side


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--final", "a.pt"], "--final takes one file for each of the 3 folds"),
        (["--init", "a.pt", "b.pt"], "--init takes one file, or one for each of the 3 folds"),
        (["--folds", "5"], "invalid choice: 5"),
        (["--folds", "0", "--epochs", "many"], "invalid int value"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parse_arguments(["--data", "d", "--output", "o", *arguments])
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "text"), [(75.9, "1 min 15 s"), (3600.0, "1 h 0 min"), (9999.0, "2 h 46 min")])
def test_durations(seconds: float, text: str) -> None:
    assert command.duration(seconds) == text


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished ablation of one epoch and two folds."""
    output = tmp_path_factory.mktemp("ablation") / "new"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert call(monkeypatch, "--data", data, "--output", output, *TINY) == 0
    return output


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """A copy of the finished ablation, to be spoilt."""
    return Path(shutil.copytree(done, tmp_path / "copy"))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders in which a training goes on, other than those of the timing."""
    folders: list[Path] = []
    fit = LandmarkTrainer.fit

    def told(trainer: LandmarkTrainer, *arguments: Any, **named: Any) -> Path | None:
        if trainer.resumable:
            folders.append(trainer.folder)
        return fit(trainer, *arguments, **named)

    monkeypatch.setattr(LandmarkTrainer, "fit", told)
    return folders


def test_every_training_is_done_for_every_fold(done: Path) -> None:
    folders = {path.parent.relative_to(done).as_posix() for path in done.rglob(EVALUATION)}
    assert folders == {f"{name}/fold{fold}_seed0" for name in TRAININGS for fold in (0, 1)}
    for folder in folders:
        weights = load_weights(done / folder / BEST)
        assert weights.facts["fold"] == int(folder[-7])
        assert weights.facts["epoch"] == 1
        assert weights.config.network.heatmap_channels == (1 if folder.startswith("single") else 17)
        assert weights.config.input.height == 64
        evaluation = json.loads((done / folder / EVALUATION).read_text())
        assert set(evaluation["decoders"]) == set(DECODERS)
        aids = {name: value for name, value in evaluation["conditions"].items() if name.startswith("prediction.")}
        assert aids == {f"prediction.{name}": False for name in ("mirror", "second_look", "refinement")}
        assert evaluation["decoders"]["map"]["n_neg"] == 0


def test_table_and_plot_have_every_row(done: Path) -> None:
    rows = table((done / "ablation.csv").read_text(encoding="utf-8"))
    assert [row["row"] for row in rows] == [row.title for row in ROWS if row.source != FINAL]
    assert all(row["runs_done"] == row["runs"] == "2" for row in rows)
    assert all(row["images_total"] == "2" and row["gaps_total"] == "32" for row in rows)
    for row in rows[:-1]:
        assert float(row["corner_mean_mean"]) > 0
        assert float(row["smape_mean"]) >= 0
    text = (done / "ablation.md").read_text(encoding="utf-8")
    assert "missing" not in text
    assert "input 64 x 32" in text
    assert "1 epochs in batches of 2" in text
    with Image.open(done / "ablation.png") as image:
        assert image.width > 800
    assert (done / "ablation.png").stat().st_size < 300_000


def test_records_are_those_of_earlier_versions(done: Path) -> None:
    """So that a folder that another version began can be gone on with: facts of a checkpoint, digests of 16 digits."""
    checkpoint = torch.load(done / "multi" / "fold1_seed0" / CHECKPOINT, weights_only=True)
    assert checkpoint["facts"] == {
        "data": "AASCE training split",
        "fold": 1,
        "start": "random",
        "radiographs": 4,
    }
    conditions = json.loads((done / "multi" / "fold1_seed0" / EVALUATION).read_text())["conditions"]
    assert len(conditions["weights"]) == len(conditions["labels"]) == 16


def test_figures_are_those_of_the_decoder_of_the_row(done: Path) -> None:
    rows = {row["row"]: row for row in table((done / "ablation.csv").read_text(encoding="utf-8"))}
    stored = [
        json.loads((done / f"plain/fold{fold}_seed0" / EVALUATION).read_text())["decoders"]["sequential"]["corner_mean"]
        for fold in (0, 1)
    ]
    assert float(rows["+ L_tri + sequential"]["corner_mean_mean"]) == pytest.approx(sum(stored) / 2, rel=1e-5)


def test_doubted_images_are_not_evaluated_on_and_patients_not_learnt_from(data: Path, tmp_path: Path) -> None:
    """Images 3 and 4 are of one patient, the largest group, which is dealt to fold 0; the names of 4 are doubted."""
    study = Ablation(tmp_path, read_aasce(data, "training"), {0: configurations(TINY_SETTINGS)}, (0, 1))
    assert [r.path.name for r in study.records[0]] == ["3.png"]
    assert {r.path.name for r in study.kept[0]} == {"0.png", "1.png", "2.png"}
    assert len(study.kept[1]) == 4


def test_a_second_call_trains_and_evaluates_nothing(
    data: Path, copy: Path, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("evaluated again")

    monkeypatch.setattr(runs, "evaluate_records", refuse)
    monkeypatch.setattr(Ablation, "seconds_per_step", refuse)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.suffix in (".csv", ".md", ".json")}
    (copy / "ablation.md").unlink()
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY) == 0
    assert started == []
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_missing_is_done_and_only_that(
    data: Path, copy: Path, started: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One training is gone, another was interrupted before its end, an evaluation is gone."""
    shutil.rmtree(copy / "plain" / "fold1_seed0")
    interrupted, evaluated = copy / "multi" / "fold0_seed0", copy / "single" / "fold0_seed0"
    (interrupted / EVALUATION).unlink()
    record = json.loads((interrupted / TRAINING).read_text())
    (interrupted / TRAINING).write_text(json.dumps({**record, "is_done": False}))
    (evaluated / EVALUATION).unlink()
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY, "--list") == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {name: state for name, state in listed.items() if state != "done"} == {
        "single/fold0_seed0": "trained",
        "multi/fold0_seed0": "epoch 1 of 1",
        "plain/fold1_seed0": "missing",
    }
    assert len(listed) == 8
    assert started == []
    rows = (interrupted / HISTORY).read_text()
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY) == 0
    assert started == [interrupted, copy / "plain" / "fold1_seed0"]
    assert (interrupted / HISTORY).read_text() == rows  # its only epoch was done
    said = capsys.readouterr().out
    assert "1 trainings are missing: 2 steps" in said
    assert "s: about 0 min" in said
    assert "missing" not in (copy / "ablation.md").read_text(encoding="utf-8")


def test_complete_rows_are_written_while_others_are_missing(data: Path, copy: Path) -> None:
    shutil.rmtree(copy / "plain")
    study = command.prepare(command.parse_arguments(["--data", str(data), "--output", str(copy), *TINY]))
    command.write_results(study)
    rows = {row["row"]: row for row in table((copy / "ablation.csv").read_text(encoding="utf-8"))}
    assert {name for name, row in rows.items() if not row["smape_mean"]} == {
        "+ L_tri",
        "+ L_tri + sequential",
        "the labels",
    }
    assert (copy / "ablation.md").read_text(encoding="utf-8").count("missing (0 of 2)") == 4


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--epochs", "2"], "training.epochs is 1, not 2"),
        (["--set", "loss.anatomy_weight", "2"], "loss.anatomy_weight is 1.0, not 2.0"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused_by_name(
    data: Path,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    words: str,
) -> None:
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY, *extra) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"ablation: {copy}")
    assert f"holds a training with other settings ({words}); choose another folder" in said


def test_figures_of_other_weights_are_refused(
    data: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(copy / "plain" / "fold0_seed0" / BEST, copy / "multi" / "fold0_seed0" / BEST)
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY, "--list") == 1
    said = capsys.readouterr().err
    assert f"{copy / 'multi' / 'fold0_seed0' / EVALUATION} was made under other conditions (weights is" in said


def test_more_folds_are_added_to_a_finished_ablation(data: Path, copy: Path) -> None:
    arguments = command.parse_arguments(["--data", str(data), "--output", str(copy), *TINY, "--folds", "0", "1", "2"])
    study = command.prepare(arguments)
    assert sorted({study.state(job) for job in study.jobs}) == ["done", "missing"]
    assert [job.fold for job in study.jobs if study.state(job) == "missing"] == [2] * len(TRAININGS)


def test_given_final_weights_make_a_row_with_all_aids(
    data: Path, copy: Path, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    final = [copy / "hinged" / f"fold{fold}_seed0" / BEST for fold in (0, 1)]
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY, "--final", *final) == 0
    assert started == []
    rows = table((copy / "ablation.csv").read_text(encoding="utf-8"))
    assert [(row["row"], row["runs_done"]) for row in rows][-2:] == [("final recipe", "2"), ("the labels", "2")]
    conditions = json.loads((copy / "final" / "fold1" / EVALUATION).read_text())["conditions"]
    assert conditions["prediction.second_look"] is load_config().prediction.second_look
    assert "the final recipe has its own size" in (copy / "ablation.md").read_text(encoding="utf-8")


SECOND = CornerConfig(16, 24, 8.0, 4, 0)


def given(done: Path, path: Path, fold: int | None, second: int | None) -> Path:
    """Weights of a finished training that say which fold they and their corner network hold out; ``None``: nothing."""
    weights = load_weights(done / "multi" / "fold0_seed0" / BEST)
    first, of_second = ({} if f is None else {"data": "AASCE training split", "fold": f} for f in (fold, second))
    refiner = CornerWeights(CornerNet(SECOND).state_dict(), SECOND, of_second)
    save_weights(path, weights.state, weights.config, first, refiner=refiner)
    return path


@pytest.mark.parametrize(
    ("option", "first", "second", "words"),
    [
        ("--final", 1, 1, "was trained on fold 0 of the AASCE training split (it holds out fold 1)"),
        ("--final", 0, 1, "was trained on fold 0 of the AASCE training split (it holds out none)"),
        ("--final", None, 0, "does not say on which images it was trained"),
        ("--final", 0, None, "does not say on which images it was trained"),
        ("--init", 1, 0, "was trained on fold 0 of the AASCE training split (it holds out fold 1)"),
        ("--init", None, 0, "does not say on which images it was trained"),
    ],
)
def test_weights_that_have_seen_the_fold_are_refused(
    data: Path,
    done: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    first: int | None,
    second: int | None,
    words: str,
) -> None:
    """Either network of final weights, the first one of those to start from; the unknown can be vouched for."""
    path = given(done, tmp_path / "a.pt", first, second)
    arguments = ["--data", data, "--output", tmp_path / "new", *TINY, "--folds", "0", option, path, "--list"]
    assert call(monkeypatch, *arguments) == 1
    assert f"ablation: {path} {words}" in capsys.readouterr().err
    assert call(monkeypatch, *arguments, "--assume-unseen") == (0 if "does not say" in words else 1)


@pytest.mark.parametrize("second", [1, None])
def test_the_second_network_of_weights_to_start_from_does_not_matter(
    data: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: int | None
) -> None:
    path = given(done, tmp_path / "a.pt", 0, second)
    arguments = ["--data", data, "--output", tmp_path / "new", *TINY, "--folds", "0", "--init", path, "--list"]
    assert call(monkeypatch, *arguments) == 0


def test_all_rows_start_alike_from_given_weights(done: Path) -> None:
    """The last layer of the heatmaps stays as random as it is without given weights."""
    path = done / "multi" / "fold0_seed0" / BEST
    given = load_weights(path).state
    configs = configurations(TINY_SETTINGS)
    states = {name: start_state(path, config) for name, config in configs.items()}
    for state in states.values():
        torch.testing.assert_close(state["heatmap.0.weight"], given["heatmap.0.weight"].float())
    assert states["single"]["heatmap.2.weight"].shape[0] == 1
    torch.testing.assert_close(states["multi"]["heatmap.2.weight"], states["plain"]["heatmap.2.weight"])
    assert not torch.equal(states["multi"]["heatmap.2.weight"], given["heatmap.2.weight"].float())
    with pytest.raises(ValueError, match=r"best.pt does not fit the network of the ablation: .* another size"):
        start_state(path, configurations({**TINY_SETTINGS, "network.head_channels": "16"})["multi"])


def test_a_start_is_part_of_what_a_training_depends_on(
    data: Path, done: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = load_weights(done / "multi" / "fold0_seed0" / BEST)
    save_weights(tmp_path / "start.pt", weights.state, weights.config, {})
    arguments = ["--data", str(data), *TINY, "--init", str(tmp_path / "start.pt"), "--assume-unseen"]
    with pytest.raises(ValueError, match="start is random, not"):
        command.prepare(command.parse_arguments([*arguments, "--output", str(copy)]))
    study = command.prepare(command.parse_arguments([*arguments, "--output", str(tmp_path / "new")]))
    job = Job("multi", 0, 0)
    study.train(job)
    assert study.state(job) == "trained"
    facts = load_weights(tmp_path / "new" / job.name / BEST).facts
    assert len(facts["start"]) == 16
    assert not trained_on(facts).is_known  # as little as of what it began with


def test_a_fold_without_clean_image_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fold 4 has no clean image"):
        Ablation(tmp_path, read_aasce(data, "training"), {0: configurations()}, (4,))
    with pytest.raises(ValueError, match="at least one fold and one seed"):
        Ablation(tmp_path, read_aasce(data, "training"), {}, (0,))


def test_steps_left_count_only_what_is_not_trained(data: Path, copy: Path, tmp_path: Path) -> None:
    """Three images in batches of two, whole batches only: one step per epoch; four images: two."""
    records = read_aasce(data, "training")
    configs = {0: configurations({**TINY_SETTINGS, "training.epochs": "3"})}
    study = Ablation(tmp_path / "new", records, configs, (0, 1))
    assert [study.steps_left(Job("multi", fold, 0)) for fold in (0, 1)] == [3, 6]
    folder = tmp_path / "new" / "multi" / "fold1_seed0"
    folder.mkdir(parents=True)
    (folder / HISTORY).write_text("epoch,loss\n1,2\n2,1\n")
    assert study.state(Job("multi", 1, 0)) == "epoch 2 of 3"
    assert study.steps_left(Job("multi", 1, 0)) == 2
    study = command.prepare(command.parse_arguments(["--data", str(data), "--output", str(copy), *TINY]))
    assert {study.steps_left(job) for job in study.jobs} == {0}


def test_damaged_records_are_named(
    data: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "multi" / "fold0_seed0" / EVALUATION
    path.write_text('{"cond')
    assert call(monkeypatch, "--data", data, "--output", copy, *TINY) == 1
    assert f"ablation: {path} is damaged" in capsys.readouterr().err


def test_an_interruption_is_told_without_a_traceback(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ablation, "seconds_per_step", lambda _: 1.0)
    monkeypatch.setattr(Ablation, "train", interrupt)
    assert call(monkeypatch, "--data", data, "--output", tmp_path / "new", *TINY) == 130
    assert capsys.readouterr().err == "ablation: interrupted; the same command goes on where it stopped\n"


def test_a_missing_plot_library_is_told_before_the_work(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert call(monkeypatch, "--data", data, "--output", tmp_path / "new", *TINY) == 1
    assert "matplotlib is not installed; `python3 scripts/setup_environment.py " in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
