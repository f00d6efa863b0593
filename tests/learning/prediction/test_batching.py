"""Several images whose network inputs go through as one batch."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.image_io import Radiograph, UnreadableImageError
from lib.learning.prediction.batching import SharedBatches
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.prediction.request import PredictionRequest
from lib.phantoms import random_spec, render_phantom

from .test_predictor import CPU, SMALL, noise, with_second_network, write_network


def phantoms(count: int) -> list[Radiograph]:
    """Small images of different sizes."""
    return [Radiograph(render_phantom(random_spec(n, 300 + 10 * n, 120)).pixels) for n in range(count)]


class Ask:
    """Threads that ask for the double of their number, and the batches that were run."""

    def __init__(self, threads: int) -> None:
        self.batches = SharedBatches(threads)
        self.sizes: list[int] = []

    def double(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The network."""
        self.sizes.append(len(inputs))
        return 2 * inputs, inputs

    def often(self, number: int, times: int) -> list[float]:
        """What one thread gets."""
        inputs = torch.full((1, 2), float(number))
        try:
            return [float(self.batches.run(self.double, inputs)[0][0, 0]) for _ in range(times)]
        finally:
            self.batches.leave()


def test_each_thread_gets_its_own_outputs_of_one_batch() -> None:
    ask = Ask(3)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask.often, range(3), (2, 1, 3)))
    assert answers == [[0.0, 0.0], [2.0], [4.0, 4.0, 4.0]]
    assert ask.sizes == [3, 2, 1]


def test_inputs_of_other_shapes_run_on_their_own() -> None:
    ask = Ask(2)
    with ThreadPoolExecutor(2) as pool:
        shapes = [pool.submit(lambda n=n: ask.batches.run(ask.double, torch.zeros(1, n))[0].shape) for n in (2, 3)]
        assert [tuple(shape.result()) for shape in shapes] == [(1, 2), (1, 3)]
    assert ask.sizes == [1, 1]


def test_what_a_network_raises_reaches_every_thread() -> None:
    batches, failed = SharedBatches(2), []

    def fails(inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise RuntimeError(f"no room for {len(inputs)}")

    def ask() -> None:
        try:
            batches.run(fails, torch.zeros(1, 2))
        except RuntimeError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert failed == ["no room for 2", "no room for 2"]


def test_a_batch_that_runs_when_a_thread_leaves_keeps_no_gradients() -> None:
    batches, weight = SharedBatches(2), torch.nn.Parameter(torch.ones(2))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(batches.run, lambda inputs: (weight * inputs,), torch.ones(1, 2))
        batches.leave()
        (output,) = asked.result(10)
    assert not output.requires_grad


@pytest.mark.parametrize("together", [False, True])
def test_a_batch_has_the_points_of_its_images_alone(tmp_path: Path, together: bool) -> None:
    with_second_network(tmp_path)
    predictor = LandmarkPredictor(tmp_path / "a.pt", CPU)
    assert predictor.refinement is not None
    images, request = phantoms(3), PredictionRequest(requires_spine=False)
    run = predictor._predict_together if together else predictor.predict_batch
    for prediction, image in zip(run(images, request), images, strict=True):
        alone = predictor.predict(image, request)
        assert not isinstance(prediction, ValueError)
        np.testing.assert_allclose(prediction.spine.xy, alone.spine.xy, atol=0.01)
        np.testing.assert_allclose(prediction.spine.scores, alone.spine.scores, atol=1e-4)


@pytest.mark.parametrize("together", [False, True])
def test_a_refused_image_has_its_reason_in_its_place(tmp_path: Path, together: bool) -> None:
    sure = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, 5.0), CPU)
    blind = LandmarkPredictor(write_network(tmp_path / "b.pt", SMALL, -3.0), CPU)
    images = [noise(10, 10), noise(400, 150)]
    for predictor, spine in ((sure, True), (blind, False)):
        run = predictor._predict_together if together else predictor.predict_batch
        first, second = run(images)
        assert isinstance(first, UnreadableImageError)
        assert isinstance(second, NoSpineError) != spine
    assert sure.predict_batch([]) == []
