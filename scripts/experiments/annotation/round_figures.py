"""Figures of simulated rounds: of one round, of strategies against random choice, as table and plot."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from experiments import plot_style
from lib.spine.atomic_write import atomic_write

BASELINE = "random"
FIGURES = ("error", "corners_near", "films_found")
CLIP, NEAR, FOUND = 1.0, 0.25, 0.5
_LEVEL = 0.95


def figures(errors: np.ndarray) -> dict[str, float]:
    """Of the corners' errors ``(N, V, K)`` in steps: figures that one gross failure does not decide.

    Returns:
        ``error``: mean over the images of the mean corner error, at most one step each; ``corners_near``: share of
        corners within a quarter of a step; ``films_found``: share of images with a mean error below half a step.
    """
    per_image = errors.mean((1, 2))
    return {
        "error": float(np.minimum(per_image, CLIP).mean()),
        "corners_near": float((errors < NEAR).mean()),
        "films_found": float((per_image < FOUND).mean()),
    }


def area(labels: np.ndarray, errors: np.ndarray) -> float:
    """Mean height of an error curve over the number of labels, by the trapezoidal rule."""
    return float(((errors[1:] + errors[:-1]) / 2 * np.diff(labels)).sum() / (labels[-1] - labels[0]))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of the seeds' values and its 95 % interval (Student's t); without bounds for a single one."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("-inf"), float("inf")
    half = float(stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def labels_to_reach(labels: np.ndarray, errors: np.ndarray, goal: float) -> float | None:
    """Number of labels at which a curve first comes down to an error, between rounds along a line; else ``None``."""
    if errors[0] <= goal:
        return float(labels[0])
    for index in range(1, len(labels)):
        if errors[index] <= goal:
            share = (errors[index - 1] - goal) / (errors[index - 1] - errors[index])
            return float(labels[index - 1] + share * (labels[index] - labels[index - 1]))
    return None


def compare(labels: np.ndarray, curves: Mapping[str, Mapping[int, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Strategies against random choice, each over the seeds that it shares with it.

    Args:
        labels: ``(R,)`` labelled images of the rounds.
        curves: by strategy and seed ``(R,)`` errors.

    Returns:
        By strategy: ``seeds``, how many; ``area``, its mean; ``against_random`` and ``interval``, mean and 95 %
        interval of the difference, paired by seed; ``labels_to_reach``, at which the mean curve reaches the final
        error of random choice.
    """
    figures = {}
    for name in curves:
        own, random = _paired(curves, name)
        areas = np.array([[area(labels, curve) for curve in side] for side in (own, random)])
        mean, low, high = interval(areas[0] - areas[1])
        figures[name] = {
            "seeds": len(own),
            "area": float(areas[0].mean()),
            "against_random": mean,
            "interval": [low, high],
            "final_error": float(own[:, -1].mean()),
            "labels_to_reach": labels_to_reach(labels, own.mean(0), float(random[:, -1].mean())),
        }
    return figures


def _paired(curves: Mapping[str, Mapping[int, np.ndarray]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """``(S, R)`` errors of a strategy and of random choice over the seeds that both have."""
    seeds = sorted(set(curves[name]) & set(curves[BASELINE]))
    return np.array([curves[name][seed] for seed in seeds]), np.array([curves[BASELINE][seed] for seed in seeds])


def read(folders: Sequence[Path], sizes: Sequence[int]) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Figures of finished rounds by strategy and seed, means over the folders, each of which must have them."""
    found: dict[str, dict[int, list[list[dict[str, Any]]]]] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*-*.json")):
        strategy, _, seed = path.stem.rpartition("-")
        rounds = json.loads(path.read_text(encoding="utf-8"))
        if len(rounds) == len(sizes):
            found.setdefault(strategy, {}).setdefault(int(seed), []).append(rounds)
    return {
        strategy: {seed: _means(parts) for seed, parts in sorted(seeds.items()) if len(parts) == len(folders)}
        for strategy, seeds in found.items()
    }


def _means(parts: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, float]]:
    """Figures of rounds, each the mean over its likes."""
    return [
        {"labels": likes[0]["labels"], **{key: float(np.mean([one[key] for one in likes])) for key in FIGURES}}
        for likes in zip(*parts, strict=True)
    ]


def write(folder: Path, settings: Mapping[str, Any], parts: Sequence[Path]) -> None:
    """Write table, comparison and plot of what is finished; strategies that share no seed with random choice wait.

    Args:
        folder: to write to.
        settings: of the replays.
        parts: folders of the replays, one for each held-out fold.

    Raises:
        OSError: a file cannot be written.
    """
    rounds = read(parts, settings["sizes"])
    rounds = {name: seeds for name, seeds in rounds.items() if set(seeds) & set(rounds.get(BASELINE, ()))}
    labels = np.array(settings["sizes"], dtype=float)
    curves = {
        name: {seed: np.array([r["error"] for r in one]) for seed, one in seeds.items()}
        for name, seeds in rounds.items()
    }
    figures = {
        "settings": {**settings, "held_out": [part.name for part in parts]},
        "strategies": compare(labels, curves),
    }
    with atomic_write(folder / "rounds.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    with atomic_write(folder / "rounds.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["strategy", "seed", "labels", *FIGURES])
        for name, seeds in rounds.items():
            for seed, one in seeds.items():
                table.writerows([name, seed, r["labels"], *(f"{r[key]:.5f}" for key in FIGURES)] for r in one)
    draw(folder / "rounds.png", labels, curves)


def draw(path: Path, labels: np.ndarray, curves: Mapping[str, Mapping[int, np.ndarray]]) -> None:
    """Mean error curves with bands of 95 % confidence, and the difference to random choice, paired by seed."""
    figure = plot_style.new_figure(10.0, 4.2)
    left, right = figure.subplots(1, 2)
    names = [BASELINE, *(name for name in curves if name != BASELINE)]
    for number, name in enumerate(names):
        color, marker = plot_style.COLORS[number], plot_style.MARKERS[number]
        own, random = _paired(curves, name)
        for axes, values in ((left, own), (right, own - random)):
            mean, low, high = np.array([interval(column) for column in values.T]).T
            axes.plot(labels, mean, color=color, marker=marker, markersize=4, label=name)
            axes.fill_between(labels, low, high, color=color, alpha=0.12, linewidth=0)
    left.set_ylabel("mean corner error, steps (at most 1 per image)")
    right.set_ylabel("error less that of random choice, steps")
    for axes in (left, right):
        axes.set_xlabel("labelled images")
        axes.grid(alpha=0.3)
    left.legend()
    plot_style.save(figure, path)
