"""Loop: a real server from an empty folder: index, next image, predict, correct, submit, train, and again."""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import requests
from PIL import Image

from _held_out_arguments import add_assume_unseen
from harness.local_server import own_server
from lib.evaluation.metrics import distances
from lib.learning.active_learning import DEFAULT, STRATEGIES
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.aasce import FOLDS, folds, read_aasce
from lib.learning.weights.provenance import file_trained_on
from lib.learning.weights.weight_files import load_weights
from lib.phantoms import random_spec, render_phantom
from lib.server.training.train_request import read_request
from lib.spine.atomic_write import atomic_write
from lib.spine.geometry import center_distances, with_centers
from lib.spine.labels.markups import SUFFIX, label_of, to_markups
from lib.spine.schema import POINTS, VERTEBRAE, Spine

MODEL, FINAL = "vertebra_landmarks", "final"
CSV, FIGURES, LOG, STUDIES = "loop.csv", "loop.json", "server.log", "studies"
OFF = 0.1
"""Steps; a point further from its label than that is one that a person moves."""
PHANTOM_SIZE = 1200, 600
POLL_S, LIMIT_S = 1.0, 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is labelled, and how often."""
    parser.add_argument("--data", type=Path, help="data set in the AASCE layout (default: phantoms)")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), default=0, help="of its training split")
    add_assume_unseen(parser)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="that the server begins with")
    parser.add_argument(
        "--strategy", choices=(*STRATEGIES, "random", "first"), default=DEFAULT, help="that chooses the next image"
    )
    parser.add_argument("--rounds", type=_at_least_one, default=3)
    parser.add_argument("--films", type=_at_least_one, default=10, help="labelled in each round")
    parser.add_argument("--checked", type=_at_least_one, default=20, help="further images that errors are measured on")
    parser.add_argument(
        "--clicks", type=_whole_number, default=3, help="corrections of the worst point that the model answers to"
    )
    parser.add_argument(
        "--train", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="parameter of the training"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    parser.add_argument("--output", type=Path, required=True, help="new folder for studies, log and figures")


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number")
    return int(text)


def _at_least_one(text: str) -> int:
    if _whole_number(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with its label.

    Attributes:
        path: of the image.
        labelled: ``(V, P, 2)`` pixels.
    """

    path: Path
    labelled: np.ndarray

    @property
    def name(self) -> str:
        """Id of the image on the server."""
        return self.path.stem

    def errors(self, points: np.ndarray) -> np.ndarray:
        """``(V, P)`` distances of points from the label, in mean steps between its vertebrae."""
        found: np.ndarray = distances(points, self.labelled) / center_distances(self.labelled[:, 0]).mean()
        return found


@dataclass(frozen=True)
class RoundFigures:
    """What a round came to; errors are mean distances of the corners from the labels, in steps between vertebrae.

    Attributes:
        number: of the round; 0 is what the server began with.
        labels: images with a label in the end.
        version: of the model that is served in the end.
        error_checked: of that model on images that are never labelled.
        median_checked: median over these images.
        error_first: of the images of this round as they were predicted first.
        error_clicked: of the same after the clicks.
        moves_first: points per image that were off by more than ``OFF`` at first.
        moves_clicked: the same after the clicks.
        answer_s: median time of an answer to a click, over HTTP.
        next_s: median time of an answer to which image is next.
        scoring_s: that the round waited until all images were scored by its model.
        training_s: that the training took.
        gate_before: error of the model before on the images that the trainer holds out, as the gate measures it.
        gate_after: the same of the trained model.
        is_published: whether it is served.
    """

    number: int
    labels: int
    version: str
    error_checked: float
    median_checked: float
    error_first: float | None = None
    error_clicked: float | None = None
    moves_first: float | None = None
    moves_clicked: float | None = None
    answer_s: float | None = None
    next_s: float | None = None
    scoring_s: float | None = None
    training_s: float | None = None
    gate_before: float | None = None
    gate_after: float | None = None
    is_published: bool | None = None


