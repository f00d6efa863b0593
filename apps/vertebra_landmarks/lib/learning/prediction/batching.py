"""Several images at once: what their predictions ask of a network goes through it as one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..models.corner_net import CachedTokens, CornerNet, CornerOutput
from ..models.devices import quick_precision
from ..models.landmark_net import LandmarkNet, Maps

Outputs = tuple[torch.Tensor, ...]


@dataclass(eq=False)
class _Call:
    """What one thread asks for, and its answer.

    Attributes:
        forward: of a network.
        inputs: ``(B, ...)``.
        outputs: tensors ``(B, ...)``, ``None`` until they are there.
        error: why they never will be.
    """

    forward: Callable[[torch.Tensor], Outputs]
    inputs: torch.Tensor
    outputs: Outputs | None = None
    error: Exception | None = None


class SharedBatches:
    """Inputs of several threads as one batch, which runs when all that are at work have asked.

    So what is in a batch does not depend on how fast a thread is.

    Args:
        threads: that will ask; each calls ``leave`` when it is done.
    """

    def __init__(self, threads: int) -> None:
        self._at_work = threads
        self._waiting: list[_Call] = []
        self._changed = threading.Condition()

    def run(self, forward: Callable[[torch.Tensor], Outputs], inputs: torch.Tensor) -> Outputs:
        """Outputs ``(B, ...)`` for inputs ``(B, ...)``.

        Args:
            forward: of a network. Inputs of one shape, B aside, for the same one go together.
            inputs: of one image.

        Raises:
            Exception: what the network has raised for the batch.
        """
        call = _Call(forward, inputs)
        with self._changed:
            self._waiting.append(call)
            self._run_when_all_wait()
            self._changed.wait_for(lambda: call.outputs is not None or call.error is not None)
        if call.outputs is None:
            assert call.error is not None
            raise call.error
        return call.outputs

    def leave(self) -> None:
        """This thread asks for nothing any more."""
        with self._changed:
            self._at_work -= 1
            self._run_when_all_wait()

    def _run_when_all_wait(self) -> None:
        if len(self._waiting) < self._at_work:
            return
        together: dict[tuple[object, torch.Size], list[_Call]] = {}
        for call in self._waiting:
            together.setdefault((call.forward, call.inputs.shape[1:]), []).append(call)
        self._waiting = []
        for calls in together.values():
            _run(calls)
        self._changed.notify_all()


def _run(calls: list[_Call]) -> None:
    """Answer calls of one forward, whose inputs have one shape.

    Modes of torch belong to a thread, and one that only leaves is in none.
    """
    try:
        with torch.inference_mode(), quick_precision(calls[0].inputs.device):
            outputs = calls[0].forward(torch.cat([call.inputs for call in calls]))
    except Exception as error:  # for the threads that wait for it
        for call in calls:
            call.error = error
        return
    parts = [output.split([len(call.inputs) for call in calls]) for output in outputs]
    for call, *own in zip(calls, *parts, strict=True):
        call.outputs = tuple(own)


class BatchedLandmarkNet:
    """A landmark network that several threads share.

    Args:
        network: in evaluation mode, on its device.
        batches: of these threads.
    """

    def __init__(self, network: LandmarkNet, batches: SharedBatches) -> None:
        self._network, self._batches = network, batches

    def __call__(self, image: torch.Tensor) -> Maps:
        """``LandmarkNet.forward``."""
        return Maps(*self._batches.run(self._network, image))


class BatchedCornerNet:
    """A corner network that several threads share.

    Args:
        network: in evaluation mode, on its device.
        batches: of these threads.
    """

    def __init__(self, network: CornerNet, batches: SharedBatches) -> None:
        self._network, self._batches = network, batches

    def among(self, patches: torch.Tensor, cached: CachedTokens | None = None) -> tuple[CornerOutput, torch.Tensor]:
        """``CornerNet.among``."""
        if cached is not None:
            return self._network.among(patches, cached)
        corners, log_errors, tokens = self._batches.run(self._all, patches)
        return CornerOutput(corners, log_errors), tokens

    def _all(self, patches: torch.Tensor) -> Outputs:
        output, tokens = self._network.among(patches)
        return (*output, tokens)
