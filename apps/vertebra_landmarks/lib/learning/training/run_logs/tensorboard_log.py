"""Event files for TensorBoard, in the folder ``tensorboard`` of the run."""

from __future__ import annotations

from collections.abc import Mapping

from .run_log import FINISHED, RunDescription, RunLog, RunLogError

FOLDER = "tensorboard"


class TensorBoardLog(RunLog):
    """Scalars by epoch; settings and provenance as texts and, at the end, for the tab of hyperparameters."""

    packages = ("tensorboard",)

    def __init__(self, run: RunDescription) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._run, self._folder = run, run.folder / FOLDER
        self._last: dict[str, float] = {}
        self._epoch = run.epoch
        is_new = not any(self._folder.glob("events.*"))
        try:
            # What a killed process has written of later epochs is not shown.
            self._writer = SummaryWriter(str(self._folder), purge_step=run.epoch + 1)
            if not run.epoch or is_new:
                for title, values in (("settings", run.settings), ("provenance", run.provenance)):
                    self._writer.add_text(title, _table(values), 0)
            self._writer.flush()
        except OSError as error:
            raise RunLogError(f"{self._folder} cannot be written: {error}") from error

    @property
    def place(self) -> str:
        """Where it is written, in words."""
        return f"{self._folder}; `tensorboard --logdir {self._folder.parent}` shows it"

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch, by name."""
        try:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, epoch)
            self._writer.flush()
        except OSError as error:
            raise RunLogError(f"{self._folder} cannot be written: {error}") from error
        self._epoch = epoch
        self._last |= figures

    def end(self, status: str) -> None:
        """Close the file; of a run that is finished with its settings beside its last figures."""
        try:
            if status == FINISHED and self._last:
                shown = {f"final/{name}": v for name, v in self._last.items() if name.startswith(("loss/t", "valid"))}
                self._writer.add_hparams(self._run.settings, shown, run_name=".", global_step=self._epoch)
            self._writer.close()
        except OSError as error:
            raise RunLogError(f"{self._folder} cannot be written: {error}") from error


def _table(values: Mapping[str, object]) -> str:
    rows = [f"| {name} | {str(value).replace('|', '&#124;')} |" for name, value in values.items()]
    return "\n".join(["| name | value |", "|---|---|", *rows])
