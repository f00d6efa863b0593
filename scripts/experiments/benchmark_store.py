"""Measure the datastore: writes lost when writers are killed, and times with many images."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from experiments.store_writers import Work, label_content, losses, make_studies, run_writers
from harness.local_postgresql import own_postgresql
from lib.server.overview.image_list import ImageList, Query, Sort, State
from lib.server.overview.statistics import LabelStatistics
from lib.server.store.datastore import StudiesDatastore

KILLS = 40


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="in the large folder (default: %(default)s)")
    parser.add_argument("--writers", type=int, default=8, help="processes at once (default: %(default)s)")
    parser.add_argument("--saves", type=int, default=200, help="labels that each saves (default: %(default)s)")
    parser.add_argument("--scores", type=int, default=400, help="scores that each stores (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=KILLS, help="writers killed (default: %(default)s)")
    parser.add_argument("--asks", type=int, default=500, help="times each request is measured (default: %(default)s)")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; the exit status is 1 where something was lost."""
    arguments = parse_arguments()
    figures = {}
    for kind in ("sqlite", "postgresql") if arguments.database == "both" else (arguments.database,):
        with tempfile.TemporaryDirectory(prefix="store-") as name, database(kind) as url:
            password = os.environ.get("PGPASSWORD", "")
            work = Work(
                Path(name) / "killed" / "studies",
                url,
                Path(name) / "acknowledged",
                arguments.saves,
                arguments.scores,
                password,
            )
            figures[kind] = {
                "killed": killed_writers(work, arguments.writers, arguments.kills),
                "large": large_folder(Path(name) / "large", url, arguments.images, arguments.asks),
            }
        print(json.dumps({kind: figures[kind]}, indent=1), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(any(figure["killed"]["lost"] for figure in figures.values()))


@contextlib.contextmanager
def database(kind: str) -> Iterator[str | None]:
    """The URL of a new database, ``None`` for SQLite."""
    if kind == "sqlite":
        yield None
        return
    with own_postgresql() as server:
        os.environ["PGPASSWORD"] = server.password
        yield server.url


def killed_writers(work: Work, writers: int, kills: int) -> dict[str, object]:
    """Losses after writers were killed."""
    make_studies(work.studies, 20)
    begin = time.perf_counter()
    StudiesDatastore(str(work.studies), work.database).close()
    killed = run_writers(work, writers, kills, seed=0)
    seconds = time.perf_counter() - begin
    lost = losses(work, writers)
    beside = sorted(path.name for path in work.studies.parent.iterdir() if path != work.studies)
    return {
        "writers": writers,
        "saves": work.saves * writers,
        "scores": work.scores * writers,
        "killed": killed,
        "lost": [*lost, *(f"{name} lies beside the studies folder" for name in beside)],
        "seconds": round(seconds, 1),
    }


def large_folder(folder: Path, url: str | None, count: int, asks: int) -> dict[str, object]:
    """Times of requests with many images."""
    images = make_studies(folder, count)
    before = memory_mb()
    begin = time.perf_counter()
    StudiesDatastore(str(folder), url).close()
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    store = StudiesDatastore(str(folder), url, auto_reload=True)
    again = time.perf_counter() - begin
    label = folder.parent / "label.mrk.json"
    label.write_bytes(label_content(0, 0))
    store.score_queries.set_scores("uncertainty", "1", {image: hash(image) % 1009 for image in images})

    def next_by(pick: Callable[[], str | None]) -> Callable[[int], None]:
        def ask(number: int) -> None:
            image = pick() or ""
            store.get_image_uri(image)
            store.update_image_info(image, {"strategy": {"by": {"ts": number}}})

        return ask

    requests: dict[str, Callable[[int], object]] = {
        "next_random": next_by(store.pick_random),
        "next_first": next_by(store.pick_first),
        "next_by_score": next_by(lambda: store.pick_by_score("uncertainty", "1")),
        "save_label": lambda number: store.save_label(
            images[number * 7919 % count], str(label), "final", {"user": "ada"}
        ),
        "status": lambda number: store.status(),
        **list_requests(store, count),
    }
    milliseconds = {}
    for name, ask in requests.items():
        taken = []
        for number in range(asks):
            begin = time.perf_counter()
            ask(number)
            taken.append(1000 * (time.perf_counter() - begin))
        milliseconds[name] = {f"p{q}": round(float(np.percentile(taken, q)), 1) for q in (50, 95, 99)}
    begin = time.perf_counter()
    listed = sum(len(piece) for piece in store.json_pieces())
    listing = time.perf_counter() - begin
    after = memory_mb()
    store.close()
    return {
        "images": count,
        "first_index_s": round(first, 1),
        "start_s": round(again, 1),
        "milliseconds": milliseconds,
        "list_of_all_s": round(listing, 1),
        "list_of_all_mb": round(listed / 1e6, 1),
        "memory_mb_more": round(after - before, 1),
    }


def list_requests(store: StudiesDatastore, count: int) -> dict[str, Callable[[int], object]]:
    """Requests of pages of 200 images, and of statistics."""
    pages, statistics = ImageList(store.context), LabelStatistics(store.context)
    queries = {
        "list_by_name": Query(),
        "list_by_name_middle": Query(offset=count // 2),
        "list_by_date": Query(sort=Sort.DATE, descending=True),
        "list_by_doubt": Query(sort=Sort.DOUBT, descending=True),
        "list_by_doubt_middle": Query(sort=Sort.DOUBT, descending=True, offset=count // 2),
        "list_labelled": Query(state=State.LABELLED, sort=Sort.LABELLED, descending=True),
        "list_search": Query(search="99"),
    }

    def page_of(query: Query) -> Callable[[int], object]:
        return lambda number: pages.page(query, "1")

    return {
        **{name: page_of(query) for name, query in queries.items()},
        "statistics": lambda number: statistics.summary(),
    }


def memory_mb() -> float:
    """Memory of this process."""
    return float(psutil.Process().memory_info().rss) / 1e6
