"""MAP decoding: the most probable whole spine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...spine.chain_prior import ChainPrior
from ...spine.fixed_landmarks import FixedLandmarks
from ...spine.geometry import body_heights, center_distances
from ...spine.measurement.anatomy import LIMITS, spans_of
from ...spine.schema import VERTEBRAE
from ..config import MapConfig
from .base import CenterEstimate, Decoder, with_fixed_centers
from .candidates import Candidates, Fields, find_candidates, interpolated_candidates
from .chain import Chain, Steps, best_chain
from .skipped_bodies import skipped_bodies

_IMPOSSIBLE = -1e4  # far below any sum of scores, and finite: with fixed points nothing else may be left
_OUT_OF_PLACE = -1e6
_MIN_FALL = 0.25  # cells, one pixel of the input, by which every center lies below the one before
MAX_SIDEWAYS = 2.5
"""Body heights by which a step may go sideways. In the 432 images of the AASCE training split that can be learnt from
none goes by more than 1.62; to the spine of another image beside it there are more than five."""
_MAX_HEIGHT = 1.5  # of the median, of a body by whose height that is measured: odd candidates may be of any height
_NEAREST_CORNER = 0.2  # of a body height; how near a fixed corner must lie to the corner of the vertebra that is meant
_MAX_CORNER_COST = 1e3
_MAX_REPAIRS = 3  # a spine that changes has another length, by which its steps are judged
_MAX_STEP = 3.5  # body heights, two and a half usual steps
_LEVELS = np.arange(-2, 3)  # by which the names that the channels give may be off
_SAME_BODY = 0.7  # of a body height, half a step
_OTHER_NAME = 0.5  # of the highest score at a fixed vertebra, below which its own channel speaks against its name
_MIN_DOUBT = 0.05  # that a maximum is no vertebra, however high it is
_UNKNOWN_SCORE = 0.1  # of a vertebra that no channel speaks of


class _Problem(NamedTuple):
    """What is decoded.

    Attributes:
        detected: candidates of the maps; those of fixed vertebrae first.
        fixed_count: how many these are.
        fixed: points that must stay, in cells.
        is_contradicted: whether a fixed vertebra lies where the channels see one of another name.
        beyond: how many candidates to interpolate beyond either end at least.
        any_step: whether a step may go anywhere.
    """

    detected: Candidates
    fixed_count: int
    fixed: FixedLandmarks
    is_contradicted: bool
    beyond: int
    any_step: bool


class MapDecoder(Decoder):
    """The chain of 17 candidates with the highest probability.

    Candidates are the local maxima of all channels together and, with low scores, positions where the spine would
    continue between and beyond them. A chain's log probability is the sum of its log scores, of the prior of every step
    (length by body height, tilt) and of every two neighbouring steps (ratio of lengths, turn), of the log
    probability that the maxima left out are none, and of what steps over a body cost (``skipped_bodies``). Neighbours
    whose centers, or whose corners' means, do not lie one below the other, and steps that are far too long or go
    sideways as no spine does (``MAX_SIDEWAYS``), as to another spine in the image, are excluded, unless fixed points
    leave nothing else. The maximum is exact (``chain.best_chain``).

    The names are one decision with few changes, since the network counts along the spine: where it has missed a body
    or counted one twice, all names above or below are off by one level. So every vertebra is scored by its own
    channel or by one a level or two beside it. Every such vertebra costs a little, and where the levels change, that
    costs more. A fixed point that contradicts its channels says that levels are off, which makes them cheaper.

    Args:
        prior: how centers follow each other.
        config: how scores and prior are weighed.
    """

    def __init__(self, prior: ChainPrior, config: MapConfig) -> None:
        self.prior = prior
        self.config = config

    def choose(self, fields: Fields, fixed: FixedLandmarks) -> CenterEstimate:
        """Choose 17 centers; fixed ones, in cells, are kept."""
        detected = find_candidates(fields, self.config.min_candidate_score, self.config.max_candidates)
        at_fixed, vertebrae = _candidates_at_fixed(fields, fixed, detected)
        detected = at_fixed.joined(detected)  # those of fixed vertebrae first
        own = at_fixed.scores[vertebrae, np.arange(len(vertebrae))]
        is_contradicted = bool((own < _OTHER_NAME * at_fixed.strengths).any())
        if not len(detected):
            detected = _middle(fields)
        for beyond, any_step in ((self.config.max_beyond, False), (len(VERTEBRAE), False), (len(VERTEBRAE), True)):
            problem = _Problem(detected, len(at_fixed), fixed, is_contradicted, beyond, any_step)
            chain, candidates = self._best(fields, problem)
            if chain.total > _IMPOSSIBLE / 2:  # else too few in a row: let the spine go on further, then anyhow
                break
        for _ in range(_MAX_REPAIRS):
            centers = candidates.centers[chain.candidates]
            span = float(spans_of(centers))
            if any_step or not _is_unusual(center_distances(centers), span).any():
                break
            chain, candidates = self._best(fields, problem, span)
        best = chain.candidates
        levels = np.zeros(len(best), int) if any_step else _LEVELS[chain.states]
        channels = np.clip(np.arange(len(VERTEBRAE)) + levels, 0, len(VERTEBRAE) - 1)
        estimate = CenterEstimate(candidates.centers[best], candidates.corners[best], candidates.scores[channels, best])
        return with_fixed_centers(fields, estimate, fixed)

    def _best(self, fields: Fields, problem: _Problem, span: float | None = None) -> tuple[Chain, Candidates]:
        """The best chain and the candidates that it goes through.

        With a span from T1 to L5, steps outside the limits of anatomy cost more.
        """
        detected, fixed = problem.detected, problem.fixed.centers
        interpolated = interpolated_candidates(fields, detected, fixed, self.prior, problem.beyond)
        candidates = detected.joined(interpolated)
        cost, possible = self._pair_scores(candidates)
        steps = Steps.of(possible if not problem.any_step else ~np.eye(len(candidates), dtype=bool))
        pair = cost[steps.begin, steps.end]
        pair -= self.config.skip_penalty * skipped_bodies(candidates, len(detected), steps, self.prior)
        if span is not None:
            lengths = np.linalg.norm(candidates.centers[steps.end] - candidates.centers[steps.begin], axis=-1)
            pair -= self.config.limit_penalty * _is_unusual(lengths, span)
        triple = self._triple_scores(candidates, steps)
        unary = self._unary_scores(candidates, problem)
        change = self.config.change_penalty * np.abs(_LEVELS[:, None] - _LEVELS)
        if problem.any_step:  # hundreds of times as many, and nothing left to be counted
            unary, change = unary[_LEVELS == 0], np.zeros((1, 1))
        unary, change, pair = (part.astype(np.float32) for part in (unary, change, pair))  # quick, and exact enough
        return best_chain(unary, change, steps, pair, triple), candidates

    def _unary_scores(self, candidates: Candidates, problem: _Problem) -> np.ndarray:
        """``(S, V, C)``: log scores by levels, what a maximum gains by being used, what fixed points demand."""
        config, fixed = self.config, problem.fixed
        shift_penalty = config.shift_penalty if problem.is_contradicted else config.unasked_shift_penalty
        by_levels = [_shifted(candidates.scores, levels) for levels in _LEVELS.tolist()]
        unary = np.log(np.maximum(by_levels, config.score_floor))
        unary -= shift_penalty / len(VERTEBRAE) * np.abs(_LEVELS)[:, None, None]
        unused = -np.log(np.maximum(1 - candidates.scores.sum(0), _MIN_DOUBT))
        unused[len(problem.detected) :] = 0.0
        unused[_beside(candidates, problem.fixed_count)] = 0.0
        unary += config.explain_weight * unused
        with_center = np.flatnonzero(np.isfinite(fixed.centers).all(-1))
        for column, vertebra in enumerate(with_center):
            unary[:, vertebra] = np.where(np.arange(len(candidates)) == column, 0.0, _OUT_OF_PLACE)
        corner_is_fixed = fixed.mask[:, 1:]
        for vertebra in np.flatnonzero(corner_is_fixed.any(1)):
            if vertebra not in with_center:
                which = corner_is_fixed[vertebra]
                away = np.linalg.norm(candidates.corners[:, which] - fixed.xy[vertebra, 1:][which], axis=-1).mean(-1)
                allowed = _NEAREST_CORNER * np.maximum(body_heights(candidates.corners), 1.0)
                unary[:, vertebra] -= np.minimum(0.5 * (away / allowed) ** 2, _MAX_CORNER_COST)
        return unary

    def _relative_noise(self, candidates: Candidates) -> float:
        """Error of a center's position along one axis, in steps of this spine."""
        step = np.exp(self.prior.step_per_height.mean) * np.median(body_heights(candidates.corners))
        return self.config.noise_cells / max(1.0, float(step))

    def _pair_scores(self, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
        """``(C, C)`` of every step from one candidate to another, and whether a spine may take it."""
        move = candidates.centers[None] - candidates.centers[:, None]
        means = candidates.corners.mean(1)[:, 1]
        heights = np.maximum(body_heights(candidates.corners), 1e-3)
        length = np.maximum(np.linalg.norm(move, axis=-1), 1e-6)
        weight, cap = self.config.prior_weight, self.config.prior_cap
        noise = 2 * self._relative_noise(candidates)  # of two centers and of two heights
        penalty = self.prior.step_per_height.penalty(np.log(2 * length / (heights[:, None] + heights)), cap, noise)
        penalty += self.prior.tilt_deg.penalty(np.degrees(np.arctan2(move[..., 0], move[..., 1])), cap)
        falls = (move[..., 1] >= _MIN_FALL) & (means[None] - means[:, None] >= _MIN_FALL)
        usual = np.maximum(np.minimum(heights, _MAX_HEIGHT * np.median(heights)), 1.0)
        is_short = length <= _MAX_STEP * (usual[:, None] + usual) / 2
        is_possible = falls & _stays_on_spine(move, heights)
        return np.where(is_possible, -weight * penalty, _IMPOSSIBLE), is_possible & is_short

    def _triple_scores(self, candidates: Candidates, steps: Steps) -> np.ndarray:
        """``(E, P)`` of every two steps in a row."""
        move = candidates.centers[steps.end] - candidates.centers[steps.begin]
        log_length = np.log(np.maximum(np.linalg.norm(move, axis=-1), 1e-6)).astype(np.float32)
        angle = np.degrees(np.arctan2(move[:, 0], move[:, 1])).astype(np.float32)
        weight, cap = self.config.prior_weight, self.config.prior_cap
        noise = np.sqrt(6) * self._relative_noise(candidates)  # of the second difference of three centers
        before = np.minimum(steps.before, len(steps.begin) - 1)
        penalty = self.prior.step_ratio.penalty(log_length[:, None] - log_length[before], cap, noise)
        penalty += self.prior.turn_deg.penalty(angle[:, None] - angle[before], cap, np.degrees(noise))
        scores: np.ndarray = -weight * penalty
        return scores


def _stays_on_spine(move: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Which steps ``(C, C, 2)`` between bodies of heights ``(C,)`` go no further sideways than in a spine."""
    usual = np.minimum(heights, _MAX_HEIGHT * np.median(heights))
    stays: np.ndarray = np.abs(move[..., 0]) <= MAX_SIDEWAYS * (usual[:, None] + usual) / 2
    return stays


def _beside(candidates: Candidates, count: int) -> np.ndarray:
    """Which candidates lie so near to one of the first ``count`` that they are the same body."""
    apart = np.linalg.norm(candidates.centers[:, None] - candidates.centers[:count], axis=-1)
    near: np.ndarray = (apart < _SAME_BODY * np.maximum(body_heights(candidates.corners[:count]), 1.0)).any(1)
    near[:count] = False
    return near


def _is_unusual(lengths: np.ndarray, span: float) -> np.ndarray:
    """Which steps are outside the limits of anatomy, by their share of the way from T1 to L5."""
    low, high = LIMITS.step
    unusual: np.ndarray = (lengths < low * span) | (lengths > high * span)
    return unusual


def _shifted(scores: np.ndarray, shift: int) -> np.ndarray:
    """``(V, C)`` as if channel v + shift spoke of vertebra v; an even score where there is no such channel."""
    moved = np.full_like(scores, _UNKNOWN_SCORE)
    v = len(scores)
    moved[max(0, -shift) : v - max(0, shift)] = scores[max(0, shift) : v - max(0, -shift)]
    return moved


def _candidates_at_fixed(fields: Fields, fixed: FixedLandmarks, detected: Candidates) -> tuple[Candidates, np.ndarray]:
    """Candidates at the fixed centers, then one for every vertebra with fixed corners only; and these vertebrae."""
    with_center = np.flatnonzero(np.isfinite(fixed.centers).all(-1))
    positions, vertebrae = [*fixed.centers[with_center]], [*with_center]
    corner_is_fixed = fixed.mask[:, 1:]
    for vertebra in np.flatnonzero(corner_is_fixed.any(1)):
        if vertebra not in with_center and len(detected):
            which = corner_is_fixed[vertebra]
            corner = fixed.xy[vertebra, 1:][which].mean(0)
            nearest = np.linalg.norm(detected.corners[:, which].mean(1) - corner, axis=-1).argmin()
            positions.append(corner + detected.centers[nearest] - detected.corners[nearest][which].mean(0))
            vertebrae.append(vertebra)
    centers = np.array(positions).reshape(-1, 2)
    x, y = fields.cells_of(centers).T
    candidates = Candidates(centers, fields.corners_at(centers), fields.heatmap[:, y, x].astype(float))
    return candidates, np.array(vertebrae, dtype=int)


def _middle(fields: Fields) -> Candidates:
    """One candidate in the middle of a map that shows nothing."""
    h, w = fields.heatmap.shape[1:]
    middle = np.array([[w / 2, h / 2]])
    return Candidates(middle, fields.corners_at(middle), np.zeros((len(fields.heatmap), 1)))
