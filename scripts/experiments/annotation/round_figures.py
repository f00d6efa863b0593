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
AS_IN_POOL = "error_as_in_pool"
"""Of mixed pools: ``error``, which takes all kinds alike, with every kind weighted by its share of the pool instead."""
BY_KIND = "by_kind"
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


Rounds = dict[str, dict[int, list[dict[str, Any]]]]
"""Figures of every round by strategy and seed."""


def read(folders: Sequence[Path], sizes: Sequence[int]) -> Rounds:
    """Figures of finished rounds, means over the folders, each of which must have them."""
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


def _means(parts: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Figures of rounds, each the mean over its likes."""
    return [
        {"labels": likes[0]["labels"], **{key: _mean([one[key] for one in likes]) for key in _figures_of(likes[0])}}
        for likes in zip(*parts, strict=True)
    ]


def _figures_of(one: Mapping[str, Any]) -> list[str]:
    return [*FIGURES, *(name for name in (AS_IN_POOL, BY_KIND) if name in one)]


def _mean(likes: Sequence[Any]) -> Any:
    """Of numbers, or number by number of mappings with the same keys."""
    if isinstance(likes[0], Mapping):
        return {name: _mean([one[name] for one in likes]) for name in likes[0]}
    return float(np.mean(likes))


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
    if not rounds:
        return
    labels = np.array(settings["sizes"], dtype=float)
    names = _figures_of(next(iter(rounds[BASELINE].values()))[0])
    figures = {
        "settings": {**settings, "held_out": [part.name for part in parts]},
        "strategies": compare(labels, _curves(rounds, "error")),
    }
    if AS_IN_POOL in names:
        figures[AS_IN_POOL] = compare(labels, _curves(rounds, AS_IN_POOL))
        figures[BY_KIND] = _by_kind(rounds)
    with atomic_write(folder / "rounds.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    columns = [name for name in names if name != BY_KIND]
    with atomic_write(folder / "rounds.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["strategy", "seed", "labels", *columns])
        for name, seeds in rounds.items():
            for seed, one in seeds.items():
                table.writerows([name, seed, r["labels"], *(f"{r[key]:.5f}" for key in columns)] for r in one)
    draw(folder / "rounds.png", labels, _curves(rounds, "error"))


def _curves(rounds: Rounds, figure: str) -> dict[str, dict[int, np.ndarray]]:
    """One figure of all rounds by strategy and seed."""
    return {
        name: {seed: np.array([r[figure] for r in one]) for seed, one in seeds.items()}
        for name, seeds in rounds.items()
    }


def _by_kind(rounds: Rounds) -> dict[str, dict[str, dict[str, list[float]]]]:
    """By strategy and kind: error and labelled images in every round, means over the seeds."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name, seeds in rounds.items():
        means = [_mean([one[BY_KIND] for one in likes]) for likes in zip(*seeds.values(), strict=True)]
        found[name] = {
            kind: {figure: [mean[kind][figure] for mean in means] for figure in figures}
            for kind, figures in means[0].items()
        }
    return found


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
