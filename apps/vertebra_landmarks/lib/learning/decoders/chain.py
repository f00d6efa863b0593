"""The best chain through candidates, exactly, by dynamic programming over pairs of neighbours."""

from __future__ import annotations

import numpy as np


def best_chain(unary: np.ndarray, pair: np.ndarray, triple: np.ndarray) -> tuple[np.ndarray, float]:
    """The sequence of candidates with the highest sum of scores.

    Args:
        unary: ``(V, C)`` score of candidate c in place v, finite; V is at least 3.
        pair: ``(C, C)`` score of candidate k right after j, finite.
        triple: ``(C, C, C)`` score of j, then k, then l, finite.

    Returns:
        ``(V,)`` candidates, and the sum: of V unary, V - 1 pair and V - 2 triple scores.

    Raises:
        ValueError: a shape is wrong.

    Reference:
        Viterbi decoding of a second-order chain.
    """
    v, c = unary.shape
    if v < 3 or pair.shape != (c, c) or triple.shape != (c, c, c):
        raise ValueError(f"shapes do not fit: unary {unary.shape}, pair {pair.shape}, triple {triple.shape}")
    onward = np.ascontiguousarray((triple + pair[None]).transpose(1, 2, 0))  # (k, l, j), the searched axis last
    best = unary[0][:, None] + unary[1][None] + pair  # (j, k) of the chain so far
    came_from = []
    for level in unary[2:]:
        total = onward + best.T[:, None]  # (k, l, j)
        choice = total.argmax(-1)
        best = np.take_along_axis(total, choice[..., None], -1)[..., 0] + level
        came_from.append(choice)
    k, last = np.unravel_index(best.argmax(), best.shape)
    chain = [int(last), int(k)]
    for choice in reversed(came_from):
        chain.append(int(choice[chain[-1], chain[-2]]))
    return np.array(chain[::-1]), float(best[k, last])
