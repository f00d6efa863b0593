"""All images and labels of a training in one file, for a machine that has the file and no data set."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ....spine.atomic_write import atomic_write
from ....spine.schema import POINTS, VERTEBRAE
from ...data.formats.data_set import DataImage, DataSet
from ...data.formats.folds import group_of

LABELLED, BOXED, STRIP, GENERATED, PHANTOM, SPINELESS = KINDS = (
    "labelled",
    "boxed",
    "strip",
    "generated",
    "phantom",
    "spineless",
)
"""Of images: of the labelled data set; with boxes, whole or strips of the spine; generated ones; phantoms; no spine."""
NO_FOLD = NO_RECORD = -1
DEFAULT_QUALITY, MAX_LENGTH = 88, 16383
"""Of the stored WebP images: quality, and pixels that a side may have."""
_VERSION = 1
_THREADS = 6


@dataclass(frozen=True, eq=False)
class PackedImage:
    """One image with its label.

    Attributes:
        pixels: ``(H, W)`` uint8, upright and windowed.
        label: ``(V, P, 3)`` x, y, state in its pixels.
        kind: one of ``KINDS``.
        fold: that it belongs to; ``NO_FOLD`` where it is of none.
        is_taught: whether a model has placed its points, not a person or a generator.
        record: index of the image in the data set of ``TrainingPack``; ``NO_RECORD`` where it is not of it.
    """

    pixels: np.ndarray
    label: np.ndarray
    kind: str
    fold: int = NO_FOLD
    is_taught: bool = False
    record: int = NO_RECORD


@dataclass(frozen=True, eq=False)
class TrainingPack:
    """Content of a pack.

    Attributes:
        images: all of them.
        data: the labelled data set that images are of, without pixels, points and names: patients are running numbers,
            images their digests. What weights were trained on is told by it.
        facts: what the pack was made with.
    """

    images: tuple[PackedImage, ...]
    data: DataSet
    facts: Mapping[str, Any] = field(default_factory=dict)

    def learnable(self, fold: int | None, boxes_fold: int | None) -> list[PackedImage]:
        """Images that may be learnt from.

        Args:
            fold: of the data set, that is held out; ``None`` for none.
            boxes_fold: of the images with boxes, strips included, likewise.
        """
        held_out = {LABELLED: fold, BOXED: boxes_fold, STRIP: boxes_fold}
        return [one for one in self.images if held_out.get(one.kind) is None or one.fold != held_out[one.kind]]

    def records_of(self, images: Iterable[PackedImage]) -> list[DataImage]:
        """What the data set has of images that are of it."""
        return [self.data.images[image.record] for image in images if image.record != NO_RECORD]


def anonymous(data: DataSet) -> DataSet:
    """A data set as a pack knows it, see ``TrainingPack``.

    Raises:
        OSError: an image cannot be read.
    """
    numbers = {group: str(number) for number, group in enumerate(sorted(set(map(group_of, data.images))), start=1)}
    records = [(image.digest, numbers[group_of(image)], image.fold) for image in data.images]
    return _data_set({"name": data.name, "digest": data.digest, "is_own": data.is_own}, records)


def _data_set(values: Mapping[str, Any], records: Iterable[Sequence[Any]]) -> DataSet:
    unknown = np.full((len(VERTEBRAE), len(POINTS), 2), np.nan)
    images = tuple(
        DataImage(Path(digest), str(digest), unknown, None, str(patient), int(fold), file_digest=str(digest))
        for digest, patient, fold in records
    )
    return DataSet(str(values["name"]), images, is_own=bool(values["is_own"]), known_digest=str(values["digest"]))


def write_pack(path: Path, pack: TrainingPack, quality: int = DEFAULT_QUALITY) -> None:
    """Write a pack, the images as WebP.

    Args:
        path: of the file.
        pack: its content.
        quality: of the images, up to 100.

    Raises:
        ValueError: there is no image, or one is too large for WebP.
        OSError: the file cannot be written.
    """
    images, data = pack.images, pack.data
    if not images:
        raise ValueError("there is no image to pack")
    if any(max(image.pixels.shape) > MAX_LENGTH for image in images):
        raise ValueError(f"images of a pack may be {MAX_LENGTH} pixels high and wide at most")
    with ThreadPoolExecutor(_THREADS) as pool:
        coded = list(pool.map(partial(_coded, quality=quality), (image.pixels for image in images)))
    header = {
        "version": _VERSION,
        "data": {"name": data.name, "digest": data.digest, "is_own": data.is_own},
        "records": [(one.digest, one.patient, one.fold) for one in data.images],
        "facts": dict(pack.facts),
    }
    content: dict[str, Any] = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "pixels": np.frombuffer(b"".join(coded), np.uint8),
        "lengths": np.array([len(part) for part in coded], np.int64),
        "labels": np.stack([image.label for image in images]).astype(np.float32),
        "kinds": np.array([KINDS.index(image.kind) for image in images], np.int8),
        "folds": np.array([image.fold for image in images], np.int8),
        "taught": np.array([image.is_taught for image in images]),
        "image_records": np.array([image.record for image in images], np.int64),
    }
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **content)


def read_pack(path: Path) -> TrainingPack:
    """Read a pack; nothing in it is executed.

    Raises:
        ValueError: it is no pack, or of another version.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as content:
                parts = {name: content[name] for name in content.files}
            header = json.loads(parts["header"].tobytes())
            if header["version"] != _VERSION:
                raise ValueError(f"its version is {header['version']}, not {_VERSION}")
            data = _data_set(header["data"], header["records"])
            images = _images(parts, len(data.images))
            return TrainingPack(images, data, dict(header["facts"]))
        except (KeyError, IndexError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path.name} is no training pack that this scripts/pack_training.py writes: {error}"
            ) from error


def _images(parts: Mapping[str, np.ndarray], records: int) -> tuple[PackedImage, ...]:
    """Images of the arrays of a pack whose data set has so many images."""
    ends, blob, labels = np.cumsum(parts["lengths"]), parts["pixels"].tobytes(), parts["labels"]
    if labels.shape != (len(ends), len(VERTEBRAE), len(POINTS), 3):
        raise ValueError(f"labels of shape {labels.shape}")
    if not ((parts["image_records"] >= NO_RECORD) & (parts["image_records"] < records)).all():
        raise ValueError("an image that the data set lacks")
    coded = [blob[end - length : end] for end, length in zip(ends, parts["lengths"], strict=True)]
    with ThreadPoolExecutor(_THREADS) as pool:
        pixels = list(pool.map(_decoded, coded))
    columns = (parts[name].tolist() for name in ("kinds", "folds", "taught", "image_records"))
    return tuple(
        PackedImage(image, label, KINDS[kind], fold, taught, record)
        for image, label, kind, fold, taught, record in zip(pixels, labels, *columns, strict=True)
    )


def _coded(pixels: np.ndarray, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=4)
    return stream.getvalue()


def _decoded(coded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(coded)) as image:
        return np.asarray(image.convert("L"))
