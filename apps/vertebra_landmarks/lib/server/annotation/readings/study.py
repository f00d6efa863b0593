"""The study of a studies folder: its plan as it is now, and what follows from it for each user."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from sqlalchemy import select

from ....image_io import Radiograph
from ....study.plan import StudyPlan
from ....study.slots import ImageReadings, is_closed
from ....study.visibility import viewer_of
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ...store.schema import readings, stores
from .adjudication import Adjudications
from .comparison import Comparisons
from .gate import Gate
from .plan_file import PlanChangedError, PlanFile
from .progress import Progress
from .reading_rows import Clock
from .slot_store import SlotStore
from .work_queue import WorkQueue

logger = logging.getLogger(__name__)

SETTLE_INTERVAL_S = 60.0
"""After which labels that came without a request, such as by an import, count as readings at the latest."""


def version_of(plan: StudyPlan | None) -> str:
    """What tells one plan from another; "" without one."""
    return "" if plan is None else plan.digest


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
        self.slots = SlotStore(store, now)
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
        viewer = viewer_of(plan, user, self._has_login)
        return Gate(self._store, plan, viewer, self._load, self.slots.now)

    def _load(self, images: Collection[str] | None) -> Mapping[str, ImageReadings]:
        with self._store.context.database.reading(snapshot=True) as connection:
            return self.slots.rows.load(connection, images)

    def change_plan(self, plan: StudyPlan, base_version: str | None = None) -> None:
        """Replace the plan.

        Args:
            plan: the new one.
            base_version: ``digest`` of the plan that is replaced, "" where there is none; ``None`` replaces any.

        Raises:
            PlanChangedError: there is another plan than that.
            OSError: its file cannot be written.
        """
        context = self._store.context
        with context.database.writing() as connection:  # of all servers of the folder, one after the other
            connection.execute(select(stores.c.key).where(stores.c.key == context.key).with_for_update())
            present = version_of(self._file.read())
            if base_version not in (None, present) and present != plan.digest:
                raise PlanChangedError("the study plan was changed meanwhile, and nothing was saved: look at it again")
            self._file.write(plan)
        self.settle(plan)

    def settle(self, plan: StudyPlan) -> None:
        """Make the readings follow the plan, unless they do already: cheap where nothing has changed.

        Labels without a row become readings; what readers that the plan no longer has had under work is released; the
        only reading of an image that is no longer to be read twice becomes its final label.
        """
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
                self._finish_single_readings(plan)
            self._settled = plan.digest, time.monotonic()

    def _finish_single_readings(self, plan: StudyPlan) -> None:
        for image, present in self._load(None).items():
            if present.adjudication is not None or not is_closed(plan, present):
                continue
            only = present.independent[0]
            if only.tag == FINAL:
                continue
            try:
                label = self._store.read_label_version(image, only.tag, only.version)
                self.adjudications.save(plan, image, label.content, label.metadata, only.number, only.reader)
            except Exception as error:  # the others are still finished
                logger.error("A single reading could not become a final label: %s", type(error).__name__)


def excluded_from_training(store: StudiesDatastore, images: Collection[str]) -> set[str]:
    """Those of some images with a label ``final`` that no model may learn from: held out, or not closed.

    Args:
        store: the studies folder.
        images: ids.

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
    return {image for image in images if image in is_open or plan.is_held_out(image)}
