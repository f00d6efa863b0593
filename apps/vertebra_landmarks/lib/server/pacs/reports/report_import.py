"""Reads structured reports of the PACS back: ours become label versions, edited Cobb lines a proposal."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path

from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from sqlalchemy import select

from ....image_io import UnreadableImageError, read_radiograph
from ....spine.imaging.image_geometry import PIXELS, ImageGeometry
from ....spine.labels.markups import to_markups
from ....structured_report import CobbLinesReport, LandmarkReport, parse_report
from ....structured_report.cobb_proposal import DrawnAngle
from ...annotation.landmarks import TOUCHED
from ...store.datastore import StudiesDatastore
from ...store.schema import pacs_reports
from ...store.store_context import ImageUnavailableError
from ..client import GoneError, PacsClient, PacsError
from ..image_catalogue import SUFFIX, ImageCatalogue
from ..instances import InstanceUids, are_uids
from .label_import import FoundVersion, LabelImport
from .outbox import LabelReference, Outbox
from .proposal import Drawing, propose

logger = logging.getLogger(__name__)

RETRY_INTERVAL_S = 60.0
"""Before reports are read again whose images, or which themselves, the PACS did not return."""
_BATCH = 200
MAX_EDITS = 50
"""Edits of one report after the other that are followed back to the label."""
MAX_UNMATCHED = 200_000
"""Reports of studies without an image of the catalogue that are remembered."""


class ReportImport:
    """Reads each report once, in the studies of images that are known.

    Reports of studies without such an image are looked at again when images are added to the catalogue.

    Attributes:
        postponed: ids of images with reports that could not be read yet.

    Args:
        store: of the labels.
        catalogue: of the images.
        client: of the PACS.
        outbox: whose own reports are recognized.
    """

    def __init__(self, store: StudiesDatastore, catalogue: ImageCatalogue, client: PacsClient, outbox: Outbox) -> None:
        self._store, self._catalogue, self._client, self._outbox = store, catalogue, client, outbox
        self._labels = LabelImport(store.context)
        self._database, self._ours = store.context.database, pacs_reports.c.store == store.context.key
        self._unmatched: dict[str, InstanceUids] = {}
        self._images, self._again_at = -1, math.inf
        self.postponed: set[str] = set()

    def read(self, found: Collection[InstanceUids]) -> int:
        """Read reports that are not known yet; returns how many became label versions.

        Args:
            found: reports in the PACS.

        Raises:
            PacsError: the PACS cannot be used; what was not read is read the next time.
        """
        self._unmatched.update({uids.instance: uids for uids in found})
        images = self._catalogue.count()
        if not self._unmatched or (images == self._images and not found and time.monotonic() < self._again_at):
            return 0
        self._images, self._again_at, self.postponed = -1, math.inf, set()
        for known in (self._outbox.recognized(self._unmatched), set(self._remembered(list(self._unmatched)))):
            for uid in known:
                self._unmatched.pop(uid, None)
        count, reasons = 0, Counter[str]()
        for reports in self._by_study().values():
            count += self._read_study(reports, reasons)
        self._images = images
        for uid in list(self._unmatched)[MAX_UNMATCHED:]:
            del self._unmatched[uid]
        for reason, number in reasons.most_common():
            logger.warning("%d structured reports of others in the PACS are ignored: %s", number, reason)
        if count:
            logger.warning("%d label versions were read from structured reports in the PACS", count)
        return count

    def _postpone(self, image: str | None = None) -> None:
        """Try again later, since something is not there yet."""
        self._again_at = time.monotonic() + RETRY_INTERVAL_S
        if image is not None:
            self.postponed.add(image)

    def _by_study(self) -> dict[str, list[InstanceUids]]:
        """The reports of studies with images of the catalogue."""
        studies: dict[str, list[InstanceUids]] = {}
        for uids in self._unmatched.values():
            studies.setdefault(uids.study, []).append(uids)
        known = self._catalogue.studies(studies)
        return {study: reports for study, reports in studies.items() if study in known}

    def _remembered(self, uids: list[str]) -> Iterator[str]:
        for start in range(0, len(uids), _BATCH):
            at = self._ours, pacs_reports.c.instance_uid.in_(uids[start : start + _BATCH])
            with self._database.reading() as connection:
                yield from connection.execute(select(pacs_reports.c.instance_uid).where(*at)).scalars()

    def _remember(self, uids: InstanceUids) -> None:
        values = {"store": self._store.context.key, "instance_uid": uids.instance}
        with self._database.writing() as connection:
            connection.execute(self._database.insert(pacs_reports).values(values).on_conflict_do_nothing())
        self._unmatched.pop(uids.instance, None)

    def _read_study(self, found: list[InstanceUids], reasons: Counter[str]) -> int:
        """Read the reports of a study: label versions first, older ones before those that correct them."""
        landmarks: list[tuple[InstanceUids, LandmarkReport]] = []
        lines: list[tuple[InstanceUids, CobbLinesReport]] = []
        for uids in found:
            try:
                report, reason = parse_report(self._client.retrieve(uids))
            except GoneError:
                report, reason = None, ""
            except PacsError:
                if self._client.failure is not None:
                    raise
                self._postpone()  # it fails on this one
                continue
            if isinstance(report, LandmarkReport):
                landmarks.append((uids, report))
            elif isinstance(report, CobbLinesReport) and not report.is_ours:
                lines.append((uids, report))
            else:
                reasons.update([reason] if reason else [])
                self._remember(uids)
        count = sum(self._take_over(uids, report) for uids, report in in_order(landmarks))
        for uids, report in sorted(lines, key=lambda line: (line[1].saved_at, line[0].instance)):
            self._propose(uids, report)
        return count

    def _take_over(self, uids: InstanceUids, report: LandmarkReport) -> bool:
        """Make a report a label version; returns whether it was not here before."""
        image, label = self._catalogue.id_of(report.image.sop_instance_uid), report.label
        if not self._is_ready(image):
            return False
        metadata = dict(label.info)
        if label.touched is not None:
            metadata.setdefault(TOUCHED, sorted(label.touched))
        try:
            content = json.dumps(to_markups(label.spine, self._geometry(image)), indent=1, allow_nan=False).encode()
            version = FoundVersion(label.version, label.digest, content, metadata)
            note = partial(self._outbox.note_found, uids=uids)
            is_new = self._labels.take_over(image, label.tag, version, self._outbox.has_rows, note)
        except (ImageUnavailableError, ImageNotFoundException):
            self._postpone(image)
            return False
        except ValueError as error:  # such as metadata that is too long
            logger.warning(
                "A structured report in the PACS holds a label that cannot be kept: %s", type(error).__name__
            )
            is_new = False
        self._remember(uids)
        return is_new

    def _propose(self, uids: InstanceUids, report: CobbLinesReport) -> None:
        """Save what drawn lines would change as a proposal."""
        by_image: dict[str, list[DrawnAngle]] = {}
        for angle in report.angles:
            by_image.setdefault(self._catalogue.id_of(angle.image_uid), []).append(angle)
        if not all(self._is_ready(image) for image in by_image):
            return
        try:
            of = self._edited_label(report)
            for image, angles in by_image.items():
                version = None if of is None else (of.tag, of.version)
                if of is None or of.image == image:
                    drawing = Drawing(angles, report.observer, report.saved_at, version)
                    propose(self._store, image, self._geometry(image), drawing)
        except (ImageUnavailableError, ImageNotFoundException):
            for image in by_image:
                self._postpone(image)
            return
        except (LabelNotFoundException, FileNotFoundError):
            logger.warning("Cobb lines that were edited in a viewer are those of a label that is not here any more")
        except ValueError as error:
            logger.warning("Cobb lines in the PACS fit no label: %s", type(error).__name__)
        self._remember(uids)

    def _edited_label(self, report: CobbLinesReport) -> LabelReference | None:
        """The label version whose lines a person has edited; ``None`` where they are drawn anew.

        A viewer names the report that it has shown, which may be an edited one itself, and so on.

        Raises:
            LabelNotFoundException: that version is not here.
            PacsError: the PACS does not return one of the reports.
        """
        before, seen = report.predecessor, {report.document.sop_instance_uid}
        if before is None:
            return None
        while before is not None and before.sop_instance_uid not in seen and len(seen) < MAX_EDITS:
            seen.add(before.sop_instance_uid)
            label = self._outbox.label_of(before.sop_instance_uid)
            if label is not None:
                return label
            uids = InstanceUids(before.study_uid, before.series_uid, before.sop_instance_uid)
            try:
                earlier, _ = parse_report(self._client.retrieve(uids)) if are_uids(uids) else (None, "")
            except GoneError:
                break
            if not isinstance(earlier, CobbLinesReport):
                break
            if earlier.is_ours:  # of another site, or of before the database was lost
                label = self._outbox.label_of(earlier.landmarks_uid) if earlier.landmarks_uid else None
                if label is not None:
                    return label
                break
            if earlier.predecessor is None:
                return None
            before = earlier.predecessor
        raise LabelNotFoundException("the label version of these lines is not here")

    def _is_ready(self, image: str) -> bool:
        """Whether the store has an image; one that is only in the catalogue will come in a moment."""
        if self._store.has_image(image):
            return True
        if self._catalogue.entry(f"{image}{SUFFIX}") is not None:
            self._postpone(image)
            self._again_at = 0.0
        return False

    def _geometry(self, image: str) -> ImageGeometry:
        """The geometry of an image; that of an image without one where it cannot be read.

        Raises:
            ImageUnavailableError: it cannot be fetched now.
        """
        try:
            return read_radiograph(Path(self._store.get_image_uri(image))).geometry
        except UnreadableImageError:
            return PIXELS


def in_order(reports: Iterable[tuple[InstanceUids, LandmarkReport]]) -> list[tuple[InstanceUids, LandmarkReport]]:
    """Reports by time and number of the label versions, none before the one that it corrects."""
    waiting = {uids.instance: (uids, report) for uids, report in sorted(reports, key=_age)}
    ordered: list[tuple[InstanceUids, LandmarkReport]] = []

    def add(uid: str) -> None:
        chain = []
        while uid in waiting:
            chain.append(waiting.pop(uid))
            before = chain[-1][1].predecessor
            uid = "" if before is None else before.sop_instance_uid
        ordered.extend(reversed(chain))

    for uid in list(waiting):
        add(uid)
    return ordered


def _age(entry: tuple[InstanceUids, LandmarkReport]) -> tuple[float, int, str]:
    label = entry[1].label
    saved_at = label.info.get("ts")
    return float(saved_at) if isinstance(saved_at, (int, float)) else 0.0, label.version, entry[0].instance
