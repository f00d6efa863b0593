"""From one radiograph to one spine: the path that scripts and server share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..spine.geometry import steps, transform_points
from ..spine.schema import Spine
from .codec import LandmarkCodec, mirror_maps
from .config import load_config
from .corrections import naming
from .decoders import DECODERS, DecodedSpine, FixedLandmarks, make_decoder
from .devices import on_device, quick_precision
from .folding import fold_norms
from .image_io import Radiograph, UnreadableImageError
from .naming import naming_lead
from .network import Maps
from .refinement import RefinedSpine, Refinement
from .seen import FoundSpine, Look, SeenFilm
from .stopwatch import Stopwatch
from .transforms import fitting_matrix, spine_view, view
from .weights import build_network, build_refiner, load_weights

_SCORE_SLACK = 0.05  # by which a glance may be surer than the nearer look and still not be asked again

_MOST_LOOKS = 2  # for the sake of fixed points: the second where the first leaves out some that were in view before
_PLACES = 32  # along the longer side of the image: how exactly a look depends on where a fixed point is


class NoSpineError(ValueError):
    """The image is readable but shows no spine; the message says how sure that is."""


@dataclass(frozen=True)
class Prediction:
    """Landmarks of one image.

    Attributes:
        spine: all 85 points in pixels of the original image.
        spine_score: mean of the highest scores of the channels, the evidence that there is a spine at all.
        decoder: name of the decoder that chose them.
        seconds: duration of each stage by name.
        naming_lead: log score by which the names lead those one or more levels off; 0 for networks without names.
        said_errors: ``(V, P)`` what the second network says about errors, pixels; ``None`` where it was not asked,
            or where the decoded vertebrae lie in one place, so that there is nothing to ask about.
        names_right: chance in 0...1 that the names are right; ``None`` where that was not measured.
        tilt_half_widths: ``(V,)`` degrees; the 90 % interval of an angle between two vertebrae has the half width
            ``hypot`` of theirs; ``None`` where that was not measured.
    """

    spine: Spine
    spine_score: float
    decoder: str
    seconds: dict[str, float]
    naming_lead: float = 0.0
    said_errors: np.ndarray | None = None
    names_right: float | None = None
    tilt_half_widths: np.ndarray | None = None


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
        self.refinement, self.error_model = None, None
        if content.refiner is not None:
            self.error_model = content.refiner.errors
            refiner = on_device(fold_norms(build_refiner(content.refiner, weights)), device)
            self.refinement = Refinement(refiner, content.refiner.config, device)
        self.decoders = {name: make_decoder(name, self.codec, content.prior, config.map) for name in DECODERS}

    def see(self, radiograph: Radiograph, watch: Stopwatch | None = None) -> SeenFilm:
        """What the network says about an image, from which any number of corrections is predicted quickly.

        Args:
            radiograph: one image.
            watch: told how long it takes.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        return SeenFilm(self._best_look(radiograph, FixedLandmarks.none(), watch or Stopwatch()))

    def predict(
        self,
        radiograph: Radiograph,
        decoder: str = DECODERS[0],
        fixed: FixedLandmarks | None = None,
        seen: SeenFilm | None = None,
        watch: Stopwatch | None = None,
    ) -> Prediction:
        """Find the landmarks of an image that shows a spine.

        What is fixed is a correction of what is predicted without it: bodies that the correction leaves where they were
        are not looked at again, and keep their corners whatever their names are now. Then free corners are moved by
        what the errors of the fixed points say about theirs, where that was measured (``ErrorCorrelations``).

        Args:
            radiograph: one image.
            decoder: one of ``DECODERS``.
            fixed: points that must stay, in pixels of the image; where there are any, there is a spine.
            seen: what ``see`` made of this image, to be quick; the result is the same without.
            watch: told how long it takes; it may have begun with ``see``.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            NoSpineError: it shows no spine.
            KeyError: there is no such decoder.
        """
        fixed, watch = fixed or FixedLandmarks.none(), watch or Stopwatch()
        seen = self._showing(radiograph, seen or self.see(radiograph, watch), fixed, watch)
        score = seen.look.score
        if not (score >= self.limits.min_spine_score or fixed.mask.any()):
            raise NoSpineError(
                f"no spine was found: the mean score of the 17 centers is {score:.2f}, "
                f"at least {self.limits.min_spine_score:.2f} is expected of a radiograph that shows T1 to L5"
            )
        return self._predicted(radiograph, seen, decoder, fixed, watch)

    def locate(
        self, radiograph: Radiograph, decoder: str = DECODERS[0], fixed: FixedLandmarks | None = None
    ) -> Prediction:
        """The most likely landmarks, however unlikely that the image shows a spine.

        Args:
            radiograph: one image.
            decoder: one of ``DECODERS``.
            fixed: points that must stay, in pixels of the image.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            KeyError: there is no such decoder.
        """
        return self.compare(radiograph, (decoder,), fixed)[decoder]

    def compare(
        self, radiograph: Radiograph, decoders: Sequence[str] = DECODERS, fixed: FixedLandmarks | None = None
    ) -> dict[str, Prediction]:
        """What several decoders make of the same maps, however unlikely that the image shows a spine.

        Args:
            radiograph: one image.
            decoders: some of ``DECODERS``.
            fixed: points that must stay, in pixels of the image.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            KeyError: there is no such decoder.
        """
        fixed, watch = fixed or FixedLandmarks.none(), Stopwatch()
        seen = self._showing(radiograph, self.see(radiograph, watch), fixed, watch)
        return {name: self._predicted(radiograph, seen, name, fixed, watch) for name in decoders}

    def _showing(self, radiograph: Radiograph, seen: SeenFilm, fixed: FixedLandmarks, watch: Stopwatch) -> SeenFilm:
        """What was seen of an image, or what is seen where points are fixed outside of that look.

        Which look it is depends on where these points are about, so that it is the same again for those that follow,
        and on nothing that was asked before. Of points beside the image the nearest place on it is looked at.
        """
        size = np.array([radiograph.width, radiograph.height])
        places = FixedLandmarks(np.clip(fixed.xy, 0, size - 1))
        found, beside = seen, np.zeros(fixed.mask.shape, bool)
        for _ in range(_MOST_LOOKS):
            hidden = fixed.mask & ~beside & ~found.look.shows(places, self.config.input)
            if not hidden.any():
                break
            beside |= hidden
            grid = size.max() / _PLACES
            about = FixedLandmarks(np.clip(np.round(places.only(beside).xy / grid) * grid, 0, size - 1))
            key = about.xy.tobytes()
            if key not in seen.wider:
                seen.keep_wider(key, SeenFilm(self._best_look(radiograph, about, watch)))
            found = seen.wider[key]
        return found

    def _predicted(
        self, radiograph: Radiograph, seen: SeenFilm, decoder: str, fixed: FixedLandmarks, watch: Stopwatch
    ) -> Prediction:
        """What one decoder, and the second network after it, make of a look."""
        if decoder not in seen.found:
            seen.found[decoder] = self._found(radiograph, seen.look, decoder, FixedLandmarks.none(), None, watch)
        found = seen.found[decoder]
        if fixed.mask.any():
            found = self._found(radiograph, seen.look, decoder, fixed, found.refined, watch)
        told = self._told(seen.look, found, fixed)
        watch.stop("decode")
        return replace(told, decoder=decoder, seconds=dict(watch.seconds))

    def _found(
        self,
        radiograph: Radiograph,
        look: Look,
        decoder: str,
        fixed: FixedLandmarks,
        before: RefinedSpine | None,
        watch: Stopwatch,
    ) -> FoundSpine:
        """Points around the fixed ones.

        Args:
            radiograph: one image.
            look: at it.
            decoder: one of ``DECODERS``.
            fixed: points that must stay.
            before: what was found without them.
            watch: told how long it takes.
        """
        named = fixed if before is None else naming(fixed, before.xy[:, 0], before.decoded)
        decoded = self._decode(decoder, look, named)
        watch.stop("decode")
        refined = None
        if self.refinement is not None and self.limits.refinement:
            refined = self.refinement.refine(radiograph.pixels, decoded.xy, fixed, self.limits, watch, before)
        return FoundSpine(DecodedSpine(fixed.applied_to(decoded.xy), decoded.scores), refined)

    def _told(self, look: Look, found: FoundSpine, fixed: FixedLandmarks) -> Prediction:
        """The prediction with what is known about its errors, nameless and timeless."""
        decoded, refined = found
        told = Prediction(Spine.from_arrays(decoded.xy, decoded.scores), look.score, "", {})
        if look.maps.heatmap.shape[1] > 1:
            told = replace(told, naming_lead=naming_lead(self._scores_at(look, decoded.xy[:, 0])))
        if refined is None:
            return told
        if self.error_model is None:
            return replace(told, spine=Spine.from_arrays(refined.xy, decoded.scores), said_errors=refined.errors)
        step = float(steps(refined.xy[:, 0]).mean())
        xy, local = refined.xy, self.error_model.local(refined.errors, step)
        correlations = self.error_model.correlations
        if correlations is not None and self.limits.propagation and fixed.mask.any():
            xy, left = correlations.moved(xy, refined.shown, local, fixed)
            local = local * left
        local = np.where(fixed.known, 0.0, local)
        misnamed = 0.0 if fixed.mask.any() else self.error_model.misnamed(told.naming_lead)
        return replace(
            told,
            spine=Spine.from_arrays(xy, decoded.scores, np.where(fixed.known, np.nan, local)),
            said_errors=refined.errors,
            names_right=1.0 - misnamed,
            tilt_half_widths=self.error_model.tilt_half_widths(xy, local),
        )

    def scores_at(self, radiograph: Radiograph, points: np.ndarray) -> np.ndarray:
        """What the network thinks of the names of given centers.

        Args:
            radiograph: one image.
            points: ``(N, 2)`` pixels of the image.

        Returns:
            ``(V, N)`` highest score of each channel in the 3 x 3 cells around each point; 0 outside the view.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        return self._scores_at(self._best_look(radiograph, FixedLandmarks.none(), Stopwatch()), points)

    def _scores_at(self, look: Look, points: np.ndarray) -> np.ndarray:
        around = torch.nn.functional.max_pool2d(look.maps.heatmap, 3, stride=1, padding=1)[0].numpy()
        h, w = around.shape[1:]
        x, y = np.round((transform_points(look.matrix, points) + 0.5) / self.codec.stride - 0.5).astype(int).T
        is_inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        scores: np.ndarray = around[:, np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)] * is_inside
        return scores

    def _best_look(self, radiograph: Radiograph, fixed: FixedLandmarks, watch: Stopwatch) -> Look:
        """The spine, enlarged, where a glance at the whole image has seen it; the whole image if it shows it better.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        self._check(radiograph)
        matrix = fitting_matrix(radiograph.height, radiograph.width, self.config.input)
        if not self.limits.second_look:
            return self._look(radiograph, matrix, watch)
        glance = self._look(radiograph, matrix, watch, is_glance=True)
        centers = self._decode(DECODERS[0], glance, fixed).xy[:, 0]
        watch.stop("decode")
        span, margin = self.limits.second_look_span, self.limits.second_look_margin
        nearer = self._look(radiograph, spine_view(centers, span, margin, self.config.input), watch)
        if nearer.score >= max(glance.score - _SCORE_SLACK, self.limits.min_spine_score):
            return nearer
        return max(nearer, self._look(radiograph, matrix, watch), key=lambda look: look.score)

    def _decode(self, decoder: str, look: Look, fixed: FixedLandmarks) -> DecodedSpine:
        """Points in pixels of the image."""
        decoded = self.decoders[decoder].decode(look.maps, fixed.moved(look.matrix))
        xy = transform_points(np.linalg.inv(look.matrix), decoded.xy)
        return DecodedSpine(fixed.applied_to(xy), decoded.scores)

    def _look(self, radiograph: Radiograph, matrix: np.ndarray, watch: Stopwatch, is_glance: bool = False) -> Look:
        """Ask the network about what a view ``(3, 3)`` of the image shows; a glance is quicker and less exact."""
        image = view(radiograph.pixels, matrix, self.config.input, is_glance)
        watch.stop("prepare")
        precision = quick_precision(self.device) if is_glance else nullcontext()
        with torch.inference_mode(), precision:
            maps = self._maps(image[None].to(self.device), self.limits.mirror and not is_glance)
        watch.stop("forward")
        look = Look(maps, matrix, float(self.codec.decode(maps).scores.mean()))
        watch.stop("decode")
        return look

    def _maps(self, image: torch.Tensor, mirror: bool) -> Maps:
        """Maps of one image ``(1, 1, H, W)``, on the CPU, heatmap in 0...1."""
        if mirror:
            image = torch.cat([image, image.flip(-1)])
        maps = Maps(*(m.float().cpu() for m in self.network(image.to(memory_format=torch.channels_last))))
        maps = maps._replace(heatmap=maps.heatmap.sigmoid())
        if not mirror:
            return maps
        plain, mirrored = Maps(*(m[:1] for m in maps)), mirror_maps(Maps(*(m[1:] for m in maps)))
        return Maps(*((a + b) / 2 for a, b in zip(plain, mirrored, strict=True)))

    def _check(self, radiograph: Radiograph) -> None:
        height, width = radiograph.height, radiograph.width
        if min(height, width) < self.limits.min_shorter_side or max(height, width) < self.limits.min_longer_side:
            raise UnreadableImageError(
                f"the image has {width} x {height} pixels; at least {self.limits.min_shorter_side} on the shorter and "
                f"{self.limits.min_longer_side} on the longer side are needed"
            )
        if radiograph.pixels.min() == radiograph.pixels.max():
            raise UnreadableImageError("all pixels of the image have the same value: there is nothing to see")
