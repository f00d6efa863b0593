"""Work with a PACS without a server: ``pacs.py list|fetch|infer|send|status URL``.

``list`` is a trial of the filter: what passes, what does not, and why; nothing is stored. ``fetch`` fills the cache of
the working folder, so that a server finds the images there. ``infer`` predicts all images that the served model has not
predicted. ``send`` sends the labels that wait, and reads those that others have reported. ``status`` says how much is
waiting, sent and refused. All of them go on where they were interrupted, and work while a server runs. They take the
settings of the server (``--conf dicomweb_...``); the login is better put into the environment, see docs/PACS.md.

The exit status is 0 if everything was done, 1 if some was refused or cannot be done, and 2 if the PACS cannot be used.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter

import _app_path  # noqa: F401
from _pacs_night import UNREACHABLE, infer, send, show_status
from lib.server.config import parse_conf
from lib.server.filenames import check_studies
from lib.server.log_privacy import install_log_redaction
from lib.server.pacs.client import PacsClient, PacsError
from lib.server.pacs.listing import Judged, Listing
from lib.server.pacs.pacs_images import PacsImages, open_pacs_store
from lib.server.pacs.settings import PacsSettings, pacs_settings
from lib.server.pacs.watcher import PacsWatcher
from lib.server.store.datastore import StudiesDatastore

PASSES = "passes"
MAX_TEXT = 32
"""Characters of a description that are shown."""
FULL = 0.95
"""Share of the cache that is filled; the rest is for what annotators ask for."""
PROGRESS_INTERVAL = 50


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, description in (
        ("list", "count the instances by what the filter looks at, and say which pass"),
        ("fetch", "fetch the images that pass into the cache of the working folder"),
        ("infer", "predict the images that the served model has not predicted"),
        ("send", "send the labels that wait, and read those that others have reported"),
        ("status", "say how much is waiting, sent and refused, without asking the PACS"),
    ):
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument("url", help="address of the DICOMweb service, such as https://pacs.example/dicom-web")
        command.add_argument(
            "--conf", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="setting; repeatable"
        )
        if name == "list":
            command.add_argument("--rows", type=int, default=40, help="rows that are shown (default: %(default)s)")
        elif name == "send":
            command.add_argument("--refused", action="store_true", help="send what was refused again, too")
        elif name == "fetch":
            command.add_argument("--limit", type=int, help="number of images (default: as many as the cache holds)")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    install_log_redaction()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        check_studies(arguments.url)
        config = parse_conf(dict(arguments.conf))
        settings = pacs_settings(arguments.url, config)
        if arguments.command == "list":
            return list_instances(settings, arguments.rows)
        if arguments.command == "fetch":
            return fetch_images(settings, config.database, arguments.limit)
        if arguments.command == "infer":
            return infer(settings, config)
        return (
            send(settings, config, arguments.refused) if arguments.command == "send" else show_status(settings, config)
        )
    except PacsError as error:
        print(error, file=sys.stderr)
        return UNREACHABLE
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130


def list_instances(settings: PacsSettings, rows: int) -> int:
    """Print how many instances there are of each kind, and whether the filter lets them pass; returns 0.

    Raises:
        PacsError: the PACS does not answer as it should.
    """
    client = PacsClient(settings)
    try:
        pages = Listing(client, settings.image_filter).pages()
        kinds = Counter(kind_of(judged) for page in pages for judged in page)
    finally:
        client.close()
    ordered = sorted(kinds.items(), key=lambda item: (item[0][0] != PASSES, -item[1], item[0]))
    table = [(str(count), *kind) for kind, count in ordered]
    print_table([("instances", "filter", "modality", "body part", "view", "study", "series"), *table[:rows]])
    if len(table) > rows:
        print(f"... and {len(table) - rows} more rows; --rows shows them")
    passing = sum(count for kind, count in kinds.items() if kind[0] == PASSES)
    print(f"{passing:,} of {sum(kinds.values()):,} instances pass the filter.")
    return 0


def kind_of(judged: Judged) -> tuple[str, ...]:
    """What the filter looks at, without what tells patients apart."""
    of = judged.instance
    texts = of.modality, of.body_part, of.view, of.study_description, of.series_description
    return judged.reason or PASSES, *(text[:MAX_TEXT] or "-" for text in texts)


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows of texts in columns, the first one aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for first, *others in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(others, widths[1:], strict=True))
        print(f"{first:>{widths[0]}}  {line}".rstrip())


def fetch_images(settings: PacsSettings, database: str | None, limit: int | None) -> int:
    """Fetch images that are not in the cache; returns 0 if all wanted ones are there then.

    Raises:
        PacsError: the PACS does not answer as it should.
    """
    store, source = open_pacs_store(settings, database)
    try:
        PacsWatcher(source, store, settings).compare()
        images = store.get_unlabeled_images()[:limit]
        print(f"{len(images):,} images without a label {'are' if len(images) != 1 else 'is'} wanted.", flush=True)
        return _fetch(source, store, images, settings.cache_bytes)
    finally:
        store.close()


def _fetch(source: PacsImages, store: StudiesDatastore, images: list[str], cache_bytes: int) -> int:
    fetched = failed = 0
    size = source.cache.size()[1]
    for done, (image, name) in enumerate(zip(images, store.files(images), strict=True), 1):
        if source.cache.find(name) is None:
            if size > FULL * cache_bytes:
                print(
                    f"The cache is full after {done - 1:,} images; --conf dicomweb_cache_mb makes it larger.",
                    file=sys.stderr,
                )
                return 1
            try:
                path = store.get_image_uri(image)
            except PacsError as error:
                if source.failure is not None:
                    raise
                print(f"Image {image}: {error}", file=sys.stderr)
                failed += 1
                continue
            size += source.cache.path(name).stat().st_size if path else 0
            fetched += bool(path)
        if done % PROGRESS_INTERVAL == 0:
            print(f"{done:,} of {len(images):,}", flush=True)
    print(f"{fetched:,} fetched, {len(images) - fetched - failed:,} were there, {failed:,} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
