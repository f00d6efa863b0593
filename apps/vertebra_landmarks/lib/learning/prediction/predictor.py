"""From one radiograph to one prediction: the stages in their order, shared by scripts and server."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch

from ...image_io import Radiograph, UnreadableImageError
from ...spine.geometry import transform_points
from ..codec import LandmarkCodec
from ..config import load_config
from ..decoders import DECODERS, DEFAULT_DECODER, DecodedSpine, FixedLandmarks, make_decoder
from ..models.corner_net import CornerNet
from ..models.devices import fold_norms, on_device
from ..models.landmark_net import LandmarkNet
from ..weights.weight_files import build_corner_net, build_network, load_weights
from .batching import BatchedCornerNet, BatchedLandmarkNet, SharedBatches
from .corrections import snap_to_bodies
from .network_runner import NetworkRunner
from .network_view import NetworkView
from .refinement import RefinedSpine, Refinement
from .request import PredictionCache, PredictionRequest, SpineEstimate
from .result import Prediction, build_prediction
from .timer import Timer
from .upright import UprightImage, UprightTurn


class NoSpineError(ValueError):
    """The image is readable but shows no spine; the message says how sure that is."""


class LandmarkPredictor:
    """A trained network, ready to predict; safe to call from several threads.

    The network, its input size and its codec are as it was trained; what counts as an image and as a spine is taken
    from the app's present configuration.

    Args:
        weights: weight file.
        device: where to compute.

    Raises:
        ValueError: the file is no weight file of this project.
        OSError: the file cannot be read.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        content = load_weights(weights)
        config = load_config()
        self.config = content.config
        self.facts = content.facts
        self.limits = config.prediction
        self.device = device
        self.network = on_device(fold_norms(build_network(content, weights)), device)
        self.codec = LandmarkCodec(self.config.codec)
        self.refinement, self.error_model, self.errors_decoder = None, None, DEFAULT_DECODER
        if content.refiner is not None:
            self.error_model, self.errors_decoder = content.refiner.errors, content.refiner.errors_decoder
            corner_network = on_device(fold_norms(build_corner_net(content.refiner, weights)), device)
            self.refinement = Refinement(corner_network, content.refiner.config, device)
        self.decoders = {name: make_decoder(name, self.codec, content.prior, config.map) for name in DECODERS}

    def predict(self, radiograph: Radiograph, request: PredictionRequest | None = None) -> Prediction:
        """Find the landmarks of an image that shows a spine.

        The networks see the image upright, as its file says or as the spine in it stands; points are in stored pixels.

        What is fixed is a correction of what is predicted without it: bodies that the correction leaves where they were
        are not refined again, and keep their corners whatever their names are now. Then free corners are moved by
        what the errors of the fixed points say about theirs, where that was measured (``ErrorCorrelations``).

        Nothing is said of expected errors, names and angles of another decoder than they were measured with.

        Args:
            radiograph: one image.
            request: decoder, fixed landmarks and cache.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            NoSpineError: it shows no spine, and the request requires one.
            KeyError: there is no such decoder.
        """
        request, timer = request or PredictionRequest(), Timer()
        cache = PredictionCache() if request.cache is None else request.cache
        runner = self._runner(timer)
        image, view = runner.run(radiograph, cache)  # upright, and its best view with maps
        fixed = image.fixed(request.fixed)
        view = runner.view_covering(fixed, image, view, cache)
        if request.requires_spine and not fixed.mask.any():
            _check_spine(view, image.turn, self.limits.min_spine_score)
        decode_and_refine = partial(self._decode_and_refine, image, view, request.decoder, timer)
        spine = cache.free_spine(view, request.decoder, lambda: decode_and_refine(FixedLandmarks.none()))
        if fixed.mask.any():
            spine = decode_and_refine(fixed, spine.refined)
        model = self.error_model if request.decoder == self.errors_decoder else None
        return build_prediction(image, view, spine, request, model, self.limits.propagation, timer)

    def predict_batch(
        self, radiographs: Sequence[Radiograph], request: PredictionRequest | None = None
    ) -> list[Prediction | UnreadableImageError | NoSpineError]:
        """Predict several images; see ``predict``.

        On a GPU they go through the networks as one batch, and memory must suffice for that; on a CPU, where a batch
        takes as long as its images, one after the other.

        Args:
            radiographs: images.
            request: decoder, and whether a spine is required; it has neither fixed landmarks nor a cache.

        Returns:
            Of each image the prediction, or the error that refuses it.

        Raises:
            KeyError: there is no such decoder.
        """
        if self.device.type == "cpu":
            return [self._prediction_or_refusal(radiograph, request) for radiograph in radiographs]
        return self._predict_together(radiographs, request)

    def _predict_together(
        self, radiographs: Sequence[Radiograph], request: PredictionRequest | None = None
    ) -> list[Prediction | UnreadableImageError | NoSpineError]:
        """Every image in a thread of its own; what the threads ask of the networks goes through them as one batch."""
        batches, together = SharedBatches(len(radiographs)), copy.copy(self)
        together.network = cast(LandmarkNet, BatchedLandmarkNet(self.network, batches))  # called alike
        if self.refinement is not None:
            corner_network = BatchedCornerNet(self.refinement.network, batches)
            together.refinement = replace(self.refinement, network=cast(CornerNet, corner_network))

        def one(radiograph: Radiograph) -> Prediction | UnreadableImageError | NoSpineError:
            try:
                return together._prediction_or_refusal(radiograph, request)
            finally:
                batches.leave()

        with ThreadPoolExecutor(max(1, len(radiographs)), thread_name_prefix="predict-image") as pool:
            return list(pool.map(one, radiographs))

    def _prediction_or_refusal(
        self, radiograph: Radiograph, request: PredictionRequest | None
    ) -> Prediction | UnreadableImageError | NoSpineError:
        try:
            return self.predict(radiograph, request)
        except (UnreadableImageError, NoSpineError) as error:
            return error

    def locate(
        self, radiograph: Radiograph, decoder: str = DEFAULT_DECODER, fixed: FixedLandmarks | None = None
    ) -> Prediction:
        """The most likely landmarks, however unlikely that the image shows a spine; see ``predict``."""
        return self.compare(radiograph, (decoder,), fixed)[decoder]

    def compare(
        self, radiograph: Radiograph, decoders: Iterable[str] = DECODERS, fixed: FixedLandmarks | None = None
    ) -> dict[str, Prediction]:
        """What several decoders find in the same maps, however unlikely that the image shows a spine; see ``predict``.

        The first one's times include the network's.
        """
        request = PredictionRequest(fixed=fixed or FixedLandmarks.none(), cache=PredictionCache(), requires_spine=False)
        return {name: self.predict(radiograph, replace(request, decoder=name)) for name in decoders}

    def run_network(
        self, radiograph: Radiograph, cache: PredictionCache | None = None
    ) -> tuple[UprightImage, NetworkView]:
        """The first stages alone: the upright image, and the view that shows its spine best.

        Args:
            radiograph: one image.
            cache: of this image, filled so that predictions follow quickly.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        return self._runner(Timer()).run(radiograph, PredictionCache() if cache is None else cache)

    def scores_at(self, radiograph: Radiograph, points: np.ndarray) -> np.ndarray:
        """What the network thinks of the names of given centers.

        Args:
            radiograph: one image.
            points: ``(N, 2)`` stored pixels.

        Returns:
            ``(V, N)`` highest score of each channel in the 3 x 3 cells around each point; 0 outside the view.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        image, view = self.run_network(radiograph)
        return view.scores_at(transform_points(image.matrix, points))

    def _runner(self, timer: Timer) -> NetworkRunner:
        decoder = self.decoders[DEFAULT_DECODER]
        return NetworkRunner(self.network, self.codec, decoder, self.config.input, self.limits, self.device, timer)

    def _decode_and_refine(
        self,
        image: UprightImage,
        view: NetworkView,
        decoder: str,
        timer: Timer,
        fixed: FixedLandmarks,
        free: RefinedSpine | None = None,
    ) -> SpineEstimate:
        """The spine around fixed points, in upright pixels, given the one that was refined without them."""
        anchors = fixed if free is None else snap_to_bodies(fixed, free.xy[:, 0], free.decoded)
        decoded = view.decode(self.decoders[decoder], anchors)
        timer.lap("decode")
        refined = None
        if self.refinement is not None and self.limits.refinement:
            refined = self.refinement.refine(image.radiograph.pixels, decoded.xy, fixed, self.limits, timer, free)
        return SpineEstimate(DecodedSpine(fixed.applied_to(decoded.xy), decoded.scores), refined)


def _check_spine(view: NetworkView, turn: UprightTurn, min_score: float) -> None:
    if view.score >= min_score:
        return
    angles = [f"{further.turn_deg}°" for further in turn.tested]
    listed = " and ".join(part for part in (", ".join(angles[:-1]), *angles[-1:]) if part)
    raise NoSpineError(
        f"no spine was found: the mean score of the 17 centers is {view.score:.2f}, "
        f"at least {min_score:.2f} is expected of a radiograph that shows T1 to L5"
        + (f"; it was looked for in the image turned by {listed}, too" if listed else "")
    )
