"""The command ``predict_archive.py``: its arguments, the plan of its run, progress and exit status."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from _path_arguments import existing_file
from lib.archive.execution.attempts import DyingWorkersError
from lib.archive.execution.job import Job, ModelMismatchError
from lib.archive.execution.part_worker import GPU_BATCH_SIZE, PartReport
from lib.archive.execution.run import Executor, Share, Work, remaining_work, serial_executor
from lib.archive.output import Output, open_output
from lib.archive.plan import Part, Plan, check_options, check_source, make_plan, read_plan
from lib.archive.source.entries import Source, is_url
from lib.archive.source.opening import open_source
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.learning.models.devices import choose_device
from lib.learning.weights.weight_files import file_digest

ABANDONED, INTERRUPTED = 2, 130
"""Exit statuses: nothing is done because of the arguments or existing results; stopped by the user."""
DEFAULT_PART_SIZE, MAX_PART_SIZE = 40, 1_000
MAX_BATCH_SIZE = 256
MAX_NAMED = 200
"""Images without landmarks that are named on stderr; all are in the results."""


def parse_arguments(description: str | None, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder, manifest (.csv, .tsv, .parquet), URL of one of these, or dicomweb:https://pacs.example/dicom-web",
    )
    parser.add_argument("--output", required=True, help="folder or URL, such as s3://bucket/folder, for the results")
    parser.add_argument("--column", help="column of the manifest that has the images (default: image, path, file, ...)")
    parser.add_argument("--decoder", choices=DECODERS, default=DEFAULT_DECODER)
    parser.add_argument("--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--batch-size", type=int, help=f"images that a GPU predicts at once (default: {GPU_BATCH_SIZE}; on a CPU one)"
    )
    parser.add_argument("--part-size", type=int, help=f"images in a Parquet file (default: {DEFAULT_PART_SIZE})")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cluster", help="local:N, tcp://scheduler:8786 or the JSON file of a scheduler")
    where.add_argument("--shard", metavar="I/N", help="do the I-th of N shares of the parts here, I from 0")
    where.add_argument("--plan-only", action="store_true", help="list the archive, and predict nothing yet")
    parser.add_argument("--dashboard", action="store_true", help="serve Dask's dashboard of a local cluster")
    parser.add_argument(
        "--keep-plan", action="store_true", help="go on with what was planned; do not list SOURCE again"
    )
    parser.add_argument("--retry", action="store_true", help="try images again that were not fetched or set aside")
    parser.add_argument("--allow-refused", action="store_true", help="exit status 0 although images have no landmarks")
    parser.add_argument(
        "--dicomweb-filter", type=existing_file, metavar="FILE", help="which images of a PACS, see docs/PACS.md"
    )
    parser.add_argument(
        "--dicomweb-ca", type=existing_file, metavar="FILE", help="certificates that a PACS is checked with"
    )
    return parser.parse_args(arguments)


def main(description: str | None) -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments(description)
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as batch systems end a process
    try:
        share = Share(0, 1) if arguments.shard is None else Share.parse(arguments.shard)
        check_arguments(arguments)
        choose_device(arguments.device)
        output = open_output(arguments.output)
        lock = "run" if arguments.shard is None else f"shard-{share.index}-of-{share.of}"
        with output.lock(lock):
            return run(arguments, output, share)
    except (BlockingIOError, ModelMismatchError, ValueError) as error:
        print(f"predict_archive: {error}", file=sys.stderr)
        return ABANDONED
    except (OSError, DyingWorkersError) as error:
        print(f"predict_archive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("predict_archive: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, earlier)


def check_arguments(arguments: argparse.Namespace) -> None:
    """Check what argparse does not.

    Raises:
        ValueError: an argument is out of range.
    """
    for option, size, largest in (
        ("--part-size", arguments.part_size, MAX_PART_SIZE),
        ("--batch-size", arguments.batch_size, MAX_BATCH_SIZE),
    ):
        if size is not None and not 1 <= size <= largest:
            raise ValueError(f"{option} must be from 1 to {largest}, got {size}")


def run(arguments: argparse.Namespace, output: Output, share: Share) -> int:
    """Plan or resume, and do what is left; returns the exit status.

    Raises:
        ValueError: the run cannot be the one of the output.
        OSError: something cannot be read or written.
    """
    digest = file_digest(arguments.weights)
    place = arguments.output
    source = open_source(
        arguments.source,
        excluded=None if is_url(place) else Path(place),
        column=arguments.column,
        image_filter=arguments.dicomweb_filter,
        ca=arguments.dicomweb_ca,
    )
    job = Job(
        place if is_url(place) else str(Path(place).absolute()),
        source.root,
        arguments.weights.absolute(),
        digest,
        tuple(source.columns),
        arguments.decoder,
        arguments.device,
        arguments.batch_size,
        arguments.dicomweb_filter,
        arguments.dicomweb_ca,
    )
    plan = plan_of(arguments, output, source, job)
    work = remaining_work(plan, output, share, arguments.retry)
    print(
        f"{plan.entries:,} images in {plan.parts:,} parts; {work.images:,} to do here, {work.done:,} done.", flush=True
    )
    refused = work.refused
    if work.numbers and not arguments.plan_only:
        refused += predict(arguments, output, plan, job, work)
    if not arguments.plan_only:
        total = work.done + work.images
        print(f"{total - refused:,} of {total:,} images done; results are in {place}")
    return 1 if refused and not arguments.allow_refused else 0


def plan_of(arguments: argparse.Namespace, output: Output, source: Source, job: Job) -> Plan:
    """The plan in the output, compared with this run; made where there is none.

    Raises:
        ValueError: it is that of another run, or of another state of the archive.
        OSError: something cannot be read or written.
    """
    plan = read_plan(output)
    if plan is None:
        if arguments.keep_plan:
            raise ValueError(f"--keep-plan: there is no plan in {arguments.output}")
        size = arguments.part_size or DEFAULT_PART_SIZE
        return make_plan(source, arguments.source, output, size, job.options)
    check_options(plan, job.options, arguments.part_size, arguments.output)
    if plan.columns != tuple(source.columns):
        raise ValueError(f"the run in {arguments.output} is about a manifest with other columns: name another output")
    if not arguments.keep_plan:
        check_source(plan, source, arguments.output)
    return plan


def predict(arguments: argparse.Namespace, output: Output, plan: Plan, job: Job, work: Work) -> int:
    """Do the parts that are left, show progress, and name images without landmarks; returns how many those are."""
    refused = 0
    with (
        tqdm(
            total=work.done + work.images, initial=work.done, unit="image", disable=not sys.stderr.isatty()
        ) as progress,
        executor(arguments, progress.update) as execute,
    ):
        for report in execute(job, plan.read_parts(output, work.numbers)):
            for refusal in report.refusals:
                refused += 1
                if refused <= MAX_NAMED:
                    _say(f"{refusal.source}: {refusal.reason}")
    if refused > MAX_NAMED:
        _say(f"... and {refused - MAX_NAMED:,} more images without landmarks, which the results name")
    return refused


@contextlib.contextmanager
def executor(arguments: argparse.Namespace, on_images: Callable[[int], object]) -> Iterator[Executor]:
    """What does the parts: this process, or a cluster.

    Args:
        arguments: of the command.
        on_images: called with a number of images that were done.
    """
    if arguments.cluster is None:
        yield serial_executor(lambda: on_images(1))
        return
    from lib.archive.execution import cluster

    with cluster.cluster_client(
        arguments.cluster, arguments.dashboard, lambda link: _say(f"Dashboard: {link}")
    ) as client:

        def execute(job: Job, parts: Iterator[Part]) -> Iterator[PartReport]:
            for report in cluster.execute(client, job, parts):
                on_images(report.images)
                yield report

        yield execute


def _say(text: str) -> None:
    tqdm.write(text.encode(errors="backslashreplace").decode(), file=sys.stderr)
