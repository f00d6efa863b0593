"""Which images weights were trained on, as their facts tell."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib.learning.config import CornerConfig, NetworkConfig, load_config
from lib.learning.data.formats.data_set import DataImage, DataSet
from lib.learning.models.corner_net import CornerNet
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.provenance import (
    AASCE,
    BOXED,
    IMAGES,
    OWN,
    KnownImages,
    TrainedOn,
    file_of_each_fold,
    file_trained_on,
    init_facts,
    public_facts,
    read_known_images,
    trained_on,
)
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    CornerWeights,
    file_digest,
    load_weights,
    networks_digest,
    save_weights,
)

PATCH = CornerConfig(16, 24, 8.0, 4, 0)
KNOTS = ((0.1, 0.1), (1.0, 1.0))
ERRORS = ErrorModel(KNOTS, KNOTS, 0.0, 0.0, 1.0, 1.0)
ALL = frozenset(range(5))


def facts(fold: int | None, **more: Any) -> dict[str, Any]:
    """What a training on the AASCE layout stores."""
    return {"data": AASCE, "fold": fold, "radiographs": 346, **more}


def known(*folds: int, boxes: tuple[int, ...] = ()) -> TrainedOn:
    """Trained on these folds and no other images."""
    return TrainedOn(frozenset(folds), frozenset(boxes), True)


def own(images: str = "aa bb", **more: Any) -> dict[str, Any]:
    """What a training on a user's data stores."""
    stored = {"data": OWN, "data_set": {"name": "spines", "digest": "0f", "images": 3}, "fold": 0, "radiographs": 2}
    return {**stored, IMAGES: images, **more}


def known_own(*images: str, is_known: bool = True, boxes: tuple[int, ...] = ()) -> TrainedOn:
    """Trained on these images of a user."""
    return TrainedOn(frozenset(), frozenset(boxes), is_known, frozenset(images), frozenset({"spines"}))


BEFORE = {"digest": "0123456789ab", "folds": [0, 1, 2, 3], "box_folds": [3], "is_known": True}
CASES = {
    "one fold held out": (facts(0), known(1, 2, 3, 4)),
    "none held out": (facts(None), known(0, 1, 2, 3, 4)),
    "boxes of the other folds": (facts(2, boxed_radiographs=9), known(0, 1, 3, 4, boxes=(0, 1, 3, 4))),
    "boxes of all": (facts(None, boxed_radiographs=9), known(0, 1, 2, 3, 4, boxes=(0, 1, 2, 3, 4))),
    "another fold of the boxes": (
        facts(None, boxed_radiographs=9, boxes_fold=1),
        known(0, 1, 2, 3, 4, boxes=(0, 2, 3, 4)),
    ),
    "a training from a pack, all of the boxes but fold 0": (
        facts(
            None, boxed_radiographs=9, boxed_strips=5, generated_radiographs=7, phantoms=3, boxes_fold=0, pack="ee3263"
        ),
        known(0, 1, 2, 3, 4, boxes=(1, 2, 3, 4)),
    ),
    "no fold of the boxes": (
        facts(1, boxed_radiographs=9, boxes_fold=None),
        known(0, 2, 3, 4, boxes=(0, 1, 2, 3, 4)),
    ),
    "begun with others": (facts(4, init=BEFORE), known(0, 1, 2, 3, boxes=(3,))),
    "begun with others that saw more": (facts(1, init=BEFORE), known(0, 1, 2, 3, 4, boxes=(3,))),
    "begun with unknown ones": (
        facts(0, init={**BEFORE, "folds": [], "box_folds": [], "is_known": False}),
        TrainedOn(frozenset({1, 2, 3, 4}), frozenset(), False),
    ),
    "of a studies folder": ({"data": "labels of the studies folder", "radiographs": 9}, None),
    "of a studies folder, begun with others": (
        {"data": "labels of the studies folder", "init": BEFORE},
        TrainedOn(frozenset({0, 1, 2, 3}), frozenset({3}), False),
    ),
    "nothing is said": ({}, None),
    "a fold of other data": ({"data": "others", "fold": 0}, None),
    "a fold that is none": (facts(9), None),
    "a fold that is no number": (facts("0"), None),  # type: ignore[arg-type]
    "boxes of a fold that is none": (facts(0, boxed_radiographs=9, boxes_fold="all"), None),
    "own data": (own(), known_own("aa", "bb")),
    "own data, none held out": (own(fold=None), known_own("aa", "bb")),
    "own data and boxes": (own(boxed_radiographs=9), known_own("aa", "bb", boxes=(1, 2, 3, 4))),
    "own data without their images": (own(**{IMAGES: None}), None),
    "own data of no name": (own(data_set="spines"), None),
    "own data of a fold that is none": (own(fold=7), None),
    "own data, begun with others": (own(init=BEFORE), known(0, 1, 2, 3, boxes=(3,)) | known_own("aa", "bb")),
    "begun with own data": (
        facts(0, init={**BEFORE, "folds": [], "box_folds": [], IMAGES: "cc", "data_sets": ["spines"]}),
        known(1, 2, 3, 4) | known_own("cc"),
    ),
    "a beginning that is none": (facts(0, init="random"), TrainedOn(frozenset({1, 2, 3, 4}), frozenset(), False)),
}


