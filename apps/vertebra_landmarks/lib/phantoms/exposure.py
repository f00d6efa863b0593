"""From absorption to gray values: exposure, processing, collimation and burnt-in markers."""

from __future__ import annotations

import numpy as np

from .canvas import Sheet, blur, resize
from .spec import Part, PhantomSpec, part_rng

MARKER_TEXTS = ("L", "R", "L", "R", "AP", "PA", "ERECT", "LAT", "74", "R 4")
"""Texts of burnt-in markers; the sides are the most frequent."""


def expose(spec: PhantomSpec, absorption: np.ndarray) -> np.ndarray:
    """The logarithm of the dose behind the patient, ``(H, W)``, larger where more was absorbed.

    Args:
        spec: scatter, focus, noise and seam.
        absorption: ``(H, W)``, 1 is the thickness of the abdomen.
    """
    rng = part_rng(spec.seed, Part.EXPOSURE)
    height, width = absorption.shape
    dose = np.exp(-3.2 * blur(absorption, spec.blur_px))
    if spec.scatter > 0:
        coarse = resize(dose, max(4, height // 16), max(4, width // 16))
        dose = dose + spec.scatter * resize(blur(coarse, 2.0), height, width)
    log_dose = np.asarray(-np.log(dose))
    if spec.noise > 0:
        grain = rng.standard_normal(absorption.shape, dtype=np.float32)
        grain = blur(grain, float(rng.choice((0.0, 0.5, 0.8))))
        log_dose += spec.noise * 0.10 * grain * np.minimum(np.exp(0.5 * (log_dose - 2.0)), 2.5)
    if spec.seam:
        row = int(height * rng.uniform(0.3, 0.75))
        log_dose[row:] += np.float32(rng.uniform(-0.35, 0.35))
        log_dose[row : row + max(1, height // 400)] -= np.float32(rng.uniform(-0.3, 0.3))
    return log_dose


def develop(spec: PhantomSpec, log_dose: np.ndarray) -> np.ndarray:
    """Gray values ``(H, W)`` in 0...1: local equalization, window, characteristic curve, gamma.

    Args:
        spec: equalization, contrast and gamma.
        log_dose: ``(H, W)`` as of ``expose``.
    """
    height, width = log_dose.shape
    if spec.equalization > 0:
        coarse = resize(blur(log_dose, 1.0), max(4, height // 8), max(4, width // 8))
        local = blur(coarse, max(1.0, height / 8 / 20))
        spread = np.sqrt(blur((coarse - local) ** 2, max(1.0, height / 8 / 16))) + 0.06
        log_dose = log_dose - spec.equalization * 0.85 * resize(local, height, width)
        log_dose /= resize(spread, height, width) ** np.float32(spec.equalization)
    sample = log_dose[:: max(1, height // 128), :: max(1, width // 128)]
    low, high = np.percentile(sample, (2.0, 99.8))
    middle, half = (low + high) / 2, max(float(high - low), 1e-3) * 0.54
    gray = np.clip((log_dose - middle) / half * (0.5 * spec.contrast) + 0.5, 0, 1)
    gray = gray * gray * (3 - 2 * gray) * np.float32(0.5) + gray * np.float32(0.5)
    return np.asarray(gray ** np.float32(spec.gamma))


def overlay(spec: PhantomSpec, gray: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Collimator borders and burnt-in letters, kept clear of the landmarks.

    Args:
        spec: collimation and letters.
        gray: ``(H, W)`` in 0...1.
        corners: ``(V, 4, 2)`` in pixels.

    Returns:
        ``(H, W)`` in 0...1.
    """
    rng = part_rng(spec.seed, Part.OVERLAY)
    low, high = corners.reshape(-1, 2).min(axis=0), corners.reshape(-1, 2).max(axis=0)
    if spec.collimation != "none":
        shade = rng.uniform(0, 0.06) if spec.collimation == "dark" else rng.uniform(0.85, 1.0)
        mask = np.clip(_collimator(spec, low, high, rng), 0, 1)
        gray = gray * (1 - mask) + np.float32(shade) * mask
    if spec.letters:
        for _ in range(int(rng.integers(1, 4))):
            gray = _burn_marker(gray, low, high, rng)
    return np.asarray(np.clip(gray, 0, 1))


def _collimator(spec: PhantomSpec, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coverage ``(H, W)`` of the shutters outside the box ``low``...``high`` of the landmarks."""
    sheet = Sheet(spec.height, spec.width)
    size = np.array([spec.width, spec.height], dtype=float)
    room = np.concatenate([low, size - 1 - high])  # left, top, right, bottom
    depth = room * rng.uniform(0.1, 0.75, (2, 4)) * (rng.random(4) < 0.75)
    (left, top, right, bottom), (left2, top2, right2, bottom2) = depth * 0.7 + depth.mean(axis=0) * 0.3
    w, h = size
    sheet.add(np.array([(-1, -1), (left - 0.5, -1), (left2 - 0.5, h), (-1, h)]), 1.0)
    sheet.add(np.array([(w, -1), (w - 0.5 - right, -1), (w - 0.5 - right2, h), (w, h)]), 1.0)
    sheet.add(np.array([(-1, -1), (w, -1), (w, top2 - 0.5), (-1, top - 0.5)]), 1.0)
    sheet.add(np.array([(-1, h), (w, h), (w, h - 0.5 - bottom2), (-1, h - 0.5 - bottom)]), 1.0)
    return sheet.render()


def _burn_marker(gray: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Burn in one marker beside the landmarks, or nothing where there is no room."""
    height, width = gray.shape
    glyphs = render_text(str(rng.choice(MARKER_TEXTS)), max(1, round(min(height, width) / 256 * rng.uniform(0.6, 1.8))))
    if rng.random() < 0.1:
        glyphs = glyphs[:, ::-1]
    rows, columns = glyphs.shape
    top = int(rng.uniform(0.01, 0.95) * max(1, height - rows))
    spans = [(2, int(low[0]) - 2 - columns), (int(high[0]) + 2, width - columns - 2)]
    spans = [span for span in spans if span[1] >= span[0]]
    if not spans or rows > height:
        return gray
    start, stop = spans[int(rng.integers(len(spans)))]
    left = int(rng.integers(start, stop + 1))
    window = gray[top : top + rows, left : left + columns]
    gray = gray.copy()
    gray[top : top + rows, left : left + columns] = np.maximum(window, glyphs * np.float32(rng.uniform(0.8, 1.0)))
    return gray


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
"""Marker glyphs: seven rows of five dots, from the top."""


def render_text(text: str, cell: int) -> np.ndarray:
    """Text in letters of 5 x 7 dots.

    Args:
        text: letters of ``GLYPHS``; any other is blank.
        cell: size of a dot in pixels.

    Returns:
        ``(7 * cell, (6 * len(text) - 1) * cell)`` float32 of 0 and 1.
    """
    blank = " ".join(["00000"] * 7)
    letters = []
    for letter in text:
        rows = GLYPHS.get(letter, blank).split()
        letters.append(np.array([[float(dot) for dot in row + "0"] for row in rows], dtype=np.float32))
    return np.kron(np.concatenate(letters, axis=1)[:, :-1], np.ones((cell, cell), dtype=np.float32))
