"""Descriptors of images: of the shipped model, and of a network that knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib.image_io import Radiograph
from lib.learning.active_learning import describe_images
from lib.learning.active_learning.anatomy import anatomy_score
from lib.learning.active_learning.descriptors import describe_image
from lib.learning.codec import LandmarkCodec
from lib.learning.config import DEFAULT_WEIGHTS_FILE, NetworkConfig, load_config
from lib.learning.decoders import make_decoder
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.phantoms import random_spec, random_spineless, render_phantom
from lib.spine.chain_prior import DEFAULT_PRIOR
from lib.spine.schema import VERTEBRAE

pytestmark = pytest.mark.usefixtures("torch_as_before")

CONFIG = load_config()
CODEC = LandmarkCodec(CONFIG.codec)
DECODER = make_decoder("map", CODEC, DEFAULT_PRIOR, CONFIG.map)


def blank(channels: int) -> LandmarkNet:
    """A network whose heatmaps are even, whatever it sees."""
    torch.manual_seed(0)
    network = LandmarkNet(
        NetworkConfig(
            preset="w18_small", head_channels=8, context_layers=0, squeeze_excitation=False, heatmap_channels=channels
        )
    ).eval()
    torch.nn.init.zeros_(network.heatmap[-1].get_parameter("weight"))
    return network


def test_an_image_with_a_spine_is_surer_and_more_plausible_than_one_without() -> None:
    predictor = LandmarkPredictor(DEFAULT_WEIGHTS_FILE, torch.device("cpu"))
    phantom = describe_image(predictor, Radiograph(render_phantom(random_spec(1, 640, 300)).pixels))
    nothing = describe_image(predictor, Radiograph(random_spineless(0, 640, 300)))
    assert phantom.uncertainty < nothing.uncertainty
    assert anatomy_score(phantom) < anatomy_score(nothing)
    assert phantom.features.shape == nothing.features.shape
    np.testing.assert_allclose(phantom.shape.mean(0), 0, atol=1e-9)
    assert np.linalg.norm(np.diff(phantom.shape, axis=0), axis=1).mean() == pytest.approx(1.0)


def test_a_network_that_knows_nothing_has_even_heatmaps() -> None:
    said = describe_images(blank(len(VERTEBRAE)), CODEC, DECODER, torch.rand(2, 1, 128, 64))
    assert [descriptor.entropy for descriptor in said] == pytest.approx([1.0, 1.0])
    assert all(0 <= descriptor.disagreement <= 1 and descriptor.margin >= 0 for descriptor in said)
    assert all(descriptor.violations > 0 for descriptor in said)  # all points lie at one place


def test_images_are_judged_one_by_one() -> None:
    network, images = blank(len(VERTEBRAE)), torch.rand(3, 1, 128, 64)
    together = describe_images(network, CODEC, DECODER, images)
    alone = describe_images(network, CODEC, DECODER, images[1:2])[0]
    np.testing.assert_allclose(alone.features, together[1].features, rtol=1e-3, atol=1e-3)
    assert alone.disagreement == pytest.approx(together[1].disagreement, abs=1e-4)
    assert np.abs(together[0].features - together[1].features).max() > 1e-4


def test_a_single_heatmap_says_too_little() -> None:
    with pytest.raises(ValueError, match="choosing images needs 17 heatmaps, the network has 1"):
        describe_images(blank(1), CODEC, DECODER, torch.rand(1, 1, 128, 64))