@pytest.mark.parametrize(("stored", "expected"), CASES.values(), ids=CASES)
def test_facts_tell_what_was_trained_on(stored: dict[str, Any], expected: TrainedOn | None) -> None:
    assert trained_on(stored) == (expected or TrainedOn(frozenset(), frozenset(), False))


def weights_file(
    path: Path, first: dict[str, Any], second: dict[str, Any] | None = None, errors: ErrorModel | None = None
) -> Path:
    """A weight file with a network of one number, and a second one where there are facts of it."""
    config = dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8))
    torch.manual_seed(3)
    refiner = None if second is None else CornerWeights(CornerNet(PATCH).state_dict(), PATCH, second, errors)
    save_weights(path, {"a": torch.ones(1)}, config, first, refiner=refiner)
    return path


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(None, known(1, 2, 3, 4), id="no second"),
        pytest.param(facts(0), known(1, 2, 3, 4), id="same fold"),
        pytest.param(facts(1), known(0, 1, 2, 3, 4), id="another fold"),
        pytest.param({}, TrainedOn(frozenset({1, 2, 3, 4}), frozenset(), False), id="unknown"),
    ],
)
def test_both_networks_of_a_file_count(tmp_path: Path, second: dict[str, Any] | None, expected: TrainedOn) -> None:
    assert file_trained_on(load_weights(weights_file(tmp_path / "a.pt", facts(0), second))) == expected


@pytest.mark.parametrize(("stored", "expected"), CASES.values(), ids=CASES)
def test_what_weights_were_trained_on_goes_on_with_them(
    tmp_path: Path, stored: dict[str, Any], expected: TrainedOn | None
) -> None:
    """A training that holds no fold out knows what came before, all the same."""
    path = weights_file(tmp_path / "a.pt", stored)
    said = init_facts(file_digest(path), trained_on(stored))
    assert said["digest"] == file_digest(path)
    before = expected or TrainedOn(frozenset(), frozenset(), False)
    assert trained_on(facts(3, init=said)) == known(0, 1, 2, 4) | before
    stored_again = load_weights(weights_file(tmp_path / "b.pt", facts(3, init=said))).facts
    assert trained_on(stored_again) == known(0, 1, 2, 4) | before


def test_what_was_not_trained_on_may_be_measured() -> None:
    seen = trained_on(facts(2, boxed_radiographs=9, boxes_fold=4))
    seen.check_unseen(2, "a.pt")
    seen.check_unseen(4, "a.pt", BOXED)
    trained_on(facts(None)).check_unseen(None, "a.pt")


