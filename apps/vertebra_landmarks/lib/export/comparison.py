"""Whether exported networks predict the same points, and how long they take."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ..image_io import Radiograph
from ..learning.prediction.predictor import LandmarkPredictor
from ..phantoms import random_spec, render_phantom
from .networks import ExportableNetwork, NetworkFunction, exportable_networks, with_functions

MAX_DIFFERENCE_PX = 0.05
"""Pixels of the image by which a point may differ."""
_SEED, _SIZE = 7_000, (1200, 600)


def phantoms(count: int) -> Iterator[Radiograph]:
    """Generated radiographs, always the same."""
    for number in range(count):
        yield Radiograph(render_phantom(random_spec(_SEED + number, *_SIZE)).pixels)


def points_of(predictor: LandmarkPredictor, radiograph: Radiograph) -> np.ndarray:
    """``(V, P, 2)`` of the most likely spine, in stored pixels."""
    return np.asarray(predictor.locate(radiograph).spine.xy)


def largest_difference(
    predictor: LandmarkPredictor, functions: Mapping[str, Mapping[str, NetworkFunction]], count: int
) -> dict[str, float]:
    """How far points move when other functions take the networks' place, in pixels of phantoms.

    Args:
        predictor: on the CPU; its networks are called in single precision.
        functions: by format and by name of the network, see ``with_functions``.
        count: of phantoms.

    Returns:
        Of each format the largest distance over all points and phantoms.
    """
    reference = with_functions(predictor, {network.name: network.run for network in exportable_networks(predictor)})
    others = {name: with_functions(predictor, dict(named)) for name, named in functions.items()}
    largest = dict.fromkeys(others, 0.0)
    for radiograph in phantoms(count):
        expected = points_of(reference, radiograph)
        for name, other in others.items():
            largest[name] = max(largest[name], _largest_distance(points_of(other, radiograph), expected))
    return largest


def _largest_distance(points: np.ndarray, expected: np.ndarray) -> float:
    """Over points ``(V, P, 2)``; infinite where one has a point that the other lacks."""
    apart = np.linalg.norm(points - expected, axis=-1)
    apart[np.isnan(points).any(-1) & np.isnan(expected).any(-1)] = 0.0
    return float(np.nan_to_num(apart, nan=np.inf).max())


def processor_seconds(
    network: ExportableNetwork, functions: Mapping[str, NetworkFunction], batch: int, rounds: int
) -> dict[str, float]:
    """Median processor seconds of each function for one batch; they take turns, so that other work slows all alike.

    Args:
        network: whose functions these are.
        functions: by name, on one thread.
        batch: size.
        rounds: how often each is run, after once that does not count.
    """
    inputs = network.example(batch).numpy()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            begin = time.process_time()
            function(inputs)
            if number:
                seconds[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def bfloat16_function(network: ExportableNetwork) -> NetworkFunction:
    """The network as predictions call it on processors with bfloat16."""

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            image = torch.from_numpy(batch).to(memory_format=torch.channels_last)
            return [output.float().numpy() for output in network.module(image)]

    return run


def load_average() -> float:
    """Processes that want a processor, over the last minute; NaN where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
