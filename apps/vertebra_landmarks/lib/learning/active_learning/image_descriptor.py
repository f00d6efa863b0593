"""What a trained model says about a radiograph for the choice of films."""

from __future__ import annotations

from ...image_io import Radiograph
from ..data.transforms import view
from ..prediction.predictor import LandmarkPredictor
from .descriptors import Opinion, opinions_of


def opinion_about(predictor: LandmarkPredictor, radiograph: Radiograph) -> Opinion:
    """Ask a model about the view that shows the spine best.

    Raises:
        UnreadableImageError: the image is too small, or all its pixels are equal.
        ValueError: the network has a single heatmap for all vertebrae.
    """
    image, shown = predictor.run_network(radiograph)
    pixels = view(image.radiograph.pixels, shown.matrix, predictor.config.input)[None].to(predictor.device)
    return opinions_of(predictor.network, predictor.codec, predictor.decoders["map"], pixels)[0]