@pytest.mark.parametrize("assumed", [False, True])
@pytest.mark.parametrize(
    ("stored", "fold", "images", "words"),
    [
        (
            facts(1),
            0,
            AASCE,
            r"^a\.pt was trained on fold 0 of the AASCE training split \(it holds out fold 1\): that",
        ),
        (facts(None), 0, AASCE, r"a\.pt was trained on fold 0 of the AASCE training split \(it holds out none\)"),
        (facts(0, boxed_radiographs=9), 1, BOXED, r"trained on fold 1 of the boxed images \(it holds out fold 0\)"),
    ],
)
def test_what_was_trained_on_is_refused_whatever_is_assumed(
    stored: dict[str, Any], fold: int, images: str, words: str, assumed: bool
) -> None:
    with pytest.raises(ValueError, match=words):
        trained_on(stored).check_unseen(fold, "a.pt", images, assumed)


def test_what_is_not_known_needs_the_users_word() -> None:
    seen = trained_on({})
    with pytest.raises(ValueError, match=r"^a\.pt does not say on which images .* fold 0 .*; --assume-unseen says"):
        seen.check_unseen(0, "a.pt")
    seen.check_unseen(0, "a.pt", assume_unseen=True)
    seen.check_unseen(None, "a.pt")


def test_each_of_several_files_gets_the_fold_that_it_holds_out() -> None:
    files = [(f"{fold}.pt", trained_on(facts(fold, boxed_radiographs=9, boxes_fold=4 - fold))) for fold in (3, 0, 1)]
    assert file_of_each_fold(files, (0, 1, 3)) == {0: 1, 1: 2, 3: 0}
    assert file_of_each_fold(files, (1, 3, 4), BOXED) == {1: 0, 3: 2, 4: 1}


@pytest.mark.parametrize(
    ("folds", "held_out", "words"),
    [
        ((0, 1, 2), (0, 1), r"exactly one must hold out fold 2 of the AASCE training split, here it is none"),
        ((0, 1), (0, 1, 0), r"exactly one must hold out fold 0 of the AASCE training split, here it is 0\.pt, 2\.pt"),
        ((0,), (0, 1), r"1\.pt holds out none of the folds 0 of the AASCE training split"),
        ((0,), (0, None), r"1\.pt holds out none"),
        ((0, 1), (0, 9), r"1\.pt does not say on which images it was trained"),
    ],
    ids=["none", "two", "too many", "all seen", "unknown"],
)
def test_files_that_do_not_fit_the_folds_are_refused(
    folds: tuple[int, ...], held_out: tuple[int | None, ...], words: str
) -> None:
    files = [(f"{number}.pt", trained_on(facts(fold))) for number, fold in enumerate(held_out)]
    with pytest.raises(ValueError, match=words):
        file_of_each_fold(files, folds)


def test_weights_without_expected_errors_know_no_image_by_them(tmp_path: Path) -> None:
    for second in (None, facts(0)):
        found = read_known_images(weights_file(tmp_path / "a.pt", facts(0), second))
        assert found.errors_on is None
        assert found.was_calibrated_on(0) is None
        assert (found.was_trained_on(0), found.was_trained_on(1), found.was_trained_on(None)) == (False, True, False)
        assert found.was_trained_on(1, BOXED) is False


def test_images_that_nobody_has_spoken_of_may_be_known(tmp_path: Path) -> None:
    found = read_known_images(weights_file(tmp_path / "a.pt", {}))
    assert (found.was_trained_on(0), found.was_trained_on(None, BOXED)) == (None, None)