class Client:
    """What a person's program asks of the server.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self.url, self._session = url, requests.Session()
        self._session.trust_env = False  # no proxy reaches this machine's own ports

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        reply = self._session.request(method, self.url + path, timeout=LIMIT_S, **given)
        if not reply.ok:
            raise ValueError(f"{method} {path} was answered with {reply.status_code}: {reply.text[:300]}")
        return reply.json()

    def info(self) -> dict[str, Any]:
        """What the server says about itself."""
        info: dict[str, Any] = self._ask("GET", "/info/")
        return info

    def add(self, image: LabelledImage) -> None:
        """Send an image."""
        with image.path.open("rb") as stream:
            files = {"file": (image.path.name, stream)}
            self._ask("PUT", "/datastore/image", params={"image": image.name}, files=files)

    def next(self, strategy: str) -> str:
        """Id of the image to label next; "" where all are labelled."""
        answer = self._ask("POST", f"/activelearning/{strategy}", json={"client_id": "simulation"})
        return str(answer.get("id", ""))

    def predict(self, name: str, fixed: np.ndarray | None = None) -> tuple[np.ndarray, str]:
        """Points ``(V, P, 2)`` of an image around fixed ones, NaN where none is, and the version of the model."""
        fixed_points: dict[str, dict[str, list[float]]] = {}
        if fixed is not None:
            for v, p in np.argwhere(np.isfinite(fixed).all(-1)):
                fixed_points.setdefault(VERTEBRAE[v], {})[POINTS[p]] = fixed[v, p].tolist()
        asked = {"params": (None, json.dumps({"fixed": fixed_points}))}
        return _read(self._ask("POST", f"/infer/{MODEL}", params={"image": name, "output": "json"}, files=asked))

    def glance(self, image: LabelledImage) -> np.ndarray:
        """Points of an image that the server does not keep."""
        with image.path.open("rb") as stream:
            sent = {"file": (image.path.name, stream)}
            return _read(self._ask("POST", f"/infer/{MODEL}", params={"output": "json"}, files=sent))[0]

    def submit(self, image: LabelledImage, facts: dict[str, Any]) -> None:
        """Send the finished label."""
        label = json.dumps(to_markups(Spine.from_arrays(image.labelled)))
        asked = {"image": image.name, "tag": FINAL}
        sent = {"label": (image.name + SUFFIX, label), "params": (None, json.dumps(facts))}
        self._ask("PUT", "/datastore/label", params=asked, files=sent)

    def scored(self) -> float:
        """Wait until the served model has scored every image; returns the seconds."""
        begin = time.monotonic()
        while not self._is_scored(self.info()):
            _check_time(begin, "the scoring of the images")
            time.sleep(POLL_S)
        return time.monotonic() - begin

    @staticmethod
    def _is_scored(info: dict[str, Any]) -> bool:
        scoring = info["scoring"]
        if scoring["state"] == "off":
            return True
        is_served = scoring["model_version"] == info["models"][MODEL]["model_version"]
        return is_served and scoring["scored"] + scoring["failed"] >= info["datastore"]["total"]

    def trained(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Train until the end; returns the last report.

        Raises:
            ValueError: the training failed.
        """
        self._ask("POST", f"/train/{MODEL}", json=settings)
        begin = time.monotonic()
        while self._ask("GET", "/train/")["status"] in ("SUBMITTED", "RUNNING"):
            _check_time(begin, "the training")
            time.sleep(POLL_S)
        report: dict[str, Any] = self.info()["train_stats"][MODEL]
        if report.get("state") != "done":
            raise ValueError(
                f"the training is {report.get('state')}: {report.get('error', 'see the log of the server')}"
            )
        return report


def _check_time(begin: float, what: str) -> None:
    if time.monotonic() - begin > LIMIT_S:
        raise ValueError(f"{what} took longer than {LIMIT_S} s")


