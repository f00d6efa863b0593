"""The checkpoint of a timed training, beside the file that it writes."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...weights.provenance import differences
from ...weights.weight_files import save_atomically

_RUN, _STATE = "run", "state"


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint of a training lies that writes ``output``."""
    return output.with_name(f"{output.stem}.checkpoint.pt")


def write_checkpoint(path: Path, run: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a checkpoint; an older one stays whole until the new one is.

    Args:
        path: of the file.
        run: everything that must be the same for the training to go on, in plain values.
        state: of the training.

    Raises:
        OSError: the file cannot be written.
    """
    save_atomically({_RUN: dict(run), _STATE: dict(state)}, path)


def read_checkpoint(path: Path, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state from which a training goes on; ``None`` where there is no checkpoint.

    Args:
        path: of the file.
        run: as ``write_checkpoint`` takes it.

    Raises:
        ValueError: it is no checkpoint, or one of another run; the message says what differs.
        OSError: it cannot be read.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        stored, state = content[_RUN], content[_STATE]
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is no checkpoint of a training from a pack; choose another output") from error
    if stored != dict(run):
        difference = differences(stored, run) or "the images that are learnt from"
        raise ValueError(f"{path} is of another run ({difference}); choose another output, or remove it to begin anew")
    return dict(state)
