"""Run logs: where the figures of a training are shown while it runs, one file per program and a registry."""

from __future__ import annotations

from .mlflow_log import MLflowLog
from .run_log import RunLog
from .tensorboard_log import TensorBoardLog

RUN_LOGS: dict[str, type[RunLog]] = {"tensorboard": TensorBoardLog, "mlflow": MLflowLog}
"""All run logs by name."""
