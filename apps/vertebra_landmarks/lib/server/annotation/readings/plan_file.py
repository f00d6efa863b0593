"""The plan of a studies folder, as its file has it now."""

from __future__ import annotations

from pathlib import Path

from ....spine.atomic_write import atomic_write
from ....study.plan import PLAN_FILE, StudyPlan, parse_plan, plan_text
from ...store.studies_folder import sync


class PlanError(ValueError):
    """The plan of the studies folder cannot be used; nothing is shown that it might hide."""


class PlanChangedError(ValueError):
    """The plan is not the one that was to be replaced; nothing was saved."""


class PlanFile:
    """Reads ``study.yaml`` whenever it has changed.

    Args:
        folder: the studies folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PLAN_FILE
        self._cached: tuple[tuple[int, ...], StudyPlan] | None = None

    def read(self) -> StudyPlan | None:
        """The plan; ``None`` where the folder has none.

        Raises:
            PlanError: the file is there and no plan, or cannot be read; a sentence.
        """
        try:
            state = self._state()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlanError(f"{PLAN_FILE} in the studies folder cannot be read: {error.strerror}") from error
        cached = self._cached
        if cached is not None and cached[0] == state:
            return cached[1]
        try:
            plan = parse_plan(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise PlanError(f"{PLAN_FILE} in the studies folder is no study plan: {reason}") from error
        self._cached = state, plan
        return plan

    def _state(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def write(self, plan: StudyPlan) -> None:
        """Replace the file as a whole.

        Raises:
            OSError: it cannot be written.
        """
        with atomic_write(self._path) as temporary:
            temporary.write_text(plan_text(plan), encoding="utf-8")
            sync(temporary)
        sync(self._path.parent)
