"""Random numbers of whole batches, all from one source, so that a seed determines every view."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class BatchRandom:
    """Random draws on a device.

    Args:
        device: of what is drawn.
        seed: of all draws.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.device = device
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self._host = torch.Generator().manual_seed(seed)  # for counts, which must not wait for the device

    def state(self) -> dict[str, torch.Tensor]:
        """Where the draws stand, for ``restore``."""
        return {"device": self.generator.get_state(), "host": self._host.get_state()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from where draws on the same kind of device stood."""
        self.generator.set_state(state["device"].cpu())
        self._host.set_state(state["host"].cpu())

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform in ``low ... high``."""
        return torch.rand(shape, device=self.device, generator=self.generator) * (high - low) + low

    def normal(self, *shape: int) -> torch.Tensor:
        """Normally distributed, mean 0, standard deviation 1."""
        return torch.randn(shape, device=self.device, generator=self.generator)

    def chance(self, probability: float, *shape: int) -> torch.Tensor:
        """``True`` with this probability."""
        return torch.rand(shape, device=self.device, generator=self.generator) < probability

    def whole(self, count: int, *shape: int) -> torch.Tensor:
        """Whole numbers in ``0 ... count - 1``."""
        return torch.randint(count, shape, device=self.device, generator=self.generator)

    def some(self, share: float, count: int) -> torch.Tensor:
        """Indices of a share of ``count``: as many each time as fits on average, which ones is random."""
        many = int(share * count + float(torch.rand((), generator=self._host)))
        return torch.randperm(count, device=self.device, generator=self.generator)[:many]
