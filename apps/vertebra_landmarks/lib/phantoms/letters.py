"""Letters of 5 x 7 dots, as markers are burnt into films."""

from __future__ import annotations

import numpy as np

GLYPHS = {
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "C": "01111 10000 10000 10000 10000 10000 01111",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "7": "11111 00001 00010 00100 00100 01000 01000",
    "4": "00010 00110 01010 10010 11111 00010 00010",
}
"""Seven rows of five dots, from the top."""


def stamp(word: str, cell: int) -> np.ndarray:
    """A word of 5 x 7 dot letters as ``(H, W)`` of 0 and 1, dots of ``cell`` pixels; unknown letters are blank.

    Args:
        word: letters of ``GLYPHS``; any other is blank.
        cell: size of a dot in pixels.

    Returns:
        ``(7 * cell, (6 * len(word) - 1) * cell)`` float32 of 0 and 1.
    """
    blank = " ".join(["00000"] * 7)
    letters = []
    for letter in word:
        rows = GLYPHS.get(letter, blank).split()
        letters.append(np.array([[float(dot) for dot in row + "0"] for row in rows], dtype=np.float32))
    return np.kron(np.concatenate(letters, axis=1)[:, :-1], np.ones((cell, cell), dtype=np.float32))
