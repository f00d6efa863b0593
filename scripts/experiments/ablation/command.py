"""Train and evaluate the ablation of the method, fold by fold, and write its table and plot; it can be interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import _training
from _held_out_arguments import add_assume_unseen
from experiments import plot_style
from experiments.ablation.runs import Ablation
from experiments.ablation.table import FINAL, Entry, configurations, to_csv, to_markdown
from lib.learning.config import DEFAULT_CONFIG_FILE
from lib.learning.data.aasce import FOLDS, read_aasce
from lib.learning.models.devices import choose_device
from lib.spine.atomic_write import atomic_write

VIOLATIONS = (
    ("fmin_per_1000", "too short"),
    ("fmax_per_1000", "too long"),
    ("eq_per_1000", "level"),
    ("neg_per_1000", "upwards"),
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--output", type=Path, required=True, help="folder of trainings, evaluations, table and plot")
    parser.add_argument(
        "--folds", type=int, nargs="+", default=[0, 1, 2], choices=range(FOLDS), help="folds held out in turn"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="every fold is trained with each of them")
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="e.g. input.height 512"
    )
    parser.add_argument("--epochs", type=int, help="short for --set training.epochs")
    parser.add_argument("--init", type=Path, nargs="+", help="weight file to start from, one or one per fold")
    parser.add_argument("--final", type=Path, nargs="+", help="weight files of the final recipe, one per fold")
    add_assume_unseen(parser)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare images")
    _training.add_log(parser)
    parser.add_argument("--list", action="store_true", help="say what is done and what is missing, and do nothing")
    parsed = parser.parse_args(arguments)
    parsed.folds, parsed.seeds = list(dict.fromkeys(parsed.folds)), list(dict.fromkeys(parsed.seeds))
    if parsed.init is not None and len(parsed.init) not in (1, len(parsed.folds)):
        parser.error(f"--init takes one file, or one for each of the {len(parsed.folds)} folds")
    if parsed.final is not None and len(parsed.final) != len(parsed.folds):
        parser.error(f"--final takes one file for each of the {len(parsed.folds)} folds")
    return parsed


def prepare(arguments: argparse.Namespace) -> Ablation:
    """The ablation that the command line means."""
    overrides = dict(arguments.set)
    if arguments.epochs is not None:
        overrides["training.epochs"] = str(arguments.epochs)
    configs = {seed: configurations(overrides, seed, arguments.config) for seed in arguments.seeds}
    start, final = arguments.init or [], arguments.final or []
    if len(start) == 1:
        start = start * len(arguments.folds)
    return Ablation(
        arguments.output,
        read_aasce(arguments.data, "training"),
        configs,
        arguments.folds,
        dict(zip(arguments.folds, start, strict=bool(start))),
        dict(zip(arguments.folds, final, strict=bool(final))),
        choose_device(arguments.device),
        arguments.workers,
        arguments.assume_unseen,
        arguments.log,
    )


def announce(ablation: Ablation) -> None:
    """Print how long the trainings that are missing will take."""
    left = [(job, ablation.steps_left(job)) for job in ablation.jobs]
    steps, count = sum(n for _, n in left), sum(n > 0 for _, n in left)
    if not steps:
        return
    print(f"{count} trainings are missing: {steps} steps; timing a few of them ...", flush=True)
    seconds = ablation.seconds_per_step()
    total = duration(steps * seconds)
    print(f"a step takes {seconds:.2f} s: about {total} in all, evaluations not counted", flush=True)


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes = seconds / 60
    if minutes < 60:
        return f"{int(minutes)} min {int(seconds % 60)} s"
    return f"{int(minutes // 60)} h {int(minutes % 60)} min"


def work(ablation: Ablation) -> None:
    """Do what is missing; the table grows with every evaluation."""
    for job in ablation.jobs:
        state = ablation.state(job)
        if state == "done":
            continue
        print(f"{job.name}: {state}", flush=True)
        if job.training != FINAL:
            ablation.train(job)
        ablation.evaluate(job)
        write_results(ablation)


def write_results(ablation: Ablation) -> None:
    """Write the table twice, and the plot."""
    entries = ablation.entries()
    ablation.folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("ablation.csv", to_csv(entries)),
        ("ablation.md", to_markdown(entries, ablation.protocol())),
    ):
        with atomic_write(ablation.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    draw(entries, ablation.folder / "ablation.png")


def draw(entries: Sequence[Entry], path: Path) -> None:
    """Plot violations per 1000 steps and SMAPE of every row, with standard deviations."""
    figure = plot_style.new_figure(10, 1.3 + 0.5 * len(entries))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    places = range(len(entries))
    for number, (name, title) in enumerate(VIOLATIONS):
        spreads = [(y + 0.16 * (number - 1.5), e.spread(name)) for y, e in zip(places, entries, strict=True)]
        known = [(y, s) for y, s in spreads if s is not None]
        left.errorbar(
            [s.mean for _, s in known],
            [y for y, _ in known],
            xerr=[s.sd or 0.0 for _, s in known],
            fmt=plot_style.MARKERS[number],
            color=plot_style.COLORS[number],
            capsize=3,
            label=title,
        )
    known = [(y, s) for y, s in ((y, e.spread("smape")) for y, e in zip(places, entries, strict=True)) if s is not None]
    right.errorbar(
        [s.mean for _, s in known],
        [y for y, _ in known],
        xerr=[s.sd or 0.0 for _, s in known],
        fmt="o",
        color=plot_style.COLORS[-1],
        capsize=3,
    )
    left.set_yticks(places, [label_of(entry) for entry in entries])
    left.invert_yaxis()
    left.set_xlim(left=0)
    left.set_xlabel("steps per 1000 that break a prior, mean ± SD")
    left.legend(title="step")
    right.set_xlabel("SMAPE, %, mean ± SD")
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
    plot_style.save(figure, path)


def label_of(entry: Entry) -> str:
    """The row's title, and whether it is missing."""
    return entry.row.title if entry.is_complete else f"{entry.row.title}: missing"


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        if not arguments.list:
            plot_style.check_library()
            _training.check_logs(arguments.log)
        ablation = prepare(arguments)
        if arguments.list:
            for job in ablation.jobs:
                print(f"{job.name:24} {ablation.state(job)}")
            return 0
        announce(ablation)
        work(ablation)
        write_results(ablation)
        print(to_markdown(ablation.entries(), ablation.protocol()))
    except KeyboardInterrupt:
        print("ablation: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 1
    return 0
