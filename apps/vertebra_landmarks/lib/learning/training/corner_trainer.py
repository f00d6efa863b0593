"""Training of the corner network, used by ``scripts/train_refiner.py`` and by the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader
from monai.transforms import Compose
from monai.utils import set_determinism

from ...evaluation.metrics import Localisation, localisation
from ...spine.geometry import transform_points, with_centers
from ..config import Config
from ..data import MATRIX
from ..data.patches import IS_KNOWN, IS_THERE, PATCHES, TARGET, patch_training_views, patch_validation_views
from ..models.corner_net import CornerNet
from ..models.devices import on_device
from ..weights.weight_files import ERRORS_MEASURED_ON, CornerWeights, Weights, save_weights
from .distributed import gathered
from .losses import corner_loss
from .trainer import Trainer


class CornerTrainer(Trainer):
    """One run of the corner network; its items need ``patches.can_be_patched``.

    Args:
        config: all tunables.
        base: weight file content that the corner network goes into.
        folder: receives the checkpoint, the best weights and the history.
        device: where to train.
        workers: processes that prepare images.
        initial: weights to start from.
        facts: what the run is about; stored in the weight file beside the validation errors.
        errors_of: whose error model the new network keeps, with what its facts tell of the measurement; it is an
            estimate then. Left out, the new network has none until it is measured.
        freeze_norm, resumable, show_bars, full_precision: as for ``Trainer``.

    Raises:
        ValueError: the folder holds a run with another configuration or other facts.
    """

    batch_keys = (PATCHES, TARGET, IS_KNOWN, IS_THERE)

    def __init__(
        self,
        config: Config,
        base: Weights,
        folder: Path,
        device: torch.device,
        workers: int = 1,
        initial: dict[str, torch.Tensor] | None = None,
        facts: dict[str, Any] | None = None,
        errors_of: CornerWeights | None = None,
        freeze_norm: bool = False,
        resumable: bool = True,
        show_bars: bool = True,
        full_precision: bool = False,
    ) -> None:
        self.config, self.base, self.errors_of = config, base, errors_of
        schedule = config.refiner_training
        set_determinism(schedule.seed)
        network = on_device(CornerNet(config.refiner), device)
        if initial is not None:
            network.load_state_dict(initial)
        plain = config.to_dict()
        settings = {name: plain[name] for name in plain if name.startswith("refiner")}
        options = freeze_norm, resumable, show_bars, full_precision
        super().__init__(network, schedule, settings, folder, device, workers, facts, *options)

    def training_views(self) -> Compose:
        """Random patches."""
        return patch_training_views(self.config)

    def validation_views(self) -> Compose:
        """Patches a little off the labelled centers."""
        return patch_validation_views(self.config)

    def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Total loss and its terms."""
        with self.precision():
            refined = self.model(batch[PATCHES], batch[IS_THERE])
        return corner_loss(refined, batch[TARGET], batch[IS_KNOWN])

    @torch.inference_mode()
    def validate(self, loader: DataLoader) -> Localisation:
        """Errors of the averaged weights in pixels of the original images, centers being the means of corners."""
        self.average.eval()
        predicted: list[np.ndarray] = []
        labelled: list[np.ndarray] = []
        for batch in loader:
            with self.precision():
                refined = self.average(batch[PATCHES].to(self.device), batch[IS_THERE].to(self.device))
            there = batch[IS_THERE].numpy()
            parts = refined.corners.double().cpu().numpy(), batch[TARGET].double().numpy(), batch[MATRIX].numpy()
            for corners, target, matrices, is_there in zip(*parts, there, strict=True):
                back = np.linalg.inv(matrices)
                for points, collected in ((corners, predicted), (target, labelled)):
                    moved = np.stack([transform_points(*pair) for pair in zip(back, points, strict=True)])
                    collected.append(np.where(is_there[:, None, None], with_centers(moved), np.nan))
        return localisation(np.stack(gathered(predicted)), np.stack(gathered(labelled)))

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the weight file with the averaged weights in it."""
        errors, measured_on = None, None
        if self.errors_of is not None and self.errors_of.errors is not None:
            errors, measured_on = self.errors_of.errors, self.errors_of.facts.get(ERRORS_MEASURED_ON, {})
        facts = {**facts, ERRORS_MEASURED_ON: measured_on}
        refiner = CornerWeights(self.average.module.state_dict(), self.config.refiner, facts, errors)
        save_weights(path, self.base.state, self.base.config, self.base.facts, self.base.prior, refiner)