def _read(answer: dict[str, Any]) -> tuple[np.ndarray, str]:
    found = {landmark["name"]: (landmark["x"], landmark["y"]) for landmark in answer["landmarks"]}
    points = np.array([[found[label_of(vertebra, point)] for point in POINTS] for vertebra in VERTEBRAE])
    return points, str(answer["model_version"])


def run(arguments: argparse.Namespace) -> None:
    """Go through the rounds, print them, and write the table and the figures.

    Raises:
        ValueError: the training has no such parameter, the folder is not empty, the weights know the images, there are
            too few, or the server refuses.
        RuntimeError: the server does not start.
        OSError: a file cannot be read or written.
    """
    read_request(_settings(arguments))
    studies = arguments.output / STUDIES
    studies.mkdir(parents=True, exist_ok=True)
    if any(arguments.output.glob("*.*")) or any(studies.iterdir()):
        raise ValueError(f"{arguments.output} is not empty; the loop begins with an empty folder")
    with TemporaryDirectory() as drawn:
        pool, checked = read_images(arguments, Path(drawn))
        conf = ("weights", str(arguments.weights.absolute()))
        with own_server(studies.absolute(), arguments.output / LOG, conf) as server:
            rounds = Loop(Client(server.url), pool, checked, arguments).run()
    rows = [asdict(row) for row in rounds]
    with atomic_write(arguments.output / CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [column.name for column in fields(RoundFigures)])
        table.writeheader()
        table.writerows(rows)
    with atomic_write(arguments.output / FIGURES) as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: _value(text) for name, text in arguments.train}


