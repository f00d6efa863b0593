"""What is said of a run, whichever program shows it: figures of every epoch, settings, provenance. No images."""

from __future__ import annotations

import json
import math
import platform
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from .... import __version__
from ...weights.provenance import public_facts
from .. import distributed
from ..trainer import Progress, Trainer

FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
"""How a run has ended."""
_GIT_TIMEOUT_S = 10.0


class RunLogError(OSError):
    """A run log cannot be written; the message says which and why."""


@dataclass(frozen=True)
class RunDescription:
    """A run as its logs describe it.

    Attributes:
        folder: of the run.
        settings: hyperparameters by dotted names: numbers, booleans and texts.
        provenance: what the run is about and what computes it, by dotted names: texts.
        epoch: that the run goes on after, 0 for a new one.
    """

    folder: Path
    settings: dict[str, bool | int | float | str]
    provenance: dict[str, str]
    epoch: int

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name


class RunLog(ABC):
    """One program's record of a run; a run that goes on is continued there.

    Raises:
        RunLogError: it cannot be written.
    """

    packages: ClassVar[tuple[str, ...]]
    """That it imports."""

    @abstractmethod
    def __init__(self, run: RunDescription) -> None: ...

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is written, in words."""

    @abstractmethod
    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch, by name.

        Raises:
            RunLogError: it cannot be written.
        """

    @abstractmethod
    def end(self, status: str) -> None:
        """Write how the run has ended: ``FINISHED``, ``INTERRUPTED`` or ``FAILED``.

        Raises:
            RunLogError: it cannot be written.
        """


def describe_run(trainer: Trainer, arguments: Mapping[str, Any]) -> RunDescription:
    """Describe a run.

    Args:
        trainer: before its first epoch.
        arguments: of the command. Of paths the last part is written, since folders may tell what is nobody's business.
    """
    said = {f"arguments.{name}": value for name, value in flattened(arguments).items()}
    provenance = {name: str(value) for name, value in flattened(public_facts(trainer.facts)).items()}
    program = {"version": __version__, "commit": source_commit(), "torch": torch.__version__}
    program |= {"python": platform.python_version(), "device": _device_name(trainer.device)}
    program["processes"] = str(distributed.count())
    return RunDescription(
        trainer.folder,
        flattened(trainer.settings) | said,
        provenance | {name: text for name, text in program.items() if text},
        trainer.epoch,
    )


def figures_of(progress: Progress) -> dict[str, float]:
    """The figures of an epoch by name; what is not finite, such as errors of corners that no label has, is left out."""
    checked = {} if progress.validation is None else asdict(progress.validation)
    checked.pop("images", None)
    figures = {
        "loss/total": progress.loss,
        **{f"loss/{name}": value for name, value in progress.terms.items()},
        **{f"validation/{name}": float(value) for name, value in checked.items()},
        "learning_rate": progress.learning_rate,
        "time/seconds": progress.seconds,
        "time/busy": progress.busy,
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Plain values by dotted names; paths by their last part, lists as JSON, nothing for ``None``."""
    flat: dict[str, bool | int | float | str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        elif isinstance(value, Path):
            flat[f"{prefix}{name}"] = value.name
        elif isinstance(value, (bool, int, float, str)):
            flat[f"{prefix}{name}"] = value
        elif value is not None:
            flat[f"{prefix}{name}"] = json.dumps(value, default=str)
    return flat


def source_commit() -> str:
    """Commit of the sources that run, with "+" where files were changed since; "" where they are no clone."""
    folder = Path(__file__).parent
    if shutil.which("git") is None:
        return ""
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # else the folder lies in somebody else's clone
        return _git(folder, "rev-parse", "HEAD") + ("+" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GIT_TIMEOUT_S)
    return done.stdout.strip()


def _device_name(device: torch.device) -> str:
    return f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


class RunLogs:
    """Some logs of one run, in the process that writes files.

    Where a log cannot be written once the run has begun, a sentence on stderr says so, and the run goes on.

    Args:
        logs: that have begun.
    """

    def __init__(self, logs: Iterable[RunLog]) -> None:
        self.logs = list(logs)
        self._is_silent: set[RunLog] = set()

    def on_epoch(self, progress: Progress) -> None:
        """Write the figures of an epoch."""
        figures = figures_of(progress)
        for log in self.logs:
            try:
                log.add(progress.epoch, figures)
                self._is_silent.discard(log)
            except RunLogError as error:
                self._tell(log, f"epoch {progress.epoch} is missing in the log: {error}")

    def end(self, status: str) -> None:
        """Write how the run has ended."""
        for log in self.logs:
            try:
                log.end(status)
            except RunLogError as error:
                self._tell(log, f"the end is missing in the log: {error}")

    def _tell(self, log: RunLog, sentence: str) -> None:
        if log not in self._is_silent:  # once per outage
            self._is_silent.add(log)
            print(sentence, file=sys.stderr)
