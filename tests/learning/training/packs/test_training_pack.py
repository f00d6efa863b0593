"""Images in one file, what is held out, and what is known of the data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lib.learning.codec import PRESENT, STATE, UNNAMED
from lib.learning.data.formats.data_set import DataImage, DataSet
from lib.learning.training.packs.training_pack import (
    BOXED,
    GENERATED,
    LABELLED,
    MAX_LENGTH,
    PHANTOM,
    STRIP,
    PackedImage,
    TrainingPack,
    anonymous,
    read_pack,
    write_pack,
)
from lib.learning.weights.provenance import facts_of, trained_on
from lib.spine.schema import POINTS, VERTEBRAE


def label_of(state: float) -> np.ndarray:
    """``(V, P, 3)`` with all points in one state."""
    label = np.random.default_rng(0).uniform(1, 90, (len(VERTEBRAE), len(POINTS), 3))
    label[..., STATE] = state
    return label


def data_set(folder: Path, is_own: bool = True) -> DataSet:
    """Three images of two patients."""
    images = []
    for number, (patient, fold) in enumerate([("id Smith", 2), ("id Jones", 0), ("id Smith", 2)]):
        path = folder / f"Smith_{number}.png"
        path.write_bytes(b"image %d" % number)
        points = np.full((len(VERTEBRAE), len(POINTS), 2), float(number))
        images.append(DataImage(path, path.name, points, label_of(PRESENT), patient, fold))
    return DataSet("spines", tuple(images), is_own=is_own)


def image(kind: str, fold: int = -1, record: int = -1) -> PackedImage:
    """An image of a few pixels."""
    return PackedImage(np.zeros((4, 4), np.uint8), label_of(PRESENT), kind, fold, record=record)


def test_images_come_back_as_they_were_packed(tmp_path: Path) -> None:
    y, x = np.mgrid[:120, :70]
    images = (
        PackedImage((x + y).astype(np.uint8), label_of(PRESENT), LABELLED, 3, record=1),
        PackedImage((255 - x).astype(np.uint8)[:90], label_of(UNNAMED), GENERATED, is_taught=True),
    )
    path = tmp_path / "pack.npz"
    write_pack(path, TrainingPack(images, anonymous(data_set(tmp_path)), {"longest": 1280, "model_folds": None}))
    found = read_pack(path)
    assert found.facts == {"longest": 1280, "model_folds": None}
    for one, other in zip(images, found.images, strict=True):
        assert (one.kind, one.fold, one.is_taught, one.record) == (
            other.kind,
            other.fold,
            other.is_taught,
            other.record,
        )
        np.testing.assert_allclose(one.label, other.label, atol=1e-4)
        assert one.pixels.shape == other.pixels.shape
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 2


def test_a_pack_knows_patients_and_images_but_names_nobody(tmp_path: Path) -> None:
    data, path = data_set(tmp_path), tmp_path / "pack.npz"
    images = tuple(image(LABELLED, one.fold, number) for number, one in enumerate(data.images))
    write_pack(path, TrainingPack(images, anonymous(data)))
    assert b"Smith" not in path.read_bytes()
    pack = read_pack(path)
    learnt = pack.records_of(pack.learnable(0, None))
    assert facts_of(pack.data, 0, learnt) == facts_of(data, 0, [data.images[0], data.images[2]])
    seen = trained_on(facts_of(data, None, [data.images[0]]))
    assert seen.patients_of(pack.data) == {pack.data.images[0].patient} == {pack.data.images[2].patient}
    with pytest.raises(ValueError, match=r"trained on your data spines: it knows 2 of the 2 images in fold 2"):
        seen.check_held_out(pack.data, 2, "weights.pt")
    seen.check_held_out(pack.data, 0, "weights.pt")


def test_the_data_of_the_challenge_stay_those(tmp_path: Path) -> None:
    path = tmp_path / "pack.npz"
    write_pack(path, TrainingPack((image(LABELLED, 2, 0),), anonymous(data_set(tmp_path, is_own=False))))
    pack = read_pack(path)
    assert not pack.data.is_own
    seen = trained_on(facts_of(pack.data, 2, pack.records_of(pack.images)))
    assert seen.is_known
    assert seen.folds == {0, 1, 3, 4}


def test_what_is_held_out_is_not_learnt(tmp_path: Path) -> None:
    kinds = [(LABELLED, 0), (LABELLED, 1), (BOXED, 0), (BOXED, 1), (STRIP, 1), (GENERATED, -1), (PHANTOM, -1)]
    pack = TrainingPack(tuple(image(kind, fold) for kind, fold in kinds), anonymous(data_set(tmp_path)))

    def learnt(fold: int | None, boxes_fold: int | None) -> list[tuple[str, int]]:
        return [(one.kind, one.fold) for one in pack.learnable(fold, boxes_fold)]

    assert learnt(None, None) == kinds
    assert learnt(0, 1) == [(LABELLED, 1), (BOXED, 0), (GENERATED, -1), (PHANTOM, -1)]
    assert learnt(None, 0) == [kind for kind in kinds if kind != (BOXED, 0)]


def test_what_is_no_pack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, labels=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz is no training pack"):
        read_pack(path)
    path.write_text("text", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.npz is no training pack"):
        read_pack(path)
    with pytest.raises(FileNotFoundError):
        read_pack(tmp_path / "none.npz")


def test_a_pack_of_another_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / "pack.npz"
    write_pack(path, TrainingPack((image(LABELLED, 2, 0),), anonymous(data_set(tmp_path))))
    with np.load(path) as content:
        parts = dict(content)
    header = {**json.loads(parts["header"].tobytes()), "version": 2}
    np.savez(path, **{**parts, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
    with pytest.raises(ValueError, match=r"pack\.npz is no training pack .*: its version is 2, not 1$"):
        read_pack(path)


def test_a_pack_that_lacks_a_record_or_an_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pack.npz"
    write_pack(path, TrainingPack((image(LABELLED, 2, 0),), anonymous(data_set(tmp_path))))
    with np.load(path) as content:
        parts = dict(content)
    for name, value in (("image_records", np.array([7])), ("pixels", parts["pixels"][:9]), ("kinds", np.array([9]))):
        np.savez(path, **{**parts, name: value})
        with pytest.raises(ValueError, match="is no training pack"):
            read_pack(path)


def test_images_that_cannot_be_packed_are_refused(tmp_path: Path) -> None:
    data = anonymous(data_set(tmp_path))
    with pytest.raises(ValueError, match="there is no image to pack"):
        write_pack(tmp_path / "pack.npz", TrainingPack((), data))
    long = PackedImage(np.zeros((MAX_LENGTH + 1, 1), np.uint8), label_of(PRESENT), PHANTOM)
    with pytest.raises(ValueError, match="16383 pixels"):
        write_pack(tmp_path / "pack.npz", TrainingPack((long,), data))
    assert not (tmp_path / "pack.npz").exists()
