"""Training of the landmark network, used by ``scripts/train.py`` and by the server."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader
from monai.transforms import Compose
from monai.utils import set_determinism

from ...evaluation.metrics import Localisation, localisation
from ...spine.chain_prior import DEFAULT_PRIOR, ChainPrior
from ...spine.geometry import transform_points
from ..codec import STATE, LandmarkCodec, is_placed
from ..config import Config
from ..data import IMAGE, LABEL, MATRIX
from ..data.random_views import training_transforms
from ..data.transforms import validation_transforms
from ..models.devices import on_device
from ..models.landmark_net import LandmarkNet, Maps
from ..weights.weight_files import CornerWeights, save_weights
from .criterion import LandmarkCriterion
from .distributed import gathered
from .trainer import Trainer


class LandmarkTrainer(Trainer):
    """One run of the landmark network.

    Args:
        config: all tunables.
        folder: receives the checkpoint, the best weights and the history.
        device: where to train.
        workers: processes that prepare images.
        initial: weights to start from.
        facts: what the run is about, such as data and fold; stored in the weight file beside the validation errors.
        prior: how centers follow each other in the spines trained on; stored in the weight file for MAP decoding.
        refiner: stored in the weight file as it is; its error model is an estimate from then on, as
            ``weight_files.networks_digest`` shows.
        freeze_norm, resumable, show_bars, full_precision: as for ``Trainer``.

    Raises:
        ValueError: the folder holds a run with another configuration or other facts.
    """

    batch_keys = (IMAGE, LABEL)

    def __init__(
        self,
        config: Config,
        folder: Path,
        device: torch.device,
        workers: int = 1,
        initial: dict[str, torch.Tensor] | None = None,
        facts: dict[str, Any] | None = None,
        prior: ChainPrior = DEFAULT_PRIOR,
        refiner: CornerWeights | None = None,
        freeze_norm: bool = False,
        resumable: bool = True,
        show_bars: bool = True,
        full_precision: bool = False,
    ) -> None:
        self.config, self.prior, self.refiner = config, prior, refiner
        set_determinism(config.training.seed)
        network = on_device(LandmarkNet(config.network), device)
        if initial is not None:
            network.load_state_dict(initial)
        self.codec = LandmarkCodec(config.codec)
        self.criterion = LandmarkCriterion(self.codec, config.loss)
        plain = config.to_dict()
        of_others = {name for name in plain if name in ("prediction", "map") or name.startswith("refiner")}
        settings = {name: plain[name] for name in plain if name not in of_others}
        options = freeze_norm, resumable, show_bars, full_precision
        super().__init__(network, config.training, settings, folder, device, workers, facts, *options)

    def training_views(self) -> Compose:
        """Random views."""
        return training_transforms(self.config)

    def validation_views(self) -> Compose:
        """The whole image."""
        return validation_transforms(self.config)

    def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Total loss and its terms."""
        with self.precision():
            prediction = self.model(batch[IMAGE].to(memory_format=torch.channels_last))
        total, terms = self.criterion(prediction, batch[LABEL])
        return total, terms

    @torch.inference_mode()
    def validate(self, loader: DataLoader) -> Localisation:
        """Errors of the averaged weights in pixels of the original images."""
        self.average.eval()
        predicted, labelled = [], []
        for batch in loader:
            with self.precision():
                maps = self.average(batch[IMAGE].to(self.device, memory_format=torch.channels_last))
            xy = self.codec.decode(Maps(maps.heatmap.float().sigmoid(), maps.offset, maps.corner_offset)).xy
            label = batch[LABEL].double()
            label = torch.where(is_placed(label[..., STATE:]), label, torch.nan)[..., :STATE]
            for matrix, p, q in zip(batch[MATRIX].numpy(), xy.double().cpu().numpy(), label.numpy(), strict=True):
                back = np.linalg.inv(matrix)
                predicted.append(transform_points(back, p))
                labelled.append(transform_points(back, q))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(Mean of empty|All-NaN) slice")  # labels without corners: no such error
            return localisation(np.stack(gathered(predicted)), np.stack(gathered(labelled)))

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the averaged weights with what using them needs."""
        save_weights(path, self.average.module.state_dict(), self.config, facts, self.prior, self.refiner)
