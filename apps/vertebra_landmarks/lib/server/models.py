"""Model versions of a studies folder: their files, and which one is served."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
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

logger = logging.getLogger(__name__)

FOLDER = ".vertebra_landmarks"
"""Folder below the studies for the app's own files; hidden names are no images."""
POINTER = "served.json"
"""In the folder of the versions: the number of the served one, and since when."""
MAX_VERSIONS, MIN_VERSIONS = 10, 3
"""Weight files to keep by default, and at least: the served version, its parent and the newest."""
WEIGHTS_SUFFIX, FACTS_SUFFIX = ".pt", ".json"
VERSION = "version"
"""Metadata key of weights trained here: the ``number`` of their version and when it was ``made``, ISO 8601. Releases
before 0.5 wrote ``published`` instead."""
TRAINED_ON, HELD_OUT = "trained_on", "held_out"
"""Metadata keys of a version: its images, as digests of image and label by image id."""
IMAGE_DIGEST = "image"
"""Key of the image's digest among these."""

FileSignature = tuple[str, int, int, int, int]


def file_signature(path: Path) -> FileSignature:
    """Path, mtime and ctime in ns, size and inode of a file: another value means another file or another content.

    Copies may keep the mtime; the ctime cannot be set.

    Raises:
        OSError: there is no such file.
    """
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


def without_nan(value: Any) -> Any:
    """The value with ``None`` for non-finite numbers, which JSON lacks, at any depth of dicts and lists."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Version:
    """Metadata of one model version.

    Attributes:
        number: 1 for the first one trained in a folder; 0 for the initial weights.
        made: when, ISO 8601.
        parent: number of the version that the training started from.
        initial: digest of the initial weights of the server then.
        digest: of the weight file.
        facts: of the training: ``settings``, ``stages``, ``gate``, ``TRAINED_ON`` and ``HELD_OUT``, where known.
    """

    number: int
    made: str
    parent: int
    initial: str
    digest: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Number and time, for display."""
        return f"{self.number} ({self.made})"

    def images(self, subset: str) -> dict[str, Any]:
        """Digests by image id of the images of a subset, ``TRAINED_ON`` or ``HELD_OUT``."""
        digests = self.facts.get(subset)
        return dict(digests) if isinstance(digests, Mapping) else {}

    def image_digests(self, subset: str) -> set[str]:
        """Digests of these images, whatever their ids."""
        return {str(of.get(IMAGE_DIGEST)) for of in self.images(subset).values() if isinstance(of, Mapping)}

    def summary(self) -> dict[str, Any]:
        """Plain values, with counts in place of image ids."""
        anonymous = {name: value for name, value in self.facts.items() if name not in (TRAINED_ON, HELD_OUT)}
        counts = {subset: len(self.images(subset)) for subset in (TRAINED_ON, HELD_OUT)}
        return {**asdict(self), "facts": {**anonymous, **counts}, "name": self.name}


def version_name(metadata: Mapping[str, Any]) -> str:
    """Display name of the version that weights belong to.

    Args:
        metadata: of the weights.

    Returns:
        "0" for weights that were not trained by a server, else number and time: "2 (2026-11-23T01:49:48+00:00)".
    """
    number = version_number(metadata)
    if not number:
        return "0"
    version = metadata[VERSION]
    return f"{number} ({version.get('made', version.get('published'))})"


def version_number(metadata: Mapping[str, Any]) -> int:
    """Number of the version in the metadata of weights, 0 where they have none."""
    version = metadata.get(VERSION)
    number = version.get("number") if isinstance(version, Mapping) else None
    return number if isinstance(number, int) and number > 0 else 0


