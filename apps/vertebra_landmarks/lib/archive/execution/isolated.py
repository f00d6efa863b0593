"""One image in a process of its own: the last trial of an image that has killed its process.

``python -m lib.archive.execution.isolated`` reads a job and an image as JSON from its input, and writes the record.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..results.record import ImageRecord
from .job import Job

TIMEOUT_S = 600
_MODULE = "lib.archive.execution.isolated"
_PATHS = ("weights", "image_filter", "ca")


def predict_isolated(job: Job, source: str) -> ImageRecord:
    """Predict an image in a process of its own.

    Args:
        job: of the run.
        source: of the image.

    Returns:
        The record; where the process died, one that says so.
    """
    values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(job).items()}
    question = json.dumps({"job": values, "source": source})
    command = [sys.executable, "-m", _MODULE]
    try:
        done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return _set_aside(f"one of its own did not end within {TIMEOUT_S} s")
    if done.returncode:
        return _set_aside(f"so did one of its own ({_cause(done.returncode)})")
    return ImageRecord.from_dict(json.loads(done.stdout.splitlines()[-1]))


def _set_aside(fate: str) -> ImageRecord:
    return ImageRecord(f"set aside: its process died over it, and {fate}", is_final=False)


def _cause(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def main() -> int:
    """Predict the image on the standard input; returns the exit status."""
    from .part_worker import PartWorker  # which imports this module

    question = json.load(sys.stdin)
    values: dict[str, Any] = question["job"]
    paths = {name: Path(values[name]) for name in _PATHS if values[name] is not None}
    worker = PartWorker(Job(**{**values, **paths, "columns": tuple(values["columns"])}))
    print(json.dumps(asdict(worker.predict_image(question["source"]))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
