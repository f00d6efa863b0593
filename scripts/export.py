"""Write a trained model for other programs: ``python scripts/export.py WEIGHTS --output DIR``.

ONNX and TorchScript files of both networks, programs of torch.export, and a MONAI bundle that runs without this
repository. What was written is compared on phantoms with the weights, and only kept where the points agree.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import _app_path  # noqa: F401  # before torch is loaded

# isort: split
import torch

from lib.export.comparison import bfloat16_function, load_average, processor_seconds
from lib.export.exporter import KINDS, ExportError, export, needed_packages
from lib.export.network_files import FORMATS, missing_packages
from lib.export.networks import NetworkFunction, exportable_networks
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.models.devices import has_fast_bfloat16
from lib.learning.prediction.predictor import LandmarkPredictor

CPU = torch.device("cpu")
BATCHES = {"landmark_network": (1,), "corner_network": (1, 4)}
"""What one prediction asks of each network: patches once per round, in the last in four views."""


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?", default=DEFAULT_WEIGHTS_FILE, help="weight file")
    parser.add_argument("--output", type=Path, required=True, help="new folder for the files")
    parser.add_argument("--formats", nargs="+", choices=KINDS, default=list(KINDS), help="(default: all)")
    parser.add_argument(
        "--phantoms", type=_positive, default=10, help="images of the comparison (default: %(default)s)"
    )
    parser.add_argument("--measure", type=_positive, metavar="ROUNDS", help="measure seconds of each network as well")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Export; returns the exit status."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    kinds = [kind for kind in KINDS if kind in options.formats]
    output: Path = options.output
    if output.exists():
        print(f"{output} exists; choose a new folder as --output.", file=sys.stderr)
        return 2
    if missing := missing_packages(needed_packages(kinds)):
        print(f"{missing}.", file=sys.stderr)
        return 2
    if not options.weights.is_file():
        print(f"There is no weight file {options.weights}.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    try:
        predictor = LandmarkPredictor(options.weights, CPU)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
            facts = export(predictor, options.weights, Path(temporary), kinds, options.phantoms)
            shutil.copytree(temporary, output)
    except (ValueError, OSError, ExportError) as error:
        print(f"Not exported: {error}.", file=sys.stderr)
        return 1
    if predictor.refinement is None:
        print(f"{options.weights.name} has no corner network: only the landmark network was written.")
    for name, size in facts["bytes"].items():
        print(f"{size / 1e6:8.1f} MB  {name}")
    for kind, difference in facts["largest_difference_px"].items():
        print(f"{difference:8.5f} px  largest difference of a point, {kind}, {options.phantoms} phantoms")
    if options.measure:
        measure(predictor, output, [kind for kind in kinds if kind in FORMATS], options.measure)
    return 0


def measure(predictor: LandmarkPredictor, output: Path, kinds: list[str], rounds: int) -> None:
    """Print a table of the processor seconds of every network and format, on one thread."""
    print(f"\nprocessor seconds, one thread, median of {rounds} rounds in turns; load {load_average():.1f}\n")
    print("| network | batch | way | seconds |\n|---|---|---|---|")
    for network in exportable_networks(predictor):
        functions: dict[str, NetworkFunction] = {"PyTorch, single precision": network.run}
        if has_fast_bfloat16(CPU):
            functions["PyTorch, bfloat16 as predictions use it"] = bfloat16_function(network)
        for kind in kinds:
            functions[kind] = FORMATS[kind].load(output / kind / f"{network.name}{FORMATS[kind].suffix}")
        for batch in BATCHES[network.name]:
            for way, seconds in processor_seconds(network, functions, batch, rounds).items():
                print(f"| {network.name} | {batch} | {way} | {seconds:.4f} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
