"""MAP decoding: the most probable whole spine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...spine.chain_prior import ChainPrior
from ...spine.fixed_landmarks import FixedLandmarks
from ...spine.geometry import body_heights, center_distances
from ...spine.measurement.anatomy import LIMITS, spans_of
from ...spine.schema import VERTEBRAE
from ..config import MapConfig
from .base import Chosen, Decoder, with_fixed_centers
from .candidates import Candidates, Fields, find_candidates
from .chain import best_chain
from .made_up import made_up_candidates

_IMPOSSIBLE = -1e4  # far below any sum of scores, and finite: with fixed points nothing else may be left
_OUT_OF_PLACE = -1e6
_LEAST_FALL = 0.25  # cells, one pixel of the input, by which every center lies below the one before
MAX_SIDEWAYS = 2.5
"""Body heights by which a step may go sideways. In the 432 films of the AASCE training split that can be learnt from
none goes by more than 1.62; to the spine of another film beside it there are more than five."""
_MAX_HEIGHT = 1.5  # of the median, of a body by whose height that is measured: odd candidates may be of any height
_NEAREST_CORNER = 0.2  # of a body height; how near a fixed corner must lie to the corner of the vertebra that is meant
_FARTHEST_CORNER = 1e3
_MOST_REPAIRS = 3  # a spine that changes has another length, by which its steps are judged
_UNKNOWN_SCORE = 0.1  # of a vertebra that no channel speaks of


class MapDecoder(Decoder):
    """The chain of 17 candidates with the highest probability.

    Candidates are the local maxima of all channels together and, with low scores, the places where the spine would go
    on between and beyond them. A chain's log probability is the sum of its log scores, of the prior of every step
    (length by body height, tilt) and of every two neighbouring steps (ratio of lengths, turn), and of the log
    probability that the maxima left out are none. Neighbours whose centers, or whose corners' means, do not lie one
    below the other, and steps that go sideways as no spine does (``MAX_SIDEWAYS``), as to another spine in the image,
    are excluded, unless fixed points leave nothing else. The maximum is exact (``chain.best_chain``).

    Args:
        prior: how centers follow each other.
        config: how scores and prior are weighed.
    """

    def __init__(self, prior: ChainPrior, config: MapConfig) -> None:
        self.prior = prior
        self.config = config

    def choose(self, fields: Fields, fixed: FixedLandmarks) -> Chosen:
        """Choose 17 centers; fixed ones, in cells, are kept."""
        seen = find_candidates(fields, self.config.min_candidate_score, self.config.max_candidates)
        given = np.flatnonzero(np.isfinite(fixed.centers).all(-1))
        seen = _from_fixed(fields, fixed, given, seen).joined(seen)  # fixed centers first
        if not len(seen):
            seen = _middle(fields)
        corner_is_fixed = fixed.mask[:, 1:].any(1)
        shifts = (0, 1, -1, 2, -2) if len(given) or corner_is_fixed.any() else (0,)
        beyond = self.config.max_beyond
        chain, total, candidates = self._best(fields, seen, given, fixed, shifts, beyond)
        if total < _IMPOSSIBLE / 2:  # too few in a row: let the spine go on further
            beyond = len(VERTEBRAE)
            chain, total, candidates = self._best(fields, seen, given, fixed, shifts, beyond)
        for _ in range(_MOST_REPAIRS):
            centers = candidates.centers[chain]
            span = float(spans_of(centers))
            if not _is_unusual(center_distances(centers), span).any():
                break
            chain, total, candidates = self._best(fields, seen, given, fixed, shifts, beyond, span)
        scores = candidates.scores[np.arange(len(VERTEBRAE)), chain]
        return with_fixed_centers(fields, Chosen(candidates.centers[chain], candidates.corners[chain], scores), fixed)

    def _best(
        self,
        fields: Fields,
        seen: Candidates,
        given: np.ndarray,
        fixed: FixedLandmarks,
        shifts: tuple[int, ...],
        beyond: int,
        span: float | None = None,
    ) -> tuple[np.ndarray, float, Candidates]:
        """The best chain, its score, and the candidates with the scores that led to it.

        A fixed point says that the network may have given all names one or two levels off. So the channels are tried
        in the place of their neighbours as well. Where the span from T1 to L5 is given, steps outside the limits of
        anatomy cost more.
        """
        candidates = seen.joined(made_up_candidates(fields, seen, fixed.centers, self.prior, beyond))
        pair = self._pair_scores(candidates).astype(np.float32)  # half the time, and exact enough
        if span is not None:
            lengths = np.linalg.norm(candidates.centers[None] - candidates.centers[:, None], axis=-1)
            pair -= self.config.limit_penalty * _is_unusual(lengths, span)
        triple = self._triple_scores(candidates)
        results = []
        for shift in shifts:
            renamed = replace(candidates, scores=_shifted(candidates.scores, shift))
            unary = self._unary_scores(renamed, len(seen), given, fixed).astype(np.float32)
            chain, total = best_chain(unary, pair, triple)
            results.append((chain, total - self.config.shift_penalty * abs(shift), renamed))
        return max(results, key=lambda result: result[1])

    def _unary_scores(self, candidates: Candidates, seen: int, given: np.ndarray, fixed: FixedLandmarks) -> np.ndarray:
        """``(V, C)``: log scores, what a maximum gains by being used, what fixed points demand."""
        unary = np.log(np.maximum(candidates.scores, self.config.score_floor))
        unused = -np.log(np.maximum(1 - candidates.strengths, self.config.score_floor))
        unused[seen:] = 0.0
        unary += self.config.explain_weight * unused
        for column, vertebra in enumerate(given):
            unary[vertebra] = np.where(np.arange(len(candidates)) == column, 0.0, _OUT_OF_PLACE)
        corner_is_fixed = fixed.mask[:, 1:]
        for vertebra in np.flatnonzero(corner_is_fixed.any(1)):
            if vertebra not in given:
                which = corner_is_fixed[vertebra]
                away = np.linalg.norm(candidates.corners[:, which] - fixed.xy[vertebra, 1:][which], axis=-1).mean(-1)
                allowed = _NEAREST_CORNER * np.maximum(body_heights(candidates.corners), 1.0)
                unary[vertebra] -= np.minimum(0.5 * (away / allowed) ** 2, _FARTHEST_CORNER)
        return unary

    def _relative_noise(self, candidates: Candidates) -> float:
        """Error of a center's place along one axis, in steps of this spine."""
        step = np.exp(self.prior.step_per_height.mean) * np.median(body_heights(candidates.corners))
        return self.config.noise_cells / max(1.0, float(step))

    def _pair_scores(self, candidates: Candidates) -> np.ndarray:
        """``(C, C)`` of every step from one candidate to another."""
        move = candidates.centers[None] - candidates.centers[:, None]
        means = candidates.corners.mean(1)[:, 1]
        heights = np.maximum(body_heights(candidates.corners), 1e-3)
        length = np.maximum(np.linalg.norm(move, axis=-1), 1e-6)
        weight, cap = self.config.prior_weight, self.config.prior_cap
        noise = 2 * self._relative_noise(candidates)  # of two centers and of two heights
        penalty = self.prior.step_per_height.penalty(np.log(2 * length / (heights[:, None] + heights)), cap, noise)
        penalty += self.prior.tilt_deg.penalty(np.degrees(np.arctan2(move[..., 0], move[..., 1])), cap)
        falls = (move[..., 1] >= _LEAST_FALL) & (means[None] - means[:, None] >= _LEAST_FALL)
        is_possible = falls & _stays_on_spine(move, heights)
        return np.where(is_possible, -weight * penalty, _IMPOSSIBLE)

    def _triple_scores(self, candidates: Candidates) -> np.ndarray:
        """``(C, C, C)`` of every two steps in a row."""
        move = candidates.centers[None] - candidates.centers[:, None]
        log_length = np.log(np.maximum(np.linalg.norm(move, axis=-1), 1e-6)).astype(np.float32)
        angle = np.degrees(np.arctan2(move[..., 0], move[..., 1])).astype(np.float32)
        weight, cap = self.config.prior_weight, self.config.prior_cap
        noise = np.sqrt(6) * self._relative_noise(candidates)  # of the second difference of three centers
        penalty = self.prior.step_ratio.penalty(log_length[None] - log_length[..., None], cap, noise)
        penalty += self.prior.turn_deg.penalty(angle[None] - angle[..., None], cap, np.degrees(noise))
        scores: np.ndarray = -weight * penalty
        return scores


