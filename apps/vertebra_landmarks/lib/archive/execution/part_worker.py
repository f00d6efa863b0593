"""One part: its images are read while others are predicted, and its rows are written as one file."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...image_io import Radiograph, UnreadableImageError
from ...image_io.errors import error_text
from ...learning.models.devices import choose_device
from ...learning.prediction.request import PredictionRequest
from ...learning.prediction.result import Prediction
from ..output import open_output
from ..plan import Part
from ..results.record import ImageRecord
from ..results.refusals import Refusal, write_refusals
from ..results.schema import ResultRow, decode_part, encode_part
from ..source.entries import Entry
from ..source.image_reader import ImageReader, UnreachableImageError
from .attempts import PartAttempts
from .isolated import predict_isolated
from .job import Job, load_model

logger = logging.getLogger(__name__)

READ_AHEAD = 2
"""Images that are read while another is predicted, and threads that read."""
GPU_BATCH_SIZE = 8
"""Images that go through the networks at once on a GPU, where nothing else is asked."""


class StoppedError(Exception):
    """The run has ended."""


@dataclass(frozen=True)
class PartReport:
    """What a process says of a part that it has done.

    Attributes:
        number: of the part.
        images: in it.
        refusals: those of them without landmarks.
    """

    number: int
    images: int
    refusals: tuple[Refusal, ...]


class _ReadImage(NamedTuple):
    """Attributes: the pixels, or the record of an image without; seconds that it took."""

    content: Radiograph | ImageRecord
    seconds: float


class PartWorker:
    """Predicts parts of one job; the model is loaded with the first image.

    Several threads may each do a part: one image is predicted at a time, while the others read and write.

    Args:
        job: the run.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._output = open_output(job.output)
        self._reader = ImageReader(job.root, job.image_filter, job.ca)
        self._request = PredictionRequest(job.decoder)
        self._batch_size = job.batch_size or (GPU_BATCH_SIZE if choose_device(job.device).type == "cuda" else 1)
        self._predicting = threading.Lock()
        self._is_stopped = threading.Event()

    def do(self, part: Part, on_image: Callable[[], object] = lambda: None) -> PartReport:
        """Predict all images of a part and write its file.

        Images of an earlier file of the part are taken from there if their rows are final.

        Args:
            part: to do.
            on_image: called after each image.

        Raises:
            OSError: the results cannot be written.
            ValueError: an earlier file of the part is damaged.
            DyingWorkersError: see ``PartAttempts``.
            StoppedError: after ``stop``.
        """
        attempts = PartAttempts(self._output, part.number)
        try:
            kept = self._kept(part)
            todo = [entry for entry in part.entries if entry.index not in kept]
            records = self._carefully(todo, attempts) if attempts.is_careful else self._overlapped(todo)
            for entry, record in zip(todo, records, strict=True):
                kept[entry.index] = ResultRow(entry, record, self._job.digest)
                on_image()
                if self._is_stopped.is_set():
                    raise StoppedError
            rows = [kept[entry.index] for entry in part.entries]
            report = PartReport(part.number, len(rows), tuple(_refusals(rows)))
            write_refusals(self._output, part.number, report.refusals)
            self._output.write(part.file, encode_part(rows, self._job.columns))
        finally:
            attempts.end()
        return report

    def stop(self) -> None:
        """End all parts that are at work before their next image, with ``StoppedError``."""
        self._is_stopped.set()

    def _kept(self, part: Part) -> dict[int, ResultRow]:
        try:
            content = self._output.read(part.file)
        except FileNotFoundError:
            return {}
        rows = decode_part(content, self._job.columns, part.file)
        return {row.entry.index: row for row in rows if row.record.is_final}

    def _carefully(self, entries: list[Entry], attempts: PartAttempts) -> Iterator[ImageRecord]:
        """One image at a time, each noted before it is touched."""
        for entry in entries:
            attempts.begin(entry.index)
            if attempts.is_suspect(entry.index):
                yield predict_isolated(self._job, entry.source)
            else:
                yield from self._predicted([self._read(entry)])

    def _overlapped(self, entries: list[Entry]) -> Iterator[ImageRecord]:
        """Images are read in threads while others are predicted here, a batch at a time."""
        reading: deque[Future[_ReadImage]] = deque()

        def next_batch() -> list[_ReadImage]:
            return [reading.popleft().result() for _ in range(min(self._batch_size, len(reading)))]

        with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="read-image") as pool:
            for entry in entries:
                reading.append(pool.submit(self._read, entry))
                if len(reading) >= self._batch_size + READ_AHEAD:
                    yield from self._predicted(next_batch())
            while reading:
                yield from self._predicted(next_batch())

    def predict_image(self, source: str) -> ImageRecord:
        """Predict one image.

        Raises:
            OSError: there is no room for a temporary file.
        """
        (record,) = self._predicted([self._read(Entry(0, source))])
        return record

    def _read(self, entry: Entry) -> _ReadImage:
        started = time.perf_counter()
        content: Radiograph | ImageRecord
        if entry.defect is not None:
            content = ImageRecord(entry.defect)
        else:
            try:
                content = self._reader.read(entry.source)
            except UnreadableImageError as error:
                content = ImageRecord(str(error))
            except UnreachableImageError as error:
                content = ImageRecord(str(error), is_final=False)
        return _ReadImage(content, time.perf_counter() - started)

    def _predicted(self, batch: Sequence[_ReadImage]) -> list[ImageRecord]:
        """The records of images, in their order; each takes its share of the seconds of the batch."""
        images = [image.content for image in batch if isinstance(image.content, Radiograph)]
        with self._predicting:
            started = time.perf_counter()
            predicted = iter(self._predict_batch(images))
            seconds = (time.perf_counter() - started) / max(1, len(images))
        return [
            replace(next(predicted), seconds=image.seconds + seconds)
            if isinstance(image.content, Radiograph)
            else replace(image.content, seconds=image.seconds)
            for image in batch
        ]

    def _predict_batch(self, images: list[Radiograph]) -> list[ImageRecord]:
        """Records without seconds; where a batch fails, as for lack of memory, its images are predicted singly."""
        if not images:
            return []
        model = load_model(self._job.weights, self._job.digest, self._job.device)
        try:
            return [_record(result) for result in model.predict_batch(images, self._request)]
        except Exception as error:  # of a network or device; one image must not end the run
            if len(images) > 1:
                logger.warning("A batch of %d images is predicted singly after %r", len(images), error)
                return [record for image in images for record in self._predict_batch([image])]
            logger.exception("An image could not be predicted")
            return [ImageRecord(f"{type(error).__name__}: {error_text(error)}", is_final=False)]


def _record(result: Prediction | Exception) -> ImageRecord:
    return ImageRecord(str(result)) if isinstance(result, Exception) else ImageRecord.of(result)


def _refusals(rows: Iterable[ResultRow]) -> Iterator[Refusal]:
    for entry, record, _ in rows:
        if record.refused is not None:
            yield Refusal(entry.source, record.refused, record.is_final)