def read_images(arguments: argparse.Namespace, drawn: Path) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Images to label, and images of other patients to measure errors on.

    Raises:
        ValueError: the weights know the fold, or it has too few images.
        OSError: a file cannot be read or written.
    """
    wanted = arguments.rounds * arguments.films
    if arguments.data is None:
        images = draw_phantoms(drawn, wanted + arguments.checked, arguments.seed)
        return images[:wanted], images[wanted:]
    seen = file_trained_on(load_weights(arguments.weights))
    seen.check_unseen(arguments.fold, arguments.weights.name, assume_unseen=arguments.assume_unseen)
    records = read_aasce(arguments.data, "training")
    pairs = zip(records, folds(records), strict=True)
    chosen = [record for record, fold in pairs if fold == arguments.fold and record.is_clean]
    sides: tuple[list[LabelledImage], list[LabelledImage]] = ([], [])
    for record, side in zip(chosen, folds(chosen, 2), strict=True):
        sides[side].append(LabelledImage(record.path, with_centers(record.corners)))
    pool, checked = sorted(sides, key=len, reverse=True)
    if len(pool) < wanted or len(checked) < arguments.checked:
        raise ValueError(
            f"fold {arguments.fold} has {len(pool)} images to label and {len(checked)} of other patients, "
            f"{wanted} and {arguments.checked} are asked for"
        )
    random = np.random.default_rng(arguments.seed)
    return pool, [checked[place] for place in random.permutation(len(checked))[: arguments.checked]]


def draw_phantoms(folder: Path, count: int, seed: int) -> list[LabelledImage]:
    """Phantoms with exact labels, as files."""
    images = []
    for number in range(count):
        phantom = render_phantom(random_spec(1000 * seed + number, *PHANTOM_SIZE))
        path = folder / f"phantom{number:03d}.png"
        Image.fromarray(phantom.pixels).save(path)
        images.append(LabelledImage(path, phantom.spine.xy))
    return images


class Loop:
    """A person at work.

    Args:
        client: the server.
        pool: images to label.
        checked: images that are never labelled.
        arguments: see ``add_arguments``.
    """

    def __init__(
        self,
        client: Client,
        pool: Sequence[LabelledImage],
        checked: Sequence[LabelledImage],
        arguments: argparse.Namespace,
    ) -> None:
        self.client, self.checked = client, checked
        self.pool = {image.name: image for image in pool}
        self.strategy, self.clicks = arguments.strategy, arguments.clicks
        self.rounds, self.images = arguments.rounds, arguments.films
        self.settings = _settings(arguments)
        self._labels = 0

    def run(self) -> list[RoundFigures]:
        """All rounds; each is printed when it is over.

        Raises:
            ValueError: the server refuses something.
        """
        for image in self.pool.values():
            self.client.add(image)
        indexed = self.client.info()["datastore"]["total"]
        if indexed != len(self.pool):
            raise ValueError(f"{len(self.pool)} images were sent, the server has {indexed}")
        print(f"{indexed} images are in the folder, {len(self.checked)} others are checked on", flush=True)
        done = [RoundFigures(0, 0, *self._check())]
        _show(done[-1])
        for number in range(1, self.rounds + 1):
            done.append(self._round(number))
            _show(done[-1])
        return done

    def _check(self) -> tuple[str, float, float]:
        """The version that is served, and mean and median error of the images that are never labelled."""
        errors = [image.errors(self.client.glance(image))[:, 1:].mean() for image in self.checked]
        version = self.client.info()["models"][MODEL]["model_version"]
        return str(version), float(np.mean(errors)), float(np.median(errors))

    def _round(self, number: int) -> RoundFigures:
        scoring_s = self.client.scored()
        images = [self._label() for _ in range(self.images)]
        begin = time.monotonic()
        report = self.client.trained(self.settings)
        training_s = time.monotonic() - begin
        gate = report["gate"]
        version, error, median = self._check()
        columns = {name: [image[name] for image in images] for name in images[0]}
        means = {name: float(np.mean(values)) for name, values in columns.items() if not name.endswith("_s")}
        medians = {name: float(np.median(values)) for name, values in columns.items() if name.endswith("_s")}
        return RoundFigures(
            number,
            self._labels,
            version,
            error,
            median,
            **means,
            **medians,
            scoring_s=scoring_s,
            training_s=training_s,
            gate_before=gate["before"],
            gate_after=gate["after"],
            is_published=gate["is_published"],
        )

    def _label(self) -> dict[str, float]:
        """Take the next image, correct its worst points, and submit its label."""
        begin = time.monotonic()
        name = self.client.next(self.strategy)
        figures = {"next_s": time.monotonic() - begin}
        if name not in self.pool:
            raise ValueError(f"the next image is {name!r}, which is none that was sent")
        image, fixed = self.pool[name], np.full((len(VERTEBRAE), len(POINTS), 2), np.nan)
        points, version = self.client.predict(name)
        figures |= _point_errors(image, points, "first")
        answers = []
        for _ in range(self.clicks):
            worst = np.unravel_index(image.errors(points).argmax(), points.shape[:2])
            fixed[worst] = image.labelled[worst]
            begin = time.monotonic()
            points, _ = self.client.predict(name, fixed)
            answers.append(time.monotonic() - begin)
        figures |= _point_errors(image, points, "clicked")
        if answers:
            figures["answer_s"] = float(np.median(answers))
        edits = int(np.isfinite(fixed[..., 0]).sum() + figures["moves_clicked"])
        self.client.submit(image, {"user": "simulation", "model_version": version, "edits": edits})
        self._labels += 1
        return figures


def _point_errors(image: LabelledImage, points: np.ndarray, when: str) -> dict[str, float]:
    errors = image.errors(points)
    return {f"error_{when}": float(errors[:, 1:].mean()), f"moves_{when}": float((errors > OFF).sum())}


def _value(text: str) -> Any:
    """A parameter as JSON, or as the text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show(row: RoundFigures) -> None:
    line = f"round {row.number}: {row.labels} labels, model {row.version}, error of other images "
    line += f"{row.error_checked:.3f} steps (median {row.median_checked:.3f})"
    if row.number:
        line += (
            f"; of its own {row.error_first:.3f}, after clicks {row.error_clicked:.3f}; points to move "
            f"{row.moves_first:.1f}, {row.moves_clicked:.1f}; training {row.training_s:.0f} s, gate "
            f"{_number(row.gate_before)} to {_number(row.gate_after)}, {'' if row.is_published else 'not '}published"
        )
    print(line, flush=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