def _stays_on_spine(move: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Which steps ``(C, C, 2)`` between bodies of heights ``(C,)`` go no further sideways than in a spine."""
    usual = np.minimum(heights, _MAX_HEIGHT * np.median(heights))
    stays: np.ndarray = np.abs(move[..., 0]) <= MAX_SIDEWAYS * (usual[:, None] + usual) / 2
    return stays


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


def _from_fixed(fields: Fields, fixed: FixedLandmarks, given: np.ndarray, seen: Candidates) -> Candidates:
    """Candidates at the fixed centers, then one for every vertebra of which only corners are fixed."""
    places = [*fixed.centers[given]]
    corner_is_fixed = fixed.mask[:, 1:]
    for vertebra in np.flatnonzero(corner_is_fixed.any(1)):
        if vertebra not in given and len(seen):
            which = corner_is_fixed[vertebra]
            place = fixed.xy[vertebra, 1:][which].mean(0)
            nearest = np.linalg.norm(seen.corners[:, which].mean(1) - place, axis=-1).argmin()
            places.append(place + seen.centers[nearest] - seen.corners[nearest][which].mean(0))
    centers = np.array(places).reshape(-1, 2)
    x, y = fields.cells_of(centers).T
    return Candidates(centers, fields.corners_at(centers), fields.heatmap[:, y, x].astype(float))


def _middle(fields: Fields) -> Candidates:
    """One candidate in the middle of a map that shows nothing."""
    h, w = fields.heatmap.shape[1:]
    middle = np.array([[w / 2, h / 2]])
    return Candidates(middle, fields.corners_at(middle), np.zeros((len(fields.heatmap), 1)))
