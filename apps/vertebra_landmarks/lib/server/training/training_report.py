"""How a training is getting on, as a file: written by the process that trains, read by the one that serves."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...spine.atomic_write import atomic_write
from ..json_values import without_nan

RUNNING, DONE, FAILED, STOPPED, STARTING = "running", "done", "failed", "stopped", "starting"
INTERRUPTED = "interrupted"
"""States of a training. A process that is killed has no last word, so that ``INTERRUPTED`` is never in the file: it can
go on later. One that was ``STOPPED`` on purpose cannot."""

CHECK = "check"
"""What ``stage`` is while the whole model is measured, so that it may be served."""
NEW, FORMER = "new", "former"
"""Which network a stage has kept."""

PROCESSES = "processes"
"""Key of the process that trains and of its parent; with some Pythons on Windows it is the latter that was started."""


class TrainReport:
    """Facts about the newest training of a folder.

    These are ``state``; ``start_ts``, ``elapsed_s`` and at the end ``total_time``; ``settings``, ``device``, ``images``
    (numbers of ``training``, ``validation``, of the ``new`` among the former, of ``phantoms`` and of ``patients``) and
    ``skipped`` (reason by image); ``version_before`` and ``version_after`` of the model, the latter ``None`` where
    nothing was published, and ``version_kept``, what came of the training in either case; ``gate``, see ``gate.Gate``,
    once it was passed or not; ``resumed_from``, the epoch that an interrupted training went on from; ``error`` of a
    training that failed, ``message`` of one that is done, ``None`` if there is nothing to add.

    Of all stages together: ``epoch``, ``total_epochs`` and ``percent``, which is 100 when the training is done. Of the
    one that ``stage`` names, which runs or ran last, and while it is ``CHECK`` of the one before: ``loss`` and
    ``terms`` of the newest epoch, ``before`` and ``validation``.

    Of each stage, under its name in ``stages``: ``epoch``, ``epochs``, ``images`` and

    - ``before``: errors on the held-out images of the network that was served, ``None`` without such images;
    - ``validation``: those of the newest epoch by the same measure, and when the stage is over of ``best_epoch``;
    - ``best_epoch``: whose weights are the result, ``None`` until the stage is over; it is the last one, so that the
      held-out images have no part in the choice;
    - ``kept``: ``NEW``, or ``FORMER`` where the result did worse than before; ``None`` until the stage is over.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {}
        self._begin = time.time()

    def begin(self, **facts: Any) -> None:
        """Forget the training before this one.

        Raises:
            OSError: the file cannot be written.
        """
        self._begin = time.time()
        self.content = {"state": RUNNING, PROCESSES: [os.getpid(), os.getppid()], "start_ts": int(self._begin)}
        self.update(**facts)

    def take_up(self) -> None:
        """Go on with what another process has reported; nothing, where there is no such report."""
        self.content = read_report(self.path)
        self._begin = self.content.get("start_ts", self._begin)

    def update(self, **facts: Any) -> None:
        """Add facts or replace them.

        Raises:
            OSError: the file cannot be written.
        """
        self.content.update(facts)
        self.content["elapsed_s"] = round(time.time() - self._begin, 1)
        text = json.dumps(without_nan(self.content), indent=1, allow_nan=False)
        with atomic_write(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def tell_stage(self, stage: str, own: Mapping[str, Any], **facts: Any) -> None:
        """Add facts or replace them, those of a stage and those of the training.

        Raises:
            OSError: the file cannot be written.
        """
        told = self.content.setdefault("stages", {}).setdefault(stage, {})
        told.update(own)
        self.update(stage=stage, before=told.get("before"), validation=told.get("validation"), **facts)

    def end(self, state: str, **facts: Any) -> None:
        """Say how it ended.

        Raises:
            OSError: the file cannot be written.
        """
        seconds = round(time.time() - self._begin)
        self.update(state=state, total_time=time.strftime("%H:%M:%S", time.gmtime(seconds)), **facts)


def read_report(path: Path) -> dict[str, Any]:
    """The facts; none where there was no training, or where the file is not as this project writes it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
