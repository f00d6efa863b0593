"""Logs of a run: what they say, read back from event files and from MLflow's database."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from lib import __version__
from lib.evaluation.metrics import Localisation
from lib.learning.training.run_logs import RUN_LOGS, mlflow_log
from lib.learning.training.run_logs.mlflow_log import RECORD, MLflowLog
from lib.learning.training.run_logs.run_log import (
    FINISHED,
    INTERRUPTED,
    RunLog,
    RunLogError,
    RunLogs,
    describe_run,
    figures_of,
    flattened,
)
from lib.learning.training.run_logs.tensorboard_log import FOLDER, TensorBoardLog
from lib.learning.training.trainer import Progress
from lib.learning.weights.provenance import IMAGES, OWN

from .test_trainer import ITEMS, Line

pytestmark = pytest.mark.usefixtures("torch_as_before")

FACTS = {"data": OWN, "fold": 0, "data_set": {"name": "spines", "digest": "0f", "images": 4}, IMAGES: "aa bb"}
ARGUMENTS = {"data": Path("/home/meier/spines"), "fold": 0, "init": None}


def line(folder: Path) -> Line:
    """Four epochs, with validation in the second and the fourth; what was begun in the folder goes on."""
    return Line(folder, facts=FACTS)


def fit(run: Line, log: RunLog, epochs: int) -> None:
    """Train that many epochs at most, and log them."""
    done: list[int] = []
    logs = RunLogs([log])

    def on_epoch(progress: Progress) -> None:
        logs.on_epoch(progress)
        done.append(progress.epoch)

    run.fit(ITEMS, ITEMS[:1], on_epoch, lambda: len(done) == epochs)
    logs.end(INTERRUPTED if run.epoch < 4 else FINISHED)


def test_a_run_is_described_without_paths_and_digests_of_images(tmp_path: Path) -> None:
    run = describe_run(line(tmp_path / "run7"), ARGUMENTS)
    assert run.name == "run7"
    assert (run.settings["learning_rate"], run.settings["epochs"], run.epoch) == (0.1, 4, 0)
    assert (run.settings["arguments.data"], run.settings["arguments.fold"]) == ("spines", 0)
    assert "arguments.init" not in run.settings
    assert (run.provenance["data_set.name"], run.provenance["data_set.digest"]) == ("spines", "0f")
    assert (run.provenance["version"], run.provenance["torch"]) == (__version__, torch.__version__)
    assert len(run.provenance.get("commit", "0" * 40).rstrip("+")) == 40
    text = str(run.settings) + str(run.provenance)
    assert "meier" not in text
    assert "aa bb" not in text


def test_lists_are_json_and_what_is_not_given_is_left_out() -> None:
    values = {"a": {"b": (1, 2), "c": None, "d": True}, "e": [Path("x/y")]}
    assert flattened(values) == {"a.b": "[1, 2]", "a.d": True, "e": '["x/y"]'}


def test_figures_that_are_no_numbers_are_left_out() -> None:
    checked = Localisation(3, math.nan, math.nan, 4.0, 5.0, 0.1, 0.0, 1.0)
    figures = figures_of(Progress(2, 4, 1.5, {"heatmap": 0.5}, 0.9, 3.0, checked, 1e-4))
    assert figures["loss/total"] == 1.5
    assert figures["loss/heatmap"] == 0.5
    assert figures["learning_rate"] == 1e-4
    assert figures["validation/center_mean"] == 5.0
    assert not any("corner" in name or "images" in name for name in figures)


def read_events(folder: Path) -> Any:
    """All event files of a run as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / FOLDER))
    events.Reload()
    return events


def test_event_files_have_every_epoch_once_though_the_run_was_interrupted(tmp_path: Path) -> None:
    first = line(tmp_path)
    fit(first, TensorBoardLog(describe_run(first, ARGUMENTS)), 3)
    late = TensorBoardLog(describe_run(line(tmp_path), {}))
    late.add(4, {"loss/total": 99.0})  # of a process that was killed before it had written its checkpoint
    late.end(INTERRUPTED)
    again = line(tmp_path)
    assert again.epoch == 3
    fit(again, TensorBoardLog(describe_run(again, ARGUMENTS)), 4)
    events = read_events(tmp_path)
    losses = events.Scalars("loss/total")
    assert [one.step for one in losses] == [1, 2, 3, 4]
    assert 0 < losses[3].value < losses[0].value
    assert [one.step for one in events.Scalars("validation/corner_mean")] == [2, 4]
    assert events.Scalars("loss/half")[0].value == pytest.approx(losses[0].value / 2)
    assert events.Scalars("learning_rate")[-1].value < 0.1
    assert [one.step for one in events.Scalars("final/loss/total")] == [4]
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
    assert "| learning_rate | 0.1 |" in texts["settings/text_summary"]
    assert "| data_set.name | spines |" in texts["provenance/text_summary"]
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_a_folder_that_cannot_be_written_is_told_before_the_first_epoch(tmp_path: Path) -> None:
    run = line(tmp_path)
    (tmp_path / FOLDER).write_text("a file")
    with pytest.raises(RunLogError, match=r"tensorboard cannot be written"):
        TensorBoardLog(describe_run(run, {}))


