"""Which weights are served: a version that was trained on the studies folder, or those that the server began with."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..learning.config import DEFAULT_WEIGHTS_FILE
from ..learning.weights.weight_files import (
    Weights,
    build_corner_net,
    build_network,
    file_digest,
    load_weights,
    save_weights,
)
from ..spine.atomic_write import atomic_write
from .versions import (
    VERSION,
    WEIGHTS_SUFFIX,
    Version,
    number_of,
    numbers_in,
    read_version,
    write_version,
)

logger = logging.getLogger(__name__)

FOLDER = ".vertebra_landmarks"
"""Folder below the studies for all that training keeps; names with a dot in front are no images."""
POINTER = "served.json"
"""In the folder of the versions: the number of the one that is served, and since when."""
MOST_KEPT, LEAST_KEPT = 10, 3
"""Versions on the disk, usually and at least: the served one, the one before it and the newest."""

Stamp = tuple[str, int, int, int, int]


def stamp(path: Path) -> Stamp:
    """What changes when another file, or a file with another content, takes the place: name, times in ns, size, inode.

    The time of the last change of the file's state cannot be set, unlike that of its content, which copies may keep.

    Raises:
        OSError: there is no such file.
    """
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


class ModelStore:
    """The weights that the server began with, which are never changed, and the versions trained from them here.

    The versions stay in the studies folder, through restarts and updates of the app. They belong to the weights that
    they were trained from: weights named with ``--conf weights`` are told apart by their content, and whoever starts
    the server with other ones gets these, or what was trained from these. A version is a file ``<number>.pt`` and one
    of facts, ``<number>.json``; which is served stands in a small file that is replaced in one step.

    Several processes may use a folder at once.

    Args:
        studies: the studies folder.
        weights: weight file that the server began with.

    Raises:
        OSError: the weight file cannot be read.
    """

    def __init__(self, studies: Path, weights: Path) -> None:
        self.folder = Path(studies) / FOLDER
        self._initial = Path(weights)
        self._initial_digest = file_digest(self._initial)
        is_shipped = self._initial.resolve() == DEFAULT_WEIGHTS_FILE
        suffix = "" if is_shipped else f"-{self._initial_digest}"
        self.versions_folder = self.folder / f"models{suffix}"
        self._checked: dict[Path, tuple[Stamp, bool]] = {}
        self._adopt(self.folder / f"model{suffix}.pt")

    @property
    def served(self) -> Path:
        """The weight file to use now."""
        return self.path_of(self.served_number)

    @property
    def served_number(self) -> int:
        """The version to use now; one that cannot be used gives way to the one that it was trained from."""
        number = self._pointed_at()
        while number and not self._is_usable(number):
            number = read_version(number, self.versions_folder).parent
        return number

    def path_of(self, number: int) -> Path:
        """The weight file of a version, 0 for the weights that the server began with."""
        return self.versions_folder / f"{number}{WEIGHTS_SUFFIX}" if number else self._initial

    def versions(self) -> list[Version]:
        """What is known about every version on the disk, in the order of their numbers."""
        return [read_version(number, self.versions_folder) for number in numbers_in(self.versions_folder)]

    def version(self, number: int) -> Version:
        """What is known about a version.

        Raises:
            ValueError: there is none of that number; the message names those that there are.
        """
        self._check_there(number)
        if number == 0:
            return Version(0, "", 0, self._initial_digest, self._initial_digest)
        return read_version(number, self.versions_folder)

    def lineage(self, number: int) -> list[Version]:
        """A version and those that it was trained from, the newest first, without the weights of the beginning."""
        line = []
        while number:
            line.append(read_version(number, self.versions_folder))
            number = line[-1].parent
        return line

    def keep(self, weights: Weights, parent: int, facts: Mapping[str, Any]) -> Version:
        """Keep trained weights as a version that is not served yet.

        Args:
            weights: what was trained; the number of the version is added to their facts.
            parent: number of the version that the training began with.
            facts: see ``Version``.

        Raises:
            ValueError: they do not fit their networks, or are not finite.
            OSError: they cannot be written.
        """
        _check(weights, self._initial)
        with self._alone():
            known = [*numbers_in(self.versions_folder), parent, self._pointed_at()]
            number, made = max(known) + 1, datetime.now(timezone.utc).isoformat(timespec="seconds")
            told = {**weights.facts, VERSION: {"number": number, "made": made}}
            path = self.path_of(number)
            with atomic_write(path) as temporary:  # appears when its facts are there
                save_weights(temporary, weights.state, weights.config, told, weights.prior, weights.refiner)
                version = Version(number, made, parent, self._initial_digest, file_digest(temporary), dict(facts))
                write_version(version, self.versions_folder)
            return version

    def serve(self, number: int) -> Version:
        """Serve a version from now on, 0 for the weights that the server began with.

        Raises:
            ValueError: there is none of that number, or this version of the app cannot use it.
            OSError: it cannot be noted which one is served.
        """
        with self._alone():
            self._check_there(number)
            if number and not self._is_usable(number):
                raise ValueError(f"version {number} cannot be used: its weight file is damaged, or of another release")
            self._point_at(number)
            return self.version(number)

    def publish(self, weights: Weights) -> str:
        """Keep weights as a version that was trained from the served one, and serve it.

        Returns:
            The version, see ``versions.version_of``.

        Raises:
            ValueError: they do not fit their networks, or are not finite; those in use stay.
            OSError: they cannot be written; those in use stay.
        """
        return self.serve(self.keep(weights, self.served_number, {}).number).name

    def roll_back(self, number: int | None = None) -> Version:
        """Serve an earlier version again.

        Args:
            number: which one; ``None`` for the one that the served version was trained from.

        Raises:
            ValueError: there is none of that number, it cannot be used, or nothing was trained here that could be
                taken back.
            OSError: it cannot be noted which one is served.
        """
        if number is None:
            now = self.served_number
            if not now:
                raise ValueError("the weights that the server began with are served: there is nothing to take back")
            number = read_version(now, self.versions_folder).parent
            while number and not self.path_of(number).is_file():  # deleted to save room
                number = read_version(number, self.versions_folder).parent
        return self.serve(number)

    def thin_out(self, most: int) -> list[int]:
        """Delete the oldest versions, but never the served one, the one that it was trained from, or the newest.

        What is known about them stays, so that later ones can tell which films were learnt from.

        Args:
            most: versions to leave on the disk.

        Returns:
            The numbers of those that were deleted.
        """
        with self._alone():
            numbers, served = numbers_in(self.versions_folder), self.served_number
            needed = {served, read_version(served, self.versions_folder).parent, *numbers[-1:]}
            spare = [number for number in numbers if number not in needed][: max(0, len(numbers) - most)]
            for number in spare:
                self.path_of(number).unlink(missing_ok=True)
            return spare

    def _adopt(self, former: Path) -> None:
        """Take over the single file in which releases before 0.5 kept what was trained."""
        if not former.is_file():
            return
        try:
            with self._alone():
                if not former.is_file():  # another process was quicker
                    return
                facts = load_weights(former).facts
                number = max([number_of(facts) or 1, *(n + 1 for n in numbers_in(self.versions_folder))])
                made = str((facts.get(VERSION) or {}).get("published", ""))
                write_version(Version(number, made, 0, self._initial_digest, file_digest(former)), self.versions_folder)
                self._point_at(number)
                former.replace(self.path_of(number))
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be taken over as a version of the model: %s", former.name, error)

    def _check_there(self, number: int) -> None:
        numbers = [0, *numbers_in(self.versions_folder)]
        if number not in numbers:
            raise ValueError(f"there is no version {number} of the model; there are {', '.join(map(str, numbers))}")

    def _pointed_at(self) -> int:
        try:
            number = json.loads((self.versions_folder / POINTER).read_text(encoding="utf-8"))["number"]
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return number if isinstance(number, int) and number > 0 else 0

    def _point_at(self, number: int) -> None:
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with atomic_write(self.versions_folder / POINTER) as temporary:
            temporary.write_text(json.dumps({"number": number, "since": since}), encoding="utf-8")

    def _is_usable(self, number: int) -> bool:
        """Whether this version of the app can use a version of the model; another one may have trained it."""
        path = self.path_of(number)
        try:
            present = stamp(path)
        except OSError:
            return False
        known = self._checked.get(path)
        if known is None or known[0] != present:
            known = self._checked[path] = present, _can_be_loaded(path)
        return known[1]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process changes the versions."""
        self.versions_folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.versions_folder / ".lock"):
            yield


def _check(weights: Weights, path: Path) -> None:
    """Raise ``ValueError`` unless both networks can be built."""
    build_network(weights, path)
    if weights.refiner is not None:
        build_corner_net(weights.refiner, path)


def _can_be_loaded(path: Path) -> bool:
    try:
        _check(load_weights(path), path)
    except (ValueError, OSError) as error:
        logger.warning("Version %s of the model cannot be used, the one before it is: %s", path.stem, error)
        return False
    return True
