"""The ablation of the method: its rows, the trainings behind them, and its table of means over folds and seeds.

Reference:
    Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011, doi 10.1016/j.artmed.2024.103011: the first four
    rows and their order; the others are this project's.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.evaluation.evaluate import Figures
from lib.learning.config import DEFAULT_CONFIG_FILE, Config, load_config
from lib.spine.schema import VERTEBRAE

FINAL, LABELS = "final", "labels"
"""What two rows come from that need no training: weights that are given, and the labels themselves."""

TRAININGS: dict[str, dict[str, str]] = {
    "single": {"network.heatmap_channels": "1", "loss.anatomy_weight": "0"},
    "multi": {"network.heatmap_channels": str(len(VERTEBRAE)), "loss.anatomy_weight": "0"},
    "plain": {"network.heatmap_channels": str(len(VERTEBRAE)), "loss.anatomy_hinge": "0"},
    "hinged": {"network.heatmap_channels": str(len(VERTEBRAE))},
}
"""Settings by which the trainings differ; all others are the same."""

BUDGET = {
    "network.context_layers": "0",  # as published
    "input.height": "256",
    "input.width": "128",
    "loss.anatomy_weight": "1",  # in the rows with L_tri: as much as every other term
    "augmentation.far_probability": "0",  # all images of the data set are crops, and distant spines blur at this size
    "training.epochs": "30",
    "training.phantoms": "0",
    "training.spineless": "0",
}
"""Settings of all trainings that differ from the configuration file, unless told otherwise."""

TRAINED_BY = ("network", "input", "codec", "loss", "augmentation", "training")
"""Sections of the configuration that a training depends on."""

_MISSING = "missing"
_NOT_MEASURED = "-"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        title: what it is called.
        source: the training whose weights it uses, ``FINAL`` or ``LABELS``.
        decoder: that reads the landmarks off; empty for the labels.
    """

    title: str
    source: str
    decoder: str


ROWS = (
    Row("single-channel baseline", "single", "parallel"),
    Row("multi-channel", "multi", "parallel"),
    Row("+ L_tri", "plain", "parallel"),
    Row("+ L_tri + sequential", "plain", "sequential"),
    Row("+ hinged L_tri", "hinged", "parallel"),
    Row("+ hinged L_tri + MAP", "hinged", "map"),
    Row("multi-channel + MAP", "multi", "map"),
    Row("final recipe", FINAL, "map"),
    Row("the labels", LABELS, ""),
)
"""The published rows in the published order, then this project's."""


@dataclass(frozen=True)
class Column:
    """A figure of the table.

    Attributes:
        name: key in ``Figures``.
        header: what it is called in the document, with its unit.
        factor: from the figure to the unit of the header.
        rate: for counts, the figure that is the count per 1000 gaps.
    """

    name: str
    header: str
    factor: float = 1.0
    rate: str = ""


LOCALISATION = (
    Column("corner_mean", "corner error, px"),
    Column("center_mean", "center error, px"),
    Column("smape", "SMAPE, %"),
    Column("cmae_deg", "CMAE, °"),
    Column("names_shifted", "names shifted, %", 100.0),
)
ANATOMY = (
    Column("n_fmin", "N_fmin (per 1000)", rate="fmin_per_1000"),
    Column("n_fmax", "N_fmax (per 1000)", rate="fmax_per_1000"),
    Column("n_eq", "N_eq (per 1000)", rate="eq_per_1000"),
    Column("n_neg", "N_neg (per 1000)", rate="neg_per_1000"),
    Column("mean_negative_y", "mean negative y, px"),
    Column("min_negative_y", "min negative y, px"),
)


@dataclass(frozen=True)
class Spread:
    """A figure over several folds or seeds.

    Attributes:
        mean: of the values.
        sd: their standard deviation (divisor n - 1); ``None`` of a single value.
        count: how many values there are.
    """

    mean: float
    sd: float | None
    count: int

    def text(self, factor: float = 1.0) -> str:
        """Mean ± SD with three significant digits of the mean, or one decimal where that is more."""
        mean = factor * self.mean
        decimals = 1 if mean == 0 else min(2, max(1, 2 - math.floor(math.log10(abs(mean)))))
        return f"{mean:.{decimals}f}" if self.sd is None else f"{mean:.{decimals}f} ± {factor * self.sd:.{decimals}f}"


