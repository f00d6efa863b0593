"""Processes that write to one store while they are killed, and the check that no acknowledged write is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lib.server.store.datastore import StudiesDatastore
from lib.spine.atomic_write import atomic_write

TAGS = ("final", "original")


class Work(NamedTuple):
    """The work of all writers.

    Attributes:
        studies: folder with the images.
        database: URL, or ``None`` for SQLite.
        acknowledged: folder outside the studies with the log of acknowledged writes of each writer.
        saves: labels that each writer saves.
        scores: scores that each writer stores.
        password: of the database.
    """

    studies: Path
    database: str | None
    acknowledged: Path
    saves: int
    scores: int
    password: str = ""


def make_studies(folder: Path, count: int) -> list[str]:
    """A folder of images, which are never decoded; returns their ids."""
    folder.mkdir(parents=True)
    ids = [f"film_{number:06d}" for number in range(count)]
    for image in ids:
        (folder / f"{image}.png").write_bytes(b"no pixels")
    return ids


def label_content(writer: int, number: int) -> bytes:
    """A label that names its writer, as long as real ones."""
    return json.dumps({"writer": writer, "number": number, "points": [random.random() for _ in range(2000)]}).encode()


def write(work: Work, writer: int) -> None:
    """Do the remaining writes of a writer, and log each one once it is acknowledged, or the failure."""
    try:
        _write(work, writer)
    except BaseException:
        _failure(work, writer).write_text(traceback.format_exc())
        raise


def _failure(work: Work, writer: int) -> Path:
    return work.acknowledged / f"{writer}.failure"


def _write(work: Work, writer: int) -> None:
    os.environ["PGPASSWORD"] = work.password
    done = Counter(kind for kind, *_ in _acknowledged(work, writer))
    store = StudiesDatastore(str(work.studies), work.database, read_only=True)
    images = store.list_images()
    log = os.open(work.acknowledged / str(writer), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    label = work.acknowledged / f"{writer}.mrk.json"
    order = [*["save"] * (work.saves - done["save"]), *["score"] * (work.scores - done["score"])]
    random.shuffle(order)
    for kind in order:
        number, image = done[kind], random.choice(images)
        if kind == "save":
            with atomic_write(label) as temporary:
                temporary.write_bytes(label_content(writer, number))
            tag = random.choice(TAGS)
            store.save_label(image, str(label), tag, {"writer": writer, "number": number})
            entry = (kind, image, tag, number)
        else:
            store.score_queries.set_scores(f"writer_{writer}", "1", {image: number})
            entry = (kind, image, "", number)
        os.write(log, (json.dumps(entry) + "\n").encode())
        done[kind] += 1
    store.close()


def _acknowledged(work: Work, writer: int) -> Iterator[tuple[str, str, str, int]]:
    path = work.acknowledged / str(writer)
    for line in path.read_text().splitlines() if path.exists() else ():
        kind, image, tag, number = json.loads(line)
        yield kind, image, tag, number


def run_writers(work: Work, writers: int, kills: int, seed: int, pause_s: float = 0.5) -> int:
    """Run all writers at once, kill some of them and start others in their place; returns the number of killed ones.

    Raises:
        RuntimeError: a writer failed.
    """
    chance = random.Random(seed)
    work.acknowledged.mkdir(exist_ok=True)
    context: Any = multiprocessing.get_context("forkserver")  # so that a new writer need not import everything
    context.set_forkserver_preload([__name__])
    running: dict[int, Any] = {}

    def begin(writer: int) -> None:
        running[writer] = context.Process(target=write, args=(work, writer))
        running[writer].start()

    for writer in range(writers):
        begin(writer)
    try:
        return _supervise(running, begin, kills, chance, pause_s)
    except ChildProcessError as error:
        reasons = [path.read_text() for path in sorted(work.acknowledged.glob("*.failure"))]
        raise RuntimeError("\n".join([str(error), *reasons])) from error
    finally:
        for process in running.values():
            process.kill()
            process.join()


def _supervise(
    running: dict[int, Any], begin: Callable[[int], None], kills: int, chance: random.Random, pause_s: float
) -> int:
    killed = 0
    while running:
        time.sleep(pause_s * chance.random())
        alive = [writer for writer, process in running.items() if process.is_alive()]
        if alive and killed < kills:
            victim = chance.choice(alive)
            running[victim].kill()
            killed += 1
        for writer, process in list(running.items()):
            process.join(0)
            status = process.exitcode  # read once: it may change between two reads
            if status == -9:
                begin(writer)
            elif status == 0:
                del running[writer]
            elif status is not None:
                raise ChildProcessError(f"writer {writer} ended with {status}")
    return killed


def losses(work: Work, writers: int) -> list[str]:
    """A sentence for each acknowledged write that is missing and each damaged file."""
    store = StudiesDatastore(str(work.studies), work.database)
    found = []
    for writer in range(writers):
        newest: dict[str, int] = {}
        for kind, image, tag, number in _acknowledged(work, writer):
            if kind == "score":
                newest[image] = max(number, newest.get(image, 0))
            elif not _is_kept(store, image, tag, writer, number):
                found.append(f"label {tag} {number} of writer {writer} for {image} is lost")
        for image, number in newest.items():
            values = {score["strategy"]: score["value"] for score in store.score_queries.scores_of(image)}
            if values.get(f"writer_{writer}", -1) < number:
                found.append(f"score {number} of writer {writer} for {image} is lost")
    found += _unequal(store)
    store.close()
    for path in work.studies.rglob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            found.append(f"{path.name} is not whole")
    return found


def _is_kept(store: StudiesDatastore, image: str, tag: str, writer: int, number: int) -> bool:
    for version in store.label_versions(image, tag):
        if (version["info"].get("writer"), version["info"].get("number")) == (writer, number):
            content = json.loads(store.label_version(image, tag, version["version"]))
            return (content["writer"], content["number"]) == (writer, number)
    return False


def _unequal(store: StudiesDatastore) -> Iterator[str]:
    """Labels whose file is not their newest version."""
    for image in store.list_images():
        for tag in store.get_labels_by_image_id(image):
            last = store.label_versions(image, tag)[-1]["version"]
            if Path(store.get_label_uri(image, tag)).read_bytes() != store.label_version(image, tag, last):
                yield f"label {tag} of {image} is not version {last}"