@pytest.mark.parametrize("is_own", [True, False])
def test_expected_errors_belong_to_the_networks_that_they_were_measured_with(tmp_path: Path, is_own: bool) -> None:
    digest = networks_digest(load_weights(weights_file(tmp_path / "a.pt", facts(0), facts(0))))
    said = {"fold": 0, "decoder": "parallel", "networks": digest if is_own else "0123456789ab"}
    path = weights_file(tmp_path / "a.pt", facts(0), {ERRORS_MEASURED_ON: said}, ERRORS)
    found, refiner = read_known_images(path), load_weights(path).refiner
    assert refiner is not None
    assert (found.errors_on, found.has_own_errors, refiner.errors_decoder) == (said, is_own, "parallel")
    assert (found.was_calibrated_on(0), found.was_calibrated_on(1), found.was_calibrated_on(None)) == (
        True,
        False,
        False,
    )


def test_an_older_file_does_not_say_what_expected_errors_were_measured_on(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "a.pt", facts(0), facts(0), ERRORS)
    found, refiner = read_known_images(path), load_weights(path).refiner
    assert refiner is not None
    assert found.errors_on == {}
    assert (found.has_own_errors, refiner.errors_decoder, found.was_calibrated_on(0)) == (False, "map", None)
    assert isinstance(found, KnownImages)


def data_set(*images: tuple[str, str, int], is_own: bool = True) -> DataSet:
    """Images by digest, patient and fold."""
    points = np.zeros((17, 5, 2))
    listed = [DataImage(Path(d), d, points, None, patient, fold, file_digest=d) for d, patient, fold in images]
    return DataSet("mine", tuple(listed), is_own=is_own)


DATA = data_set(("aa", "ann", 0), ("a2", "ann", 0), ("bb", "bob", 1), ("cc", "cec", 2))


def test_an_image_makes_its_patient_known() -> None:
    seen = trained_on(own("aa"))
    assert seen.patients_of(DATA) == {"ann"}
    assert seen.folds_of(DATA) == {0}
    seen.check_held_out(DATA, 1, "a.pt")
    seen.check_held_out(DATA, None, "a.pt")
    words = "a.pt was trained on your data spines: it knows 2 of the 2 images in fold 0 of mine"
    with pytest.raises(ValueError, match=words) as caught:
        seen.check_held_out(DATA, 0, "a.pt", assume_unseen=True)
    assert "(it holds out fold 1, 2)" in str(caught.value)
    with pytest.raises(ValueError, match=r"\(it holds out no fold as they are dealt here: --folds names the folds"):
        trained_on(own("aa bb cc")).check_held_out(DATA, 0, "a.pt")


def test_weights_of_other_data_know_nobody_and_those_of_unknown_data_perhaps_everybody() -> None:
    trained_on(facts(None)).check_held_out(DATA, 0, "a.pt")
    with pytest.raises(ValueError, match="does not say on which images it was trained, so that those of fold 0"):
        trained_on({}).check_held_out(DATA, 0, "a.pt")
    trained_on({}).check_held_out(DATA, 0, "a.pt", assume_unseen=True)


def test_copies_of_a_users_images_in_the_aasce_layout_are_known() -> None:
    copies = data_set(("aa", "1", 0), ("zz", "2", 1), is_own=False)
    trained_on(own("aa")).check_held_out(copies, 1, "a.pt")
    with pytest.raises(ValueError, match="trained on your data spines"):
        trained_on(own("aa")).check_held_out(copies, 0, "a.pt")
    with pytest.raises(ValueError, match="was trained on fold 1 of the AASCE training split"):
        trained_on(facts(0)).check_held_out(copies, 1, "a.pt")


def test_several_files_are_told_apart_by_patients() -> None:
    files = [("a.pt", trained_on(own("bb cc"))), ("b.pt", trained_on(own("aa cc")))]
    assert file_of_each_fold(files, [0, 1], own=DATA) == {0: 0, 1: 1}
    with pytest.raises(ValueError, match="exactly one must hold out fold 2 of the data mine, here it is none"):
        file_of_each_fold(files, [0, 1, 2], own=DATA)


def test_digests_of_images_are_not_shown() -> None:
    shown = public_facts(own(init={IMAGES: "cc", "digest": "d"}))
    assert "aa" not in str(shown)
    assert shown["init"] == {"digest": "d"}
