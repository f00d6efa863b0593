"""A labelled data set, whatever format it came in: images, labels, patients and folds."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ....spine.geometry import transform_points
from ....spine.labels.landmark_names import NameMap
from .. import IMAGE, LABEL

DIGITS = 16
"""Of the digests of images and labels, as in the versions of a server's models."""


def digest_of(content: bytes) -> str:
    """A short name of some bytes."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


@dataclass(frozen=True, eq=False)
class DataImage:
    """One labelled image.

    Attributes:
        path: image file.
        name: what tables call it.
        points: ``(V, P, 2)`` labelled pixels of the stored image, NaN where there is none.
        label: ``(V, P, 3)`` what a training learns, x, y and state; ``None`` where the points cannot be trusted.
        patient: images of one patient share it.
        fold: of the patient.
        is_trusted: whether points and names can be trusted.
        angles: ``(3,)`` official angles in degrees; ``None`` without any.
        file_digest: ``digest``, where it is known.
        to_upright: ``(3, 3)`` from stored pixels to those of the upright image; ``None`` where they are the same.
        is_patient_stated: whether somebody says whose image it is, rather than its name alone.
    """

    path: Path
    name: str
    points: np.ndarray
    label: np.ndarray | None
    patient: str
    fold: int = 0
    is_trusted: bool = True
    angles: np.ndarray | None = None
    file_digest: str = ""
    to_upright: np.ndarray | None = None
    is_patient_stated: bool = True

    def upright(self, xy: np.ndarray) -> np.ndarray:
        """Points ``(..., 2)`` in pixels of the upright image, of points in stored pixels."""
        return xy if self.to_upright is None else transform_points(self.to_upright, xy)

    def upright_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the upright image, of those of the stored one."""
        if self.to_upright is None:
            return size
        width, height = np.abs(self.to_upright[:2, :2]) @ np.array(size)
        return max(1, int(width)), max(1, int(height))

    @property
    def is_complete(self) -> bool:
        """Whether all 85 points are labelled."""
        return bool(np.isfinite(self.points).all())

    @property
    def digest(self) -> str:
        """A short name of the image's file, by its content.

        Raises:
            OSError: it cannot be read.
        """
        return self.file_digest or digest_of(self.path.read_bytes())

    def item(self) -> dict[str, Any]:
        """What a trainer takes: ``IMAGE`` and ``LABEL``.

        Raises:
            ValueError: there is nothing to learn from it.
        """
        if self.label is None:
            raise ValueError(f"the points of {self.name} cannot be trusted")
        return {IMAGE: str(self.path), LABEL: self.label}


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labelled images.

    Attributes:
        name: what messages and weight files call it.
        images: in the order of the file or folder.
        skipped: a sentence for each label that cannot be used.
        is_own: whether it is a user's; else the AASCE training split.
        known_digest: ``digest``, where it is known.
    """

    name: str
    images: tuple[DataImage, ...]
    skipped: tuple[str, ...] = ()
    is_own: bool = True
    known_digest: str = ""

    @property
    def unstated(self) -> int:
        """Number of images whose patient nobody states, so that their names tell."""
        return sum(not image.is_patient_stated for image in self.images)

    @cached_property
    def digest(self) -> str:
        """A short name of images and labels together, whatever their order and file names.

        Raises:
            OSError: an image cannot be read.
        """
        if self.known_digest:
            return self.known_digest
        parts = sorted(f"{one.digest} {digest_of(np.ascontiguousarray(one.points).tobytes())}" for one in self.images)
        return digest_of("\n".join(parts).encode())

    def in_fold(self, fold: int | None) -> list[DataImage]:
        """Images of a fold; none of no fold."""
        return [image for image in self.images if image.fold == fold]

    def outside(self, fold: int | None) -> list[DataImage]:
        """Images of all other folds."""
        return [image for image in self.images if image.fold != fold]


def to_items(images: Iterable[DataImage]) -> list[dict[str, Any]]:
    """Training items of the images that can be learnt from."""
    return [image.item() for image in images if image.label is not None]


@dataclass(frozen=True)
class DataOptions:
    """How to read a data set.

    Attributes:
        image_folder: where the images of a label file are, in subfolders too; ``None`` for the file's own folder.
        names: what names of vertebrae, points and categories stand for.
        patients: pattern for the patient in an image's name, see ``labelled_items.check_pattern``; "" for none.
    """

    image_folder: Path | None = None
    names: NameMap = field(default_factory=NameMap)
    patients: str = ""


class DataFormat(ABC):
    """One way in which labelled images are stored."""

    name: ClassVar[str]
    expected: ClassVar[str]
    """What a path of this format is, in words."""

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a file or folder looks like this format; it may still be damaged."""

    @abstractmethod
    def read(self, path: Path, options: DataOptions) -> DataSet:
        """Read all labelled images; of a user's data, folds are still to be dealt.

        Raises:
            ValueError: it is not of this format.
            OSError: a file that it consists of cannot be read.
        """


def names_of(images: Sequence[DataImage], most: int = 3) -> str:
    """Names of some images in words."""
    listed = ", ".join(image.name for image in images[:most])
    return listed if len(images) <= most else f"{listed} and {len(images) - most} more"
