"""Put networks of scripts/train_from_pack.py into a weight file.

Several files of one network become its mean, each with its weight: --corners a.pt 0.5 base 0.5, where "base" is the
network of --base. The new file has no expected errors, which are those of both networks: scripts/calibrate.py measures
or copies them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import _app_path  # noqa: F401
from _path_arguments import existing_file
from lib.learning.weights.network_file import (
    CORNERS,
    LANDMARKS,
    NETWORKS,
    NetworkFile,
    Part,
    load_network,
    mean_network,
    network_of,
)
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    CornerWeights,
    Weights,
    build_corner_net,
    build_network,
    file_digest,
    load_weights,
    save_weights,
)
from lib.spine.atomic_write import check_writable

BASE = "base"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=existing_file, required=True, help="weight file that the rest is taken from")
    parser.add_argument(f"--{LANDMARKS}", nargs="+", metavar="FILE [WEIGHT]", help="landmark network")
    parser.add_argument(f"--{CORNERS}", nargs="+", metavar="FILE [WEIGHT]", help="corner network")
    parser.add_argument("--output", type=Path, required=True, help="weight file to write")
    parsed = parser.parse_args(arguments)
    if not (parsed.landmarks or parsed.corners):
        parser.error("--landmarks or --corners is needed")
    for name in NETWORKS:
        words = getattr(parsed, name) or []
        if len(words) > 1 and len(words) % 2:
            parser.error(f"--{name} takes one file, or several, each with its weight")
    return parsed


def joined(words: Sequence[str], network: str, base: Weights, name: str) -> NetworkFile:
    """The network of one file, or the mean of several.

    Args:
        words: files, each with its weight where there are several; "base" for the network of the base.
        network: which of the two.
        base: content of the base.
        name: of the base.

    Raises:
        ValueError: a file holds the other network, a weight is no number, or the networks have no mean.
        OSError: a file cannot be read.
    """
    words = words if len(words) > 1 else [*words, "1"]
    parts: list[Part] = []
    for file, weight in zip(words[::2], words[1::2], strict=True):
        found = network_of(base, network, name) if file == BASE else load_network(Path(file))
        if found.network != network:
            raise ValueError(f"{file} holds a network for {found.network}, not for {network}")
        try:
            parts.append((file, found, float(weight)))
        except ValueError as error:
            raise ValueError(f"the weight of {file} must be a positive number, got {weight!r:.40}") from error
    return mean_network(parts)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    base, output = arguments.base, arguments.output
    try:
        check_writable(output)
        content = load_weights(base)
        state, config, facts, refiner = content.state, content.config, content.facts, content.refiner
        if arguments.landmarks:
            network = joined(arguments.landmarks, LANDMARKS, content, base.name)
            state, facts = dict(network.state), dict(network.facts)
            config = network.model_settings(output.name)
            if refiner is not None:  # whose errors, and chance of wrong names, are those of the other landmark network
                refiner = replace(refiner, errors=None, facts={**refiner.facts, ERRORS_MEASURED_ON: None})
        if arguments.corners:
            network = joined(arguments.corners, CORNERS, content, base.name)
            corner_facts = {**network.facts, "base": file_digest(base), ERRORS_MEASURED_ON: None}
            refiner = CornerWeights(dict(network.state), network.corner_settings(output.name), corner_facts)
        weights = Weights(state, config, facts, content.prior, refiner)
        build_network(weights, output)
        if refiner is not None:
            build_corner_net(refiner, output)
        save_weights(output, state, config, facts, content.prior, refiner)
    except (OSError, ValueError) as error:
        print(f"join_networks: {error}", file=sys.stderr)
        return 1
    print(output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