def write_version(version: Version, folder: Path) -> None:
    """Write the metadata file of a version.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(folder / f"{version.number}{FACTS_SUFFIX}") as temporary:
        temporary.write_text(json.dumps(without_nan(asdict(version)), indent=1, allow_nan=False), encoding="utf-8")


def read_version(number: int, folder: Path) -> Version:
    """Metadata of a version; the number alone where the file is missing or damaged."""
    try:
        content = json.loads((folder / f"{number}{FACTS_SUFFIX}").read_text(encoding="utf-8"))
        made, initial, digest = (str(content[name]) for name in ("made", "initial", "digest"))
        facts, parent = dict(content["facts"]), int(content["parent"])
    except (OSError, ValueError, KeyError, TypeError):
        return Version(number, "", 0, "", "")
    return Version(number, made, parent if 0 <= parent < number else 0, initial, digest, facts)


def version_numbers(folder: Path) -> list[int]:
    """Numbers of the versions with a weight file in a folder, ascending."""
    stems = (path.stem for path in folder.glob(f"[1-9]*{WEIGHTS_SUFFIX}"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


class ModelStore:
    """The initial weights, which never change, and the versions trained from them on a studies folder.

    The versions lie in the studies folder and survive restarts and updates of the app. They belong to the initial
    weights: other ``--conf weights``, told apart by content, have versions of their own. A version is a weight file
    ``<number>.pt`` with its metadata ``<number>.json``; ``POINTER``, replaced atomically, names the served one.

    Safe for several processes.

    Args:
        studies: the studies folder.
        weights: file of the initial weights.

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
        self._usable: dict[Path, tuple[FileSignature, bool]] = {}
        self._adopt(self.folder / f"model{suffix}.pt")

    @property
    def studies_name(self) -> str:
        """Name of the studies folder, as weights state it."""
        return self.folder.parent.resolve().name or "studies"

    @property
    def served(self) -> Path:
        """The weight file to use now."""
        return self.path_of(self.served_number)

    @property
    def served_number(self) -> int:
        """The version to use now; the nearest usable ancestor where the chosen one is unusable."""
        number = self._read_pointer()
        while number and not self._is_usable(number):
            number = read_version(number, self.versions_folder).parent
        return number

    def path_of(self, number: int) -> Path:
        """The weight file of a version, 0 for the initial weights."""
        return self.versions_folder / f"{number}{WEIGHTS_SUFFIX}" if number else self._initial

    def versions(self) -> list[Version]:
        """Metadata of all versions on the disk, by ascending number."""
        return [read_version(number, self.versions_folder) for number in version_numbers(self.versions_folder)]

    def version(self, number: int) -> Version:
        """Metadata of a version.

        Raises:
            ValueError: there is none of that number; the message lists those that exist.
        """
        self._check_exists(number)
        if number == 0:
            return Version(0, "", 0, self._initial_digest, self._initial_digest)
        return read_version(number, self.versions_folder)

    def lineage(self, number: int) -> list[Version]:
        """A version and its ancestors, newest first, without the initial weights."""
        line = []
        while number:
            line.append(read_version(number, self.versions_folder))
            number = line[-1].parent
        return line

    def add(self, weights: Weights, parent: int, facts: Mapping[str, Any]) -> Version:
        """Store trained weights as a version that is not served yet.

        Args:
            weights: what was trained; the number of the version is added to their metadata.
            parent: number of the version that the training started from.
            facts: see ``Version``.

        Raises:
            ValueError: they do not fit their networks, or are not finite.
            OSError: they cannot be written.
        """
        _check(weights, self._initial)
        with self._locked():
            taken = [*version_numbers(self.versions_folder), parent, self._read_pointer()]
            number, made = max(taken) + 1, datetime.now(timezone.utc).isoformat(timespec="seconds")
            metadata = {**weights.facts, VERSION: {"number": number, "made": made}}
            path = self.path_of(number)
            with atomic_write(path) as temporary:  # appears only after its metadata
                save_weights(temporary, weights.state, weights.config, metadata, weights.prior, weights.refiner)
                version = Version(number, made, parent, self._initial_digest, file_digest(temporary), dict(facts))
                write_version(version, self.versions_folder)
            return version

    def serve(self, number: int) -> Version:
        """Serve a version from now on, 0 for the initial weights.

        Raises:
            ValueError: there is none of that number, or this release of the app cannot use it.
            OSError: the pointer cannot be written.
        """
        with self._locked():
            self._check_exists(number)
            if number and not self._is_usable(number):
                raise ValueError(f"version {number} cannot be used: its weight file is damaged, or of another release")
            self._write_pointer(number)
            return self.version(number)

    def roll_back(self, number: int | None = None) -> Version:
        """Serve an earlier version again.

        Args:
            number: which one; ``None`` for the nearest ancestor of the served version that is on the disk.

        Raises:
            ValueError: there is none of that number, it cannot be used, or the initial weights are served already.
            OSError: the pointer cannot be written.
        """
        if number is None:
            now = self.served_number
            if not now:
                raise ValueError("the weights that the server began with are served: there is nothing to take back")
            number = read_version(now, self.versions_folder).parent
            while number and not self.path_of(number).is_file():  # pruned
                number = read_version(number, self.versions_folder).parent
        return self.serve(number)

    def prune(self, max_versions: int) -> list[int]:
        """Delete the weight files of the oldest versions, except the served one, its parent and the newest.

        Their metadata stay, so that later versions can tell which images were trained on.

        Args:
            max_versions: weight files to leave on the disk.

        Returns:
            The numbers of the deleted versions.
        """
        with self._locked():
            numbers, served = version_numbers(self.versions_folder), self.served_number
            required = {served, read_version(served, self.versions_folder).parent, *numbers[-1:]}
            spare = [number for number in numbers if number not in required][: max(0, len(numbers) - max_versions)]
            for number in spare:
                self.path_of(number).unlink(missing_ok=True)
            return spare

    def _adopt(self, former: Path) -> None:
        """Turn the single weight file of releases before 0.5 into a version."""
        if not former.is_file():
            return
        try:
            with self._locked():
                if not former.is_file():  # adopted by another process meanwhile
                    return
                metadata = load_weights(former).facts
                number = max([version_number(metadata) or 1, *(n + 1 for n in version_numbers(self.versions_folder))])
                made = str((metadata.get(VERSION) or {}).get("published", ""))
                write_version(Version(number, made, 0, self._initial_digest, file_digest(former)), self.versions_folder)
                self._write_pointer(number)
                former.replace(self.path_of(number))
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be adopted as a version of the model: %s", former.name, error)

    def _check_exists(self, number: int) -> None:
        numbers = [0, *version_numbers(self.versions_folder)]
        if number not in numbers:
            raise ValueError(f"there is no version {number} of the model; there are {', '.join(map(str, numbers))}")

    def _read_pointer(self) -> int:
        try:
            number = json.loads((self.versions_folder / POINTER).read_text(encoding="utf-8"))["number"]
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return number if isinstance(number, int) and number > 0 else 0

    def _write_pointer(self, number: int) -> None:
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with atomic_write(self.versions_folder / POINTER) as temporary:
            temporary.write_text(json.dumps({"number": number, "since": since}), encoding="utf-8")

    def _is_usable(self, number: int) -> bool:
        """Whether this release of the app can load a version; another release may have trained it."""
        path = self.path_of(number)
        try:
            signature = file_signature(path)
        except OSError:
            return False
        cached = self._usable.get(path)
        if cached is None or cached[0] != signature:
            cached = self._usable[path] = signature, _can_be_loaded(path)
        return cached[1]

    @contextmanager
    def _locked(self) -> Iterator[None]:
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
