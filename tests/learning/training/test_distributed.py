"""Training by several processes: the same weights as by one, whatever is interrupted, killed or fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.training import distributed
from lib.learning.training.trainer import BEST, CHECKPOINT, HISTORY
from lib.learning.weights.weight_files import load_weights

from . import shared_runs
from .shared_runs import BETWEEN, KILLED_AFTER, RUNS, SCENARIOS, SENTENCE, Outcome

pytestmark = [
    pytest.mark.usefixtures("torch_as_before"),
    pytest.mark.skipif(sys.platform != "linux", reason="forks a process that has loaded PyTorch"),
]

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 500
TOLERANCE = 1e-4
ROUNDING = 1e-9
"""Of double precision after some tens of steps, in which AdamW divides gradients by their own size."""


def started(*command: object) -> subprocess.Popen[str]:
    """Start Python with one thread."""
    paths = os.pathsep.join(str(ROOT / place) for place in ("apps/vertebra_landmarks", "scripts", "."))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *map(str, command)], env=environment, text=True, stdout=pipe, stderr=pipe)


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end; what was said on standard error."""
    try:
        return process.communicate(timeout=LIMIT_S)[1]
    finally:
        process.kill()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, torch_as_before: None) -> dict[str, Outcome]:
    """What comes of the runs in this process."""
    return {name: run(tmp_path_factory.mktemp(name)) for name, run in RUNS.items()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, torch_as_before: None) -> tuple[Path, dict[str, str]]:
    """The scenarios by two processes, of which the endless run is ended by Ctrl-C: their folder, what each said.

    One of the runs is begun by a single process.
    """
    folder = tmp_path_factory.mktemp("two")
    for name in SCENARIOS:
        (folder / name).mkdir()
    shared_runs.begun(folder / "equal" / "begun", stop=2)
    process = started(shared_runs.__file__, folder)
    end = time.monotonic() + LIMIT_S
    while not (folder / "equal" / "endless.txt").exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = ended(process)
    assert said.count(BETWEEN) == len(SCENARIOS), said
    return folder, dict(zip(SCENARIOS, said.split(BETWEEN), strict=False))


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_learns(
    name: str, alone: dict[str, Outcome], shared: tuple[Path, dict[str, str]]
) -> None:
    """Weights, batch norms, averages, losses and validation, from a run of one process as well."""
    folder, said = shared[0] / "equal", shared[1]["equal"]
    assert (folder / "outcomes.pt").exists(), said
    one, two = alone[name], torch.load(folder / "outcomes.pt", weights_only=True)[name]
    for kind in ("network", "average"):
        for key, value in one[kind].items():
            torch.testing.assert_close(two[kind][key], value, rtol=ROUNDING, atol=ROUNDING, msg=f"{kind} {key}")
    missed = 2 if name == "begun" else 0
    assert two["losses"] == pytest.approx(one["losses"][missed:], rel=ROUNDING)
    assert [error for error in two["errors"] if error] == pytest.approx(
        [error for error in one["errors"][missed:] if error], rel=ROUNDING
    )
    assert any(two["errors"])


def test_one_process_writes_every_epoch_once(shared: tuple[Path, dict[str, str]]) -> None:
    folder = shared[0] / "equal"
    assert sorted(path.name for path in (folder / "begun").iterdir()) == sorted([BEST, CHECKPOINT, HISTORY])
    rows = (folder / "begun" / HISTORY).read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "1", "2", "3", "4", "5"]


def test_ctrl_c_ends_all_with_one_sentence_and_a_checkpoint(shared: tuple[Path, dict[str, str]]) -> None:
    folder, said = shared[0] / "equal", shared[1]["equal"]
    assert said.count("train: interrupted; the same command goes on from the last finished epoch") == 1
    assert said.count("train: ") == 1
    assert torch.load(folder / "endless" / CHECKPOINT, weights_only=True)["epoch"] >= 1


def test_a_killed_process_is_started_again_and_the_failure_of_one_ends_all(
    alone: dict[str, Outcome], shared: tuple[Path, dict[str, str]]
) -> None:
    """The run goes on from the last checkpoint and ends as if nothing had been; then one sentence is said."""
    folder, said = shared[0] / "killed", shared[1]["killed"]
    assert (folder / "resumed.txt").read_text() in (str(KILLED_AFTER - 1), str(KILLED_AFTER)), said
    state: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=True)
    assert state["epoch"] == 5
    for key, value in alone["begun"]["network"].items():
        torch.testing.assert_close(state["network"][key], value, rtol=ROUNDING, atol=ROUNDING, msg=key)
    assert said.count(f"train: {SENTENCE}") == 1
    of_the_killed_one = said.count("train: another process of the training has ended")  # unless torchrun is quicker
    assert of_the_killed_one <= 1
    assert said.count("train: ") == 1 + of_the_killed_one


@pytest.mark.skipif("TWO_PROCESS_NETWORKS" not in os.environ, reason="minutes; set TWO_PROCESS_NETWORKS=1 to run it")
def test_both_networks_have_the_same_weights_after_20_steps(tmp_path: Path) -> None:
    """In single precision, within 1e-4."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    one = shared_runs.networks(tmp_path / "one")
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node=2")
    address = ("--master-addr=127.0.0.1", f"--master-port={shared_runs.free_port()}")
    said = ended(started(*torchrun, *address, shared_runs.__file__, "networks", tmp_path / "two"))
    assert (tmp_path / "two" / "outcome.pt").exists(), said
    two = torch.load(tmp_path / "two" / "outcome.pt", weights_only=True)
    shipped = load_weights(DEFAULT_WEIGHTS_FILE)
    begun = {"landmarks": shipped.state, "corners": shipped.refiner.state if shipped.refiner else {}}
    for name, states in begun.items():
        pairs = [(tensor, two[name]["network"][key]) for key, tensor in one[name]["network"].items()]
        far = max(float((a.double() - b.double()).abs().max()) for a, b in pairs)
        moves = [one[name]["network"][key].double() - tensor.double() for key, tensor in states.items()]
        moved = max(float(move.abs().max()) for move in moves)
        part = _size([a.double() - b.double() for a, b in pairs]) / _size(moves)
        losses = np.abs(np.subtract(one[name]["losses"], two[name]["losses"])).max()
        print(
            f"{name}: weights differ by {far:.1e} at most, losses by {losses:.1e}; training moved them by {moved:.1e}; "
            f"root mean square of the difference {part:.1e} of that of the move"
        )
        assert far <= TOLERANCE
        assert part < 0.05


def _size(tensors: list[torch.Tensor]) -> float:
    return sum(float(tensor.square().sum()) for tensor in tensors) ** 0.5


def test_without_a_launcher_one_process_trains_alone() -> None:
    with distributed.joined("cpu") as device:
        assert device.type == "cpu"
        assert (distributed.count(), distributed.rank(), distributed.is_first()) == (1, 0, True)
        assert distributed.share_of([1, 2, 3]) == [1, 2, 3]


def test_a_launcher_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with (
        pytest.raises(ValueError, match="not all of MASTER_ADDR, MASTER_PORT and RANK; start with torchrun"),
        distributed.joined(),
    ):
        pass


def test_a_process_without_a_device_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.local_device("auto", 1) == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="3 processes or more need as many CUDA devices, this machine has 2"):
        distributed.local_device("auto", 2)
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda where several processes train"):
        distributed.local_device("cuda:1", 0)
