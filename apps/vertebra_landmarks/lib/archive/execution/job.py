"""What every process of a run is told, and the model that it loads once for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ... import __version__
from ...learning.decoders import DEFAULT_DECODER
from ...learning.models.devices import choose_device
from ...learning.prediction.predictor import LandmarkPredictor
from ...learning.weights.weight_files import file_digest


class ModelMismatchError(ValueError):
    """A process has other weights or another version of the program than the run."""


@dataclass(frozen=True)
class Job:
    """A run, as far as a process that predicts needs to know it.

    Attributes:
        output: path or URL of the results.
        root: of the archive.
        weights: weight file, at this path on every machine.
        digest: of the weight file.
        columns: of the manifest.
        decoder: name of the decoder.
        device: name of the device.
        batch_size: images that go through the networks at once; by default ``GPU_BATCH_SIZE`` on a GPU, else one.
        image_filter: see ``settings_of``.
        ca: see ``settings_of``.
        version: of the program.
    """

    output: str
    root: str
    weights: Path
    digest: str
    columns: tuple[str, ...] = ()
    decoder: str = DEFAULT_DECODER
    device: str = "auto"
    batch_size: int | None = None
    image_filter: Path | None = None
    ca: Path | None = None
    version: str = __version__

    @property
    def options(self) -> Mapping[str, str]:
        """What the results depend on besides the images."""
        return {"decoder": self.decoder, "weights": self.digest, "version": self.version}

    def check_process(self) -> None:
        """Make sure that this process would give the results of the run.

        Raises:
            ModelMismatchError: its program or weights are others.
            OSError: it has no weight file.
        """
        if self.version != __version__:
            raise ModelMismatchError(f"this process has version {__version__} of the program, the run {self.version}")
        found = file_digest(self.weights)
        if found != self.digest:
            raise ModelMismatchError(
                f"the weights {self.weights} of this process are {found}, the run has {self.digest}"
            )


@lru_cache(maxsize=1)
def load_model(weights: Path, digest: str, device: str) -> LandmarkPredictor:
    """The model of this process, loaded once.

    Args:
        weights: weight file.
        digest: of it.
        device: name of the device.

    Raises:
        ValueError: it is no weight file, or there is no such device.
        OSError: it cannot be read.
    """
    return LandmarkPredictor(weights, choose_device(device))