@dataclass(frozen=True)
class Entry:
    """A row with what was measured.

    Attributes:
        row: which one.
        figures: one per fold and seed; ``None`` where it is not measured yet.
    """

    row: Row
    figures: tuple[Figures | None, ...]

    @property
    def done(self) -> int:
        """How many folds and seeds are measured."""
        return sum(figures is not None for figures in self.figures)

    @property
    def is_complete(self) -> bool:
        """Whether all of them are."""
        return self.done == len(self.figures) > 0

    def spread(self, name: str) -> Spread | None:
        """A figure over all folds and seeds; ``None`` of an incomplete row, or where there is no such figure."""
        return spread([value_of(figures, name) for figures in self.figures if figures]) if self.is_complete else None

    def total(self, name: str) -> float | None:
        """The sum of a count over all folds and seeds; ``None`` of an incomplete row."""
        known = [figures[name] for figures in self.figures if figures is not None and name in figures]
        return sum(known) if self.is_complete and known else None


def value_of(figures: Figures, name: str) -> float | None:
    """A figure, ``None`` where there is none: no step goes up, so that there is no height of those that do."""
    if name in ("mean_negative_y", "min_negative_y") and figures["n_neg"] == 0:
        return None
    return figures.get(name)


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean and standard deviation of the values that are there; ``None`` where none is."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(float(np.mean(known)), sd, len(known))


def configurations(
    overrides: Mapping[str, str] | None = None, seed: int = 0, path: Path = DEFAULT_CONFIG_FILE
) -> dict[str, Config]:
    """The configuration of every training.

    Args:
        overrides: dotted names with YAML values, in the place of those of ``BUDGET`` and of the file.
        seed: of every training.
        path: configuration file.

    Raises:
        ValueError: a setting is unknown or out of range, is what the rows differ by, or leaves no difference.
        OSError: the file cannot be read.
    """
    overrides = overrides or {}
    for name, instead in (("network.heatmap_channels", "the rows set it"), ("training.seed", "give seeds instead")):
        if name in overrides:
            raise ValueError(f"setting {name!r} cannot be chosen: {instead}")
    for name in overrides:
        if name.partition(".")[0] not in TRAINED_BY:
            raise ValueError(f"setting {name!r} cannot be chosen: only settings of {', '.join(TRAINED_BY)} can")
    shared = {**BUDGET, **overrides, "training.seed": str(seed)}
    configs = {name: load_config(path, {**shared, **changes}) for name, changes in TRAININGS.items()}
    for name in ("anatomy_weight", "anatomy_hinge"):
        if not getattr(configs["hinged"].loss, name) > 0:
            raise ValueError(f"loss.{name} must be positive: rows differ by whether it is 0")
    return configs


def to_csv(entries: Sequence[Entry]) -> str:
    """The table as CSV: mean, SD and, of counts, total of every figure, in the units of ``Figures``.

    Rows that are not complete have empty cells.
    """
    columns = [*LOCALISATION, *ANATOMY]
    names = [name for column in columns for name in (column.name, column.rate) if name]
    counts = ["images", "gaps", *(column.name for column in ANATOMY if column.rate)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = [f"{name}_total" for name in counts] + [f"{name}_{what}" for name in names for what in ("mean", "sd")]
    writer.writerow(["row", "training", "decoder", "runs_done", "runs", *head])
    for entry in entries:
        spreads = [entry.spread(name) for name in names]
        values = [entry.total(name) for name in counts]
        values += [value for s in spreads for value in ((s.mean, s.sd) if s is not None else (None, None))]
        cells = ["" if value is None else f"{value:.6g}" for value in values]
        row = entry.row
        writer.writerow([row.title, row.source, row.decoder, entry.done, len(entry.figures), *cells])
    return stream.getvalue()


def to_markdown(entries: Sequence[Entry], protocol: str) -> str:
    """The table for a document: localisation and angles, then anatomy; below it how it was measured.

    Args:
        entries: of all rows.
        protocol: sentences on data, budget and evaluation.
    """
    measured = [entry for entry in entries if entry.row.source != LABELS]
    lines = [*_table(measured, LOCALISATION), "", *_table(entries, ANATOMY), "", protocol]
    return "\n".join(lines) + "\n"


def _table(entries: Sequence[Entry], columns: Sequence[Column]) -> list[str]:
    lines = ["| | decoder | " + " | ".join(column.header for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for entry in entries:
        if entry.is_complete:
            cells = [_cell(entry, column) for column in columns]
        else:
            cells = [f"{_MISSING} ({entry.done} of {len(entry.figures)})", *[""] * (len(columns) - 1)]
        decoder = entry.row.decoder or _NOT_MEASURED
        lines.append(f"| {entry.row.title} | {decoder} | " + " | ".join(cells) + " |")
    return lines


def _cell(entry: Entry, column: Column) -> str:
    found = entry.spread(column.name)
    if found is None:
        return _NOT_MEASURED
    rate = entry.spread(column.rate) if column.rate else None
    return found.text(column.factor) + (f" ({rate.text()})" if rate is not None else "")
