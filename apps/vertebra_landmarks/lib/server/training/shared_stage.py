"""A training stage that several processes of this machine share, such as one per CUDA device.

The process that was asked for the training is the first of the group, and the only one that writes. The others are its
children: they end with it, whatever ends it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from ...learning.data.rehearsal import Rehearsal
from ...learning.models.devices import choose_device
from ...learning.training import distributed
from ...learning.weights.weight_files import load_weights, save_weights
from .run_files import TrainReport, reason_of
from .train_request import TrainRequest
from .training_stages import CornerStage, LandmarkStage, Stage, StageResult

logger = logging.getLogger(__name__)

_APP = Path(__file__).resolve().parents[3]
_WEIGHTS, _WORK, _STORE = "weights.pt", "work.pickle", "store"
_ERRORS, _REASON, _REPORT, _READY = "errors-{}.txt", "reason-{}.txt", "report-{}.json", "ready-{}"
_COMMAND = (sys.executable, "-m", __name__)
_POLL_S = 0.1
_START_TIMEOUT_S = 600.0
"""Longest wait for the other processes to start, on a machine that is busy."""
_END_TIMEOUT_S = 20.0
"""Longest wait for the other processes when a stage has ended, or one of them has failed."""
_LOST_ANOTHER = 3
"""Exit status of a process that has ended because another one had."""
_STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (LandmarkStage, CornerStage)}


def process_count(settings: TrainRequest, stage: Stage) -> int:
    """How many processes share a stage: those that were asked for, else one per CUDA device; one without CUDA.

    Never more than there are images in a batch.

    Raises:
        ValueError: there are too few CUDA devices.
    """
    device = choose_device(settings.device)
    devices = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1
    if device.type == "cuda" and settings.processes > devices:
        raise ValueError(f"processes must be {devices} at most here, one per CUDA device, got {settings.processes}")
    return max(1, min(settings.processes or devices, settings.batch_size, len(stage.items)))


def train_stage(
    stage: Stage, settings: TrainRequest, folder: Path, report: TrainReport, epochs_done: int
) -> StageResult:
    """``Stage.train``, by as many processes as ``process_count`` says.

    Raises:
        ValueError: there is no item to train on, or there are too few CUDA devices.
        OSError: a file cannot be written, or another process has failed; the message is its own.
        FloatingPointError: the loss is no longer finite.
    """
    size = process_count(settings, stage)
    if size == 1:
        return stage.train(settings, folder, report, epochs_done)
    with tempfile.TemporaryDirectory(prefix="training-", ignore_cleanup_errors=True) as temporary:
        place = Path(temporary)
        _write_work(place, stage, settings, folder, epochs_done, size)
        with _children(place, range(1, size)) as children, _fewer_threads(size):
            try:
                _await(place, children)
                with _membership(place, 0, size, distributed.local_device(settings.device, 0)):
                    result = stage.train(settings, folder, report, epochs_done)
            except distributed.LostProcessError as error:
                raise ConnectionError(_reason(place, children)) from error
            _await_end(children)
    return result


def _write_work(place: Path, stage: Stage, settings: TrainRequest, folder: Path, epochs_done: int, size: int) -> None:
    weights = stage.weights
    save_weights(place / _WEIGHTS, weights.state, weights.config, weights.facts, weights.prior, weights.refiner)
    rehearsal = {"items": list(stage.rehearsal.items), "share": stage.rehearsal.share}
    work = {
        "name": stage.name,
        "items": list(stage.items),
        "rehearsal": rehearsal,
        "held_out": list(stage.held_out),
        "settings": asdict(settings),
        "folder": str(folder),
        "epochs_done": epochs_done,
        "size": size,
    }
    (place / _WORK).write_bytes(pickle.dumps(work))


@contextlib.contextmanager
def _children(place: Path, numbers: Sequence[int]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The other processes of the group, ended at the end of the block."""
    path = os.pathsep.join(filter(None, [str(_APP), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}  # MONAI Label has the app on its path only while it loads it
    children: list[subprocess.Popen[bytes]] = []
    try:
        for number in numbers:
            with (place / _ERRORS.format(number)).open("wb") as errors:
                command = [*_COMMAND, str(place), str(number)]
                child = subprocess.Popen(
                    command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
                )
                children.append(child)
        yield children
    finally:
        for child in children:
            child.kill()
            child.communicate()


def _await(place: Path, children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until the other processes have read their work: a group would wait for a dead one much longer.

    Raises:
        LostProcessError: one has ended.
        TimeoutError: one does not start.
    """
    waiting, end = dict(enumerate(children, 1)), time.monotonic() + _START_TIMEOUT_S
    while waiting := {number: one for number, one in waiting.items() if not (place / _READY.format(number)).exists()}:
        if any(child.poll() is not None for child in waiting.values()):
            raise distributed.LostProcessError("another process of the training has ended")
        if time.monotonic() > end:
            raise TimeoutError(
                f"{len(waiting)} of {len(children) + 1} processes of the training have not started within "
                f"{_START_TIMEOUT_S:.0f} s"
            )
        time.sleep(_POLL_S)


def _await_end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + _END_TIMEOUT_S
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, end - time.monotonic()))


@contextlib.contextmanager
def _membership(place: Path, number: int, size: int, device: torch.device) -> Iterator[None]:
    store = torch.distributed.FileStore(str(place / _STORE), size)  # type: ignore[attr-defined]  # missing in stubs
    with distributed.member(store, number, size, device, is_local=True):
        yield


@contextlib.contextmanager
def _fewer_threads(size: int) -> Iterator[None]:
    """Share the processor cores among the processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // size))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _reason(place: Path, children: Sequence[subprocess.Popen[bytes]]) -> str:
    """Why the group was broken, in the words of the process that began it."""
    _await_end(children)
    for number, child in enumerate(children, 1):
        if child.returncode in (None, 0, _LOST_ANOTHER):
            continue
        errors, reason = (place / name.format(number) for name in (_ERRORS, _REASON))
        words = errors.read_text(encoding="utf-8", errors="replace").strip()
        logger.error("Process %d of the training has ended: %s", number + 1, words)
        if reason.exists():
            last = reason.read_text(encoding="utf-8")
        else:
            last = words.splitlines()[-1] if words else f"exit status {child.returncode}"
        return f"process {number + 1} of {len(children) + 1} of the training has ended: {last}"
    return "another process of the training has ended"


def _end_with_parent(place: Path) -> None:
    """End this process as soon as its parent is gone, which closes the pipe to its standard input."""
    os.read(0, 1)  # not by the stream, whose lock would be held when this process ends by itself
    shutil.rmtree(place, ignore_errors=True)  # as the parent can no longer do
    os._exit(1)


def main(arguments: Sequence[str]) -> int:
    """Take part as one of the children.

    Args:
        arguments: the folder of the work, and the number of this process.

    Returns:
        The exit status; why it is not 0 lies in the folder.
    """
    place, number = Path(arguments[0]), int(arguments[1])
    threading.Thread(target=_end_with_parent, args=(place,), daemon=True).start()
    try:
        _take_part(place, number)
    except distributed.LostProcessError:
        return _LOST_ANOTHER
    except Exception as error:
        (place / _REASON.format(number)).write_text(reason_of(error), encoding="utf-8")
        raise
    return 0


def _take_part(place: Path, number: int) -> None:
    work = pickle.loads((place / _WORK).read_bytes())  # written by the parent, in a folder that only its user can read
    settings = TrainRequest(**work["settings"])
    rehearsal = Rehearsal(**work["rehearsal"])
    stage = _STAGES[work["name"]](load_weights(place / _WEIGHTS), work["items"], rehearsal, work["held_out"])
    report = TrainReport(place / _REPORT.format(number))
    report.begin(total_epochs=settings.max_epochs)
    device = distributed.local_device(settings.device, number)
    torch.empty(1, device=device)  # a device that is taken by others fails here, where nobody waits for this process
    (place / _READY.format(number)).touch()
    with _fewer_threads(work["size"]), _membership(place, number, work["size"], device):
        stage.train(settings, Path(work["folder"]), report, work["epochs_done"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
