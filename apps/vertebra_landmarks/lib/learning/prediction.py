"""From one radiograph to one spine: the path that scripts and server share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..spine.geometry import steps, transform_points
from ..spine.image_frame import ImageFrame
from ..spine.image_warnings import ImageWarning, measurement_warnings, not_frontal_warning
from ..spine.orientation import UPRIGHT, Orientation
from ..spine.reader_error import corrected_half_widths
from ..spine.schema import Spine
from .codec import LandmarkCodec, mirror_maps
from .config import load_config
from .corrections import naming
from .decoders import DECODERS, DecodedSpine, FixedLandmarks, make_decoder
from .devices import on_device, quick_precision
from .folding import fold_norms
from .frontal import body_aspect, may_be_lateral
from .image_io import Radiograph, UnreadableImageError
from .naming import names_evidence
from .network import Maps
from .refinement import RefinedSpine, Refinement
from .second_spine import cells_of_spine, is_second_spine, within
from .seen import FoundSpine, Look, SeenFilm
from .stopwatch import Stopwatch
from .transforms import fitting_matrix, spine_view, view
from .uncertainty import ErrorModel
from .upright import FOUND, NOT_STATED, UprightImage, UprightTurn, chosen_turn, stated_turn, turns_to_test
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
        spine: all 85 points in stored pixels. Those that the image does not show, off its border or on a body that is
            mostly beyond it, are not visible; their scores are 0 unless they are fixed.
        spine_score: mean of the highest scores of the channels, the evidence that there is a spine at all.
        decoder: name of the decoder that chose them.
        seconds: duration of each stage by name.
        naming_lead: how much speaks for the names (``naming.names_evidence``); 0 for networks without names.
        said_errors: ``(V, P)`` what the second network says about errors, pixels; ``None`` where it was not asked,
            or where the decoded vertebrae lie in one place, so that there is nothing to ask about.
        names_right: chance in 0...1 that the names are right; ``None`` where that was not measured.
        tilt_half_widths: ``(V,)`` degrees; the 90 % interval of an angle between two vertebrae has the half width
            ``hypot`` of theirs; NaN where that is not known, ``None`` where nothing is. Vertebrae with fixed corners
            have a reader's error (``reader_error``).
        frame: of the image, with the orientation that was used: what measuring needs.
        orientation_source: who says how the image stands: a tag or header of the file with its value, "found in the
            image" or "not stated".
        warnings: all reasons to doubt what is measured from the points.
    """

    spine: Spine
    spine_score: float
    decoder: str
    seconds: dict[str, float]
    frame: ImageFrame
    orientation_source: str = NOT_STATED
    naming_lead: float = 0.0
    said_errors: np.ndarray | None = None
    names_right: float | None = None
    tilt_half_widths: np.ndarray | None = None
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def orientation(self) -> Orientation:
        """How the stored raster was brought upright."""
        return self.frame.orientation or UPRIGHT


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
        watch = watch or Stopwatch()
        self._check(radiograph)
        turn, glance = self._upright_glance(radiograph, watch)
        upright = radiograph.upright(turn.orientation)
        return SeenFilm(self._best_look(upright, FixedLandmarks.none(), watch, glance), turn)

    def _upright_glance(self, radiograph: Radiograph, watch: Stopwatch) -> tuple[UprightTurn, Look]:
        """How an image is brought upright, and a glance at it so.

        Where the glance is not sure, the spine is looked for in other turns as well.
        """
        turn = stated_turn(radiograph)
        glance = self._glance(radiograph.upright(turn.orientation), watch)
        others = {
            further: self._glance(radiograph.upright(turn.orientation.followed_by(further)), watch)
            for further in turns_to_test(glance.score, self.limits.min_spine_score)
        }
        if not others:
            return turn, glance
        chosen = chosen_turn(turn, glance.score, {further: other.score for further, other in others.items()})
        if chosen.source == FOUND:
            glance = max(others.values(), key=lambda other: other.score)
        return chosen, glance

    def predict(
        self,
        radiograph: Radiograph,
        decoder: str = DECODERS[0],
        fixed: FixedLandmarks | None = None,
        seen: SeenFilm | None = None,
        watch: Stopwatch | None = None,
    ) -> Prediction:
        """Find the landmarks of an image that shows a spine.

        The networks see the image upright, as its file says or as the spine in it stands; points are in stored pixels.

        What is fixed is a correction of what is predicted without it: bodies that the correction leaves where they were
        are not looked at again, and keep their corners whatever their names are now. Then free corners are moved by
        what the errors of the fixed points say about theirs, where that was measured (``ErrorCorrelations``).

        Args:
            radiograph: one image.
            decoder: one of ``DECODERS``.
            fixed: points that must stay, in stored pixels; where there are any, there is a spine.
            seen: what ``see`` made of this image, to be quick; the result is the same without.
            watch: told how long it takes; it may have begun with ``see``.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            NoSpineError: it shows no spine.
            KeyError: there is no such decoder.
        """
        fixed, watch = fixed or FixedLandmarks.none(), watch or Stopwatch()
        seen = seen or self.see(radiograph, watch)
        image = UprightImage(radiograph, seen.turn)
        seen = self._showing(image, seen, fixed, watch)
        score = seen.look.score
        if not (score >= self.limits.min_spine_score or fixed.mask.any()):
            raise NoSpineError(
                f"no spine was found: the mean score of the 17 centers is {score:.2f}, "
                f"at least {self.limits.min_spine_score:.2f} is expected of a radiograph that shows T1 to L5"
                f"{_tested(seen.turn)}"
            )
        return self._predicted(image, seen, decoder, fixed, watch)

    def locate(
        self, radiograph: Radiograph, decoder: str = DECODERS[0], fixed: FixedLandmarks | None = None
    ) -> Prediction:
        """The most likely landmarks, however unlikely that the image shows a spine.

        Args:
            radiograph: one image.
            decoder: one of ``DECODERS``.
            fixed: points that must stay, in stored pixels.

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
            fixed: points that must stay, in stored pixels.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            KeyError: there is no such decoder.
        """
        fixed, watch = fixed or FixedLandmarks.none(), Stopwatch()
        seen = self.see(radiograph, watch)
        image = UprightImage(radiograph, seen.turn)
        seen = self._showing(image, seen, fixed, watch)
        return {name: self._predicted(image, seen, name, fixed, watch) for name in decoders}

    def _showing(self, image: UprightImage, seen: SeenFilm, fixed: FixedLandmarks, watch: Stopwatch) -> SeenFilm:
        """What was seen of an image, or what is seen where points are fixed outside of that look.

        Which look it is depends on where these points are about, so that it is the same again for those that follow,
        and on nothing that was asked before. Of points beside the image the nearest place on it is looked at.
        """
        radiograph, fixed = image.radiograph, image.fixed(fixed)
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
                look = self._best_look(radiograph, about, watch, self._glance(radiograph, watch))
                seen.keep_wider(key, SeenFilm(look, seen.turn))
            found = seen.wider[key]
        return found

    def _predicted(
        self, image: UprightImage, seen: SeenFilm, decoder: str, fixed: FixedLandmarks, watch: Stopwatch
    ) -> Prediction:
        """What one decoder, and the second network after it, make of a look."""
        radiograph = image.radiograph
        if decoder not in seen.found:
            seen.found[decoder] = self._found(radiograph, seen.look, decoder, FixedLandmarks.none(), None, watch)
        found = seen.found[decoder]
        if fixed.mask.any():
            found = self._found(radiograph, seen.look, decoder, image.fixed(fixed), found.refined, watch)
        told = self._told(image, seen, found, fixed)
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
            radiograph: one upright image.
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

    def _told(self, image: UprightImage, seen: SeenFilm, found: FoundSpine, fixed: FixedLandmarks) -> Prediction:
        """The prediction with what is known about its errors and its doubts, nameless and timeless."""
        decoded, refined = found
        xy, errors, frame = decoded.xy, None, image.frame
        told = Prediction(Spine.from_arrays(xy), seen.look.score, "", {}, frame, seen.turn.source)
        scores = self._scores_at(seen.look, xy[:, 0])
        if len(seen.look.maps.heatmap[0]) > 1:
            size = (image.radiograph.width, image.radiograph.height)
            is_visible: np.ndarray = np.all((xy[:, 0] >= 0) & (xy[:, 0] < size), axis=1)
            told = replace(told, naming_lead=names_evidence(scores, is_visible))
        if refined is not None:
            xy = refined.xy
            told = replace(told, said_errors=refined.errors)
            if self.error_model is not None:
                xy, errors, told = self._with_errors(self.error_model, told, refined, image.fixed(fixed))
        spine = image.spine(xy, decoded.scores, errors, fixed)
        about_image = [*image.stored.warnings, *seen.warnings]
        visible = spine.visible[:, 0]
        if not fixed.mask.any() and may_be_lateral(scores.max(0)[visible], xy[visible]):
            about_image.append(not_frontal_warning(body_aspect(xy[visible])))
        warnings = measurement_warnings(spine, frame, told.names_right, about_image)
        return replace(told, spine=spine, warnings=warnings)

    def _with_errors(
        self, model: ErrorModel, told: Prediction, refined: RefinedSpine, fixed: FixedLandmarks
    ) -> tuple[np.ndarray, np.ndarray, Prediction]:
        """Points ``(V, P, 2)`` and their expected errors ``(V, P)`` in upright pixels, and what else a model tells."""
        step = float(steps(refined.xy[:, 0]).mean())
        xy, local = refined.xy, model.local(refined.errors, step)
        if model.correlations is not None and self.limits.propagation and fixed.mask.any():
            xy, left = model.correlations.moved(xy, refined.shown, local, fixed)
            local = local * left
        misnamed = 0.0 if fixed.mask.any() else model.misnamed(told.naming_lead)
        widths = corrected_half_widths(model.tilt_half_widths(xy, local), fixed.mask[:, 1:])
        told = replace(told, names_right=1.0 - misnamed, tilt_half_widths=widths)
        return xy, np.where(fixed.known, np.nan, local), told

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
        seen = self.see(radiograph)
        return self.scores_of(seen, transform_points(UprightImage(radiograph, seen.turn).matrix, points))

    def scores_of(self, seen: SeenFilm, points: np.ndarray) -> np.ndarray:
        """What ``scores_at`` tells of an image that was seen, for points ``(N, 2)`` in pixels of the upright image."""
        return self._scores_at(seen.look, points)

    def _scores_at(self, look: Look, points: np.ndarray) -> np.ndarray:
        around = torch.nn.functional.max_pool2d(look.maps.heatmap, 3, stride=1, padding=1)[0].numpy()
        h, w = around.shape[1:]
        x, y = np.round((transform_points(look.matrix, points) + 0.5) / self.codec.stride - 0.5).astype(int).T
        is_inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        scores: np.ndarray = around[:, np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)] * is_inside
        return scores

    def _best_look(self, radiograph: Radiograph, fixed: FixedLandmarks, watch: Stopwatch, glance: Look) -> Look:
        """The spine, enlarged, where a glance at the whole upright image has seen it; or that if it shows it better.

        Of an image that shows two spines, the look is restricted to one.
        """
        centers = self._decode(DECODERS[0], glance, fixed).xy[:, 0]
        cells = self._cells_of_spine(glance, centers)
        has_second = is_second_spine(glance.maps, cells)
        if has_second:
            glance = self._restricted(glance, centers)
            centers = self._decode(DECODERS[0], glance, fixed).xy[:, 0]
        watch.stop("decode")
        if not self.limits.second_look:
            return glance
        span, margin = self.limits.second_look_span, self.limits.second_look_margin
        looks = [self._look(radiograph, spine_view(centers, span, margin, self.config.input), watch)]
        if looks[0].score < max(glance.score - _SCORE_SLACK, self.limits.min_spine_score):
            looks.append(self._look(radiograph, glance.matrix, watch))
        if has_second:
            looks = [self._restricted(look, centers) for look in looks]
        return max(looks, key=lambda look: look.score)

    def _cells_of_spine(self, look: Look, centers: np.ndarray) -> np.ndarray:
        """Cells ``(h, w)`` of a look that belong to the spine with centers ``(V, 2)``, upright pixels."""
        cells = (transform_points(look.matrix, centers) + 0.5) / self.codec.stride - 0.5
        height, width = look.maps.heatmap.shape[-2:]
        return cells_of_spine(cells, (height, width))

    def _restricted(self, look: Look, centers: np.ndarray) -> Look:
        """The look at nothing but the spine with centers ``(V, 2)``, upright pixels."""
        cells = self._cells_of_spine(look, centers)
        score = float(self.codec.decode(within(look.maps, cells)).scores.mean())
        return replace(look, score=score, cells=cells)

    def _glance(self, radiograph: Radiograph, watch: Stopwatch) -> Look:
        """What a look at the whole upright image shows, quick and less exact where another one follows."""
        matrix = fitting_matrix(radiograph.height, radiograph.width, self.config.input)
        return self._look(radiograph, matrix, watch, is_glance=self.limits.second_look)

    def _decode(self, decoder: str, look: Look, fixed: FixedLandmarks) -> DecodedSpine:
        """Points in upright pixels."""
        maps = look.maps if look.cells is None else within(look.maps, look.cells)
        decoded = self.decoders[decoder].decode(maps, fixed.moved(look.matrix))
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


def _tested(turn: UprightTurn) -> str:
    """In which turns a spine was looked for in vain, to end a sentence with."""
    if not turn.tested:
        return ""
    angles = [f"{further.turn_deg}°" for further in turn.tested]
    listed = " and ".join(part for part in (", ".join(angles[:-1]), angles[-1]) if part)
    return f"; it was looked for in the image turned by {listed}, too"
