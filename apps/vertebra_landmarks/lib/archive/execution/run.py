"""A run: planned or resumed, then done part by part by an executor, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from ..output import Output
from ..plan import Part, Plan
from ..results.refusals import read_refusals
from .job import Job
from .part_worker import PartReport, PartWorker

THREADS = 2
"""Parts that a process works on at once: one is predicted while the other is read or written."""


@dataclass(frozen=True)
class Share:
    """The parts of one of several processes that share a run: those with ``number % of == index``."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read ``I/N``, ``I`` from 0.

        Raises:
            ValueError: the text is none.
        """
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise ValueError(f"--shard must be I/N with I from 0 to N - 1, got {text!r:.80}")
        return cls(int(index), int(count))


class Executor(Protocol):
    """Does parts, in any order, anywhere."""

    def __call__(self, job: Job, parts: Iterator[Part]) -> Iterator[PartReport]:
        """Do the parts; each is reported when its file is written."""


@dataclass(frozen=True)
class Work:
    """What of a plan is done, and what is left to do.

    Attributes:
        numbers: of the parts to do.
        images: in them.
        done: images of the parts that are done.
        refused: of those, the images without landmarks.
    """

    numbers: Set[int] = field(repr=False)
    images: int
    done: int
    refused: int


def remaining_work(plan: Plan, output: Output, share: Share, retries: bool) -> Work:
    """The parts that are not done.

    Args:
        plan: of the run.
        output: of the run.
        share: of this process.
        retries: whether parts with images that another try may help are done once more.

    Raises:
        ValueError: a list of refusals is damaged.
        OSError: the output cannot be read.
    """
    mine = range(share.index, plan.parts, share.of)
    done = plan.done(output).intersection(mine)
    refusals = read_refusals(output, done)
    if retries:
        done -= {number for number, some in refusals.items() if any(not refusal.is_final for refusal in some)}
    numbers = set(mine) - done
    return Work(
        numbers,
        sum(plan.size_of(number) for number in numbers),
        sum(plan.size_of(number) for number in done),
        sum(len(some) for number, some in refusals.items() if number in done),
    )


def serial_executor(on_image: Callable[[], object]) -> Executor:
    """Does parts in this process.

    Args:
        on_image: called after each image, from any thread.
    """

    def execute(job: Job, parts: Iterator[Part]) -> Iterator[PartReport]:
        worker = PartWorker(job)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="part") as pool:
            running: set[Future[PartReport]] = set()
            try:
                for part in parts:
                    running.add(pool.submit(worker.do, part, on_image))
                    if len(running) == THREADS:
                        finished, running = wait(running, return_when=FIRST_COMPLETED)
                        yield from (future.result() for future in finished)
                yield from (future.result() for future in running)
            except BaseException:
                worker.stop()
                raise

    return execute
