"""A run in an MLflow tracking server or local store: where ``MLFLOW_TRACKING_URI`` says, else MLflow's own default."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ....spine.atomic_write import atomic_write
from .run_log import FAILED, FINISHED, INTERRUPTED, RunDescription, RunLog, RunLogError

RECORD = "mlflow.json"
"""In the folder of a run: the store and the id of its run there, by which a run that goes on is found again."""
EXPERIMENT = "vertebra_landmarks"
"""Unless ``MLFLOW_EXPERIMENT_NAME`` says another."""
_BATCH = 100
"""Parameters and tags that MLflow takes at once."""
_MAX_PARAMETER, _MAX_TAG = 6000, 5000
"""Characters."""
_STATUS = {FINISHED: "FINISHED", INTERRUPTED: "KILLED", FAILED: "FAILED"}
_RETRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""A server that is away shall not hold a training up for the minutes that MLflow would try."""

_USER = re.compile("//[^/@]*@")
"""Name and password in an address, which are neither printed nor stored."""

T = TypeVar("T")


class MLflowLog(RunLog):
    """Metrics by epoch, settings as parameters, provenance as tags."""

    packages = ("mlflow",)

    def __init__(self, run: RunDescription) -> None:
        for name, value in _RETRIES.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient, get_tracking_uri

        for name in ("mlflow", "alembic"):  # they would tell of every table
            logging.getLogger(name).setLevel(logging.WARNING)
        address = get_tracking_uri()
        self._uri = _USER.sub("//", address)
        known = _read_record(run.folder / RECORD) if run.epoch else None
        if known is not None and known[0] != self._uri:
            raise RunLogError(
                f"{run.folder} is logged by MLflow at {known[0]}, and MLFLOW_TRACKING_URI is {self._uri} now; set it "
                f"as it was, or delete {RECORD} there to begin another run of MLflow"
            )
        self._client = self._ask(lambda: MlflowClient(address))
        if known is None:
            self._id = self._begin(run)
            with atomic_write(run.folder / RECORD) as temporary:
                temporary.write_text(json.dumps({"tracking_uri": self._uri, "run_id": self._id}), encoding="utf-8")
        else:
            self._id = known[1]
            self._ask(lambda: self._client.update_run(self._id, status="RUNNING"))
            self._tag(self._id, run)  # another commit or number of processes may go on with it

    @property
    def place(self) -> str:
        """Where it is written, in words."""
        return f"run {self._id} of MLflow at {self._uri}"

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch, by name."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, epoch) for name, value in figures.items()]
        self._ask(lambda: self._client.log_batch(self._id, metrics=metrics))

    def end(self, status: str) -> None:
        """Write how the run has ended."""
        self._ask(lambda: self._client.set_terminated(self._id, _STATUS[status]))

    def _begin(self, run: RunDescription) -> str:
        """A new run with its settings; its id."""
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        experiment = self._ask(lambda: self._client.get_experiment_by_name(name))
        key = experiment.experiment_id if experiment else self._ask(lambda: self._client.create_experiment(name))
        new = str(self._ask(lambda: self._client.create_run(key, run_name=run.name)).info.run_id)
        parameters = [Param(name, str(value)[:_MAX_PARAMETER]) for name, value in run.settings.items()]
        for begin in range(0, len(parameters), _BATCH):
            part = parameters[begin : begin + _BATCH]
            self._ask(partial(self._client.log_batch, new, params=part))
        self._tag(new, run)
        return new

    def _tag(self, number: str, run: RunDescription) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, text[:_MAX_TAG]) for name, text in run.provenance.items()]
        if "commit" in run.provenance:
            tags.append(RunTag("mlflow.source.git.commit", run.provenance["commit"].rstrip("+")))
        self._ask(lambda: self._client.log_batch(number, tags=tags))

    def _ask(self, request: Callable[[], T]) -> T:
        """The answer to a request.

        Raises:
            RunLogError: there is none.
        """
        from mlflow.exceptions import MlflowException

        try:
            return request()
        except (MlflowException, OSError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise RunLogError(f"MLflow at {self._uri} does not take the log: {reason}") from error


def _read_record(path: Path) -> tuple[str, str] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return str(content["tracking_uri"]), str(content["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
