"""The study of a studies folder: its plan as it is now, and what follows from it for each user."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from sqlalchemy import select

from ....image_io import Radiograph
from ....learning.data.labelled_items import patient_by_name
from ....study.plan import StudyPlan
from ....study.plan_warnings import plan_warnings, reader_warnings
from ....study.slots import ImageReadings, adjudication_of, is_closed
from ....study.visibility import viewer_of
from ....study.withheld import held_out_images
from ...overview.patients import patients_of
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ...store.schema import readings, stores
from ...store.store_context import Clock
from .adjudication import Adjudications
from .comparison import Comparisons
from .gate import Gate
from .plan_file import PlanChangedError, PlanError, PlanFile
from .progress import Progress
from .reading_rows import AUTOMATIC
from .slot_store import SlotStore
from .work_queue import WorkQueue

logger = logging.getLogger(__name__)

SETTLE_INTERVAL_S = 60.0
"""After which labels that came without a request, such as by an import, count as readings at the latest."""


def version_of(plan: StudyPlan | None) -> str:
    """What tells one plan from another; "" without one."""
    return "" if plan is None else plan.digest


class PlanEffect(NamedTuple):
    """What a change of the plan does to images that were read.

    Attributes:
        closes: number of images that become final, and are shown to everybody.
        opens: number of images that are to be read further, and are hidden from their readers.
    """

    closes: int
    opens: int


class Study:
    """The study of a studies folder; every method looks at the plan that its file has now.

    Args:
        store: the studies folder.
        read_image: an image by its id.
        has_login: whether users are known, rather than stated.
        now: seconds since 1970.

    Attributes:
        slots: readings, made and under work.
        queue: what is to be read.
        comparisons: of readings.
        adjudications: choices of final labels.
        progress: of the study.
    """

    def __init__(
        self,
        store: StudiesDatastore,
        read_image: Callable[[str], Radiograph],
        has_login: bool,
        now: Clock | None = None,
    ) -> None:
        self._store, self._has_login = store, has_login
        self._file = PlanFile(store.context.folder.path)
        self.slots = SlotStore(store, now, has_login)
        self.queue = WorkQueue(store.context, self.slots)
        self.comparisons = Comparisons(store, read_image)
        self.adjudications = Adjudications(store, self.slots, self.queue, self.comparisons)
        self.progress = Progress(store.context, self.slots)
        self._lock = threading.Lock()
        self._settled = "", 0.0
        self._warned = ""
        store.score_queries.skips_read = lambda: self.plan() is not None

    def plan(self) -> StudyPlan | None:
        """The plan; ``None`` without one.

        Raises:
            PlanError: there is a file that is no plan.
        """
        plan = self._file.read()
        if plan is not None and plan.blind and not self._has_login and self._warned != plan.digest:
            self._warned = plan.digest
            logger.warning("The study is blind and there is no login: who somebody is, is believed; see --conf tokens")
        return plan

    def gate(self, user: str) -> Gate:
        """What a user sees.

        Args:
            user: as known by the login, else as stated; "" for nobody in particular.
        """
        plan = self.plan()
        self.slots.history.note(plan)
        viewer = viewer_of(plan, user, self._has_login)
        return Gate(self._store, plan, viewer, self._load, self.slots.now)

    def _load(self, images: Collection[str] | None) -> Mapping[str, ImageReadings]:
        with self._store.context.database.reading(snapshot=True) as connection:
            return self.slots.rows.load(connection, images)

    def effect_of(self, plan: StudyPlan) -> PlanEffect:
        """What replacing the plan by another one does; without a plan, what was read is shown to everybody."""
        try:
            present = self._file.read()
        except PlanError:
            present = None
        found = self._load(None).values()
        was_closed = [present is None or is_closed(present, image) for image in found]
        closed = [is_closed(plan, image) for image in found]
        changes = list(zip(was_closed, closed, strict=True))
        return PlanEffect(changes.count((False, True)), changes.count((True, False)))

    def change_plan(self, plan: StudyPlan, base_version: str | None = None) -> PlanEffect:
        """Replace the plan, and return what that does.

        Args:
            plan: the new one.
            base_version: ``digest`` of the plan that is replaced, "" where there is none; ``None`` replaces any.

        Raises:
            PlanChangedError: there is another plan than that.
            OSError: its file cannot be written.
        """
        context, effect = self._store.context, self.effect_of(plan)
        with context.database.writing() as connection:  # of all servers of the folder, one after the other
            connection.execute(select(stores.c.key).where(stores.c.key == context.key).with_for_update())
            present = version_of(self._file.read())
            if base_version not in (None, present) and present != plan.digest:
                raise PlanChangedError("the study plan was changed meanwhile, and nothing was saved: look at it again")
            self._file.write(plan)
        self.settle(plan)
        return effect

    def warnings(self, plan: StudyPlan, with_readers: bool = True) -> list[str]:
        """Sentences on what a plan names that is not there, and on whom it no longer names.

        Args:
            plan: of the study.
            with_readers: tell of readers, which a blind reader may not know of.
        """
        context = self._store.context
        found = plan_warnings(plan, self._store.list_images()) if plan.hold_out.images else []
        if not with_readers:
            return found
        query = select(readings.c.reader).where(readings.c.store == context.key, readings.c.number > 0).distinct()
        with context.database.reading() as connection:
            return found + reader_warnings(plan, list(connection.execute(query).scalars()))

    def settle(self, plan: StudyPlan) -> None:
        """Make the readings follow the plan, unless they do already: cheap where nothing has changed.

        Labels without a row become readings; what readers that the plan no longer has had under work is released; the
        only reading of an image that is no longer to be read twice becomes its final label, until it is again.
        """
        self.slots.history.note(plan)
        digest, at = self._settled
        if digest == plan.digest and time.monotonic() - at < SETTLE_INTERVAL_S:
            return
        with self._lock:
            rows, database = self.slots.rows, self._store.context.database
            with database.writing() as connection:
                rows.drop_removed(connection)
                rows.adopt(connection, None)
                rows.release_expired(connection)
                number, reader = readings.c.number, readings.c.reader
                rows.release(connection, number > 0, reader.not_in(plan.readers))
                rows.release(connection, number == 0, reader.not_in(plan.adjudicators))
            if digest != plan.digest:
                self._open_again(plan)
                self._finish_single_readings(plan)
            self._settled = plan.digest, time.monotonic()

    def _open_again(self, plan: StudyPlan) -> None:
        """Remove the final labels that an earlier plan has chosen, of images that are to be read twice."""
        for image, present in self._load(None).items():
            if present.adjudication is not None and adjudication_of(plan, present) is None:
                try:
                    self._store.remove_label(image, FINAL)
                except Exception as error:  # the others are still opened
                    logger.error("A final label could not be taken back: %s", type(error).__name__)

    def _finish_single_readings(self, plan: StudyPlan) -> None:
        for image, present in self._load(None).items():
            if present.adjudication is not None or not is_closed(plan, present):
                continue
            only = present.independent[0]
            if only.tag == FINAL:
                continue
            try:
                label = self._store.read_label_version(image, only.tag, only.version)
                self.adjudications.save(
                    plan, image, label.content, label.metadata, only.number, only.reader, kind=AUTOMATIC
                )
            except Exception as error:  # the others are still finished
                logger.error("A single reading could not become a final label: %s", type(error).__name__)


def excluded_from_training(store: StudiesDatastore, images: Collection[str], pattern: str = "") -> set[str]:
    """Those of some images with a label ``final`` that no model may learn from.

    They are held out, of a patient one of whose images is held out, with a label or without, or not closed.

    Args:
        store: the studies folder.
        images: ids.
        pattern: finds the patient in an image id, see ``labelled_items.patient_of``.

    Raises:
        PlanError: the plan cannot be read.
    """
    plan = PlanFile(store.context.folder.path).read()
    if plan is None:
        return set()
    slots = SlotStore(store)
    with store.context.database.reading(snapshot=True) as connection:
        found = slots.rows.load(connection, images)
    is_open = {image for image, of in found.items() if not is_closed(plan, of)}
    every = {*images, *(image for image in store.list_images() if plan.is_held_out(image))}
    if pattern:
        patients = {image: patient_by_name(image, pattern) for image in every}
    else:
        patients = patients_of(store, every) if any(map(plan.is_held_out, every)) else {}
    held_out = held_out_images(plan, patients)
    return {image for image in images if image in is_open or image in held_out}