# --- MLflow ---


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a database; making its tables takes a second."""
    pytest.importorskip("mlflow", reason="mlflow is not installed; requirements-log.txt has it")
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def client(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's own client of that database, which the logs use as well."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return MlflowClient(database)


def test_mlflow_has_one_run_with_every_epoch_though_it_was_interrupted(tmp_path: Path, client: Any) -> None:
    first = line(tmp_path)
    fit(first, MLflowLog(describe_run(first, ARGUMENTS)), 3)
    experiment = client.get_experiment_by_name("vertebra_landmarks").experiment_id
    (begun,) = client.search_runs([experiment])
    assert (begun.info.run_name, begun.info.status) == (tmp_path.name, "KILLED")
    again = line(tmp_path)
    fit(again, MLflowLog(describe_run(again, ARGUMENTS)), 4)
    (run,) = client.search_runs([experiment])
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    losses = client.get_metric_history(run.info.run_id, "loss/total")
    assert [one.step for one in losses] == [1, 2, 3, 4]
    assert 0 < losses[3].value < losses[0].value
    assert [one.step for one in client.get_metric_history(run.info.run_id, "validation/corner_mean")] == [2, 4]
    assert run.data.params["learning_rate"] == "0.1"
    assert run.data.params["arguments.data"] == "spines"
    assert run.data.tags["data_set.digest"] == "0f"
    assert run.data.tags["version"] == __version__
    assert "aa bb" not in str(run.data.tags)


def test_a_run_that_goes_on_must_find_its_run_of_mlflow(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = line(tmp_path)
    fit(first, MLflowLog(describe_run(first, {})), 1)
    record = tmp_path / RECORD
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////nowhere/else.db")
    with pytest.raises(RunLogError, match=r"MLFLOW_TRACKING_URI is sqlite:////nowhere/else\.db now; set it as it was"):
        MLflowLog(describe_run(line(tmp_path), {}))
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    record.write_text(record.read_text().replace('"run_id": "', '"run_id": "0'))
    with pytest.raises(RunLogError, match=r"does not take the log: .*not found"):
        MLflowLog(describe_run(line(tmp_path), {}))


def test_a_password_in_the_address_is_not_shown() -> None:
    assert mlflow_log._USER.sub("//", "https://ann:secret@host:5000/x") == "https://host:5000/x"
    assert mlflow_log._USER.sub("//", "sqlite:////home/ann@b/m.db") == "sqlite:////home/ann@b/m.db"


# --- several logs ---


class Broken(RunLog):
    """A log that takes no figures while it is away."""

    packages = ("no_such_package",)

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.is_away = True

    @property
    def place(self) -> str:
        """Nowhere."""
        return "nowhere"

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Fails while it is away."""
        if self.is_away:
            raise RunLogError("the server is away")
        self.taken.append(epoch)

    def end(self, status: str) -> None:
        """Fails as well."""
        self.add(0, {})


def test_a_log_that_is_away_is_told_once_and_stops_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    away, there = Broken(), Broken()
    there.is_away = False
    logs = RunLogs([away, there])
    progress = [Progress(epoch, 4, 1.0, {}, 0.5, 1.0, None, 0.1) for epoch in range(1, 5)]
    for one in progress[:2]:
        logs.on_epoch(one)
    assert capsys.readouterr().err == "epoch 1 is missing in the log: the server is away\n"
    away.is_away = False
    logs.on_epoch(progress[2])
    away.is_away = True
    logs.on_epoch(progress[3])
    assert capsys.readouterr().err == "epoch 4 is missing in the log: the server is away\n"
    logs.end(FINISHED)
    assert (away.taken, there.taken) == ([3], [1, 2, 3, 4, 0])


def test_every_log_names_the_packages_that_it_imports() -> None:
    assert {name: log.packages for name, log in RUN_LOGS.items()} == {
        "tensorboard": ("tensorboard",),
        "mlflow": ("mlflow",),
    }
