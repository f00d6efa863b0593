"""Labels that people gave, as training items; and which images are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lib.image_io import read_radiograph
from lib.learning.codec import ABSENT, PRESENT, STATE
from lib.learning.data import IMAGE, LABEL, MATRIX
from lib.learning.data.labelled_items import check_pattern, gross_error, patient_of, read_item, split, to_label
from lib.learning.data.transforms import LoadRadiographd
from lib.phantoms import random_spec, render_phantom
from lib.spine.geometry import transform_points
from lib.spine.imaging.orientation import Orientation
from lib.spine.labels.markups import write_markups
from lib.spine.schema import POINTS, VERTEBRAE, Spine

T3, L5 = VERTEBRAE.index("T3"), VERTEBRAE.index("L5")
CENTER, TL, BR, BL = (POINTS.index(name) for name in ("center", "TL", "BR", "BL"))
NAMES = [f"film_{number}" for number in range(200)]
PATIENTS = {name: name for name in NAMES}
T3, T4 = VERTEBRAE.index("T3"), VERTEBRAE.index("T4")
TL, TR, BL, BR = (POINTS.index(name) for name in ("TL", "TR", "BL", "BR"))


def without(ladder: np.ndarray, *places: tuple[int, int]) -> np.ndarray:
    """The points without those at (vertebra, point)."""
    xy = ladder.copy()
    for place in places:
        xy[place] = np.nan
    return xy


def written(folder: Path, xy: np.ndarray, size: tuple[int, int] = (100, 300)) -> tuple[Path, Path]:
    """An image of (width, height) and its label."""
    image, label = folder / "film.png", folder / "film.mrk.json"
    Image.new("L", size, 9).save(image)
    write_markups(label, Spine.from_arrays(xy))
    return image, label


def test_a_whole_spine_is_present_where_it_was_labelled(ladder: np.ndarray) -> None:
    label = to_label(Spine.from_arrays(ladder))
    assert label.shape == (17, 5, 3)
    assert (label[..., STATE] == PRESENT).all()
    np.testing.assert_array_equal(label[..., :STATE], ladder)


def test_what_is_missing_is_absent_and_nothing_else_changes(ladder: np.ndarray) -> None:
    gone = [(T3, BL), *((L5, point) for point in range(5))]
    label = to_label(Spine.from_arrays(without(ladder, *gone)))
    expected = np.full((17, 5), PRESENT)
    expected[tuple(np.transpose(gone))] = ABSENT
    np.testing.assert_array_equal(label[..., STATE], expected)
    assert (label[expected == ABSENT][:, :STATE] == 0).all()
    np.testing.assert_array_equal(label[expected == PRESENT][:, :STATE], ladder[expected == PRESENT])


def test_a_missing_center_is_the_mean_of_the_corners(ladder: np.ndarray) -> None:
    ladder[T3, TL] -= (4.0, 2.0)
    label = to_label(Spine.from_arrays(without(ladder, (T3, CENTER))))
    assert label[T3, CENTER].tolist() == [*ladder[T3, 1:].mean(0), PRESENT]


def test_a_given_center_stays_where_it_was_put(ladder: np.ndarray) -> None:
    ladder[T3, CENTER] += (3.0, 1.0)
    assert to_label(Spine.from_arrays(ladder))[T3, CENTER].tolist() == [*ladder[T3, CENTER], PRESENT]


def test_three_corners_give_the_middle_of_their_diagonal(ladder: np.ndarray) -> None:
    ladder[T3, TL] -= (4.0, 2.0)
    label = to_label(Spine.from_arrays(without(ladder, (T3, CENTER), (T3, BL))))
    assert label[T3, CENTER].tolist() == [*(ladder[T3, TL] + ladder[T3, BR]) / 2, PRESENT]
    assert label[T3, BL].tolist() == [0, 0, ABSENT]


def test_two_corners_of_one_side_give_no_center(ladder: np.ndarray) -> None:
    label = to_label(Spine.from_arrays(without(ladder, (T3, CENTER), (T3, BR), (T3, BL))))
    assert label[T3, CENTER].tolist() == [0, 0, ABSENT]
    assert label[T3, TL].tolist() == [*ladder[T3, TL], PRESENT]


def test_an_item_holds_the_path_and_pixels_of_the_image(ladder: np.ndarray, tmp_path: Path) -> None:
    image, label = written(tmp_path, ladder)
    item = read_item(image, label)
    assert item[IMAGE] == str(image)
    np.testing.assert_allclose(item[LABEL][..., :STATE], ladder)


def test_millimetres_of_the_label_become_pixels_of_the_image(ladder: np.ndarray, tmp_path: Path) -> None:
    """Slicer's reader gives a NRRD file its spacing, so positions in the label are pixels times spacing."""
    import SimpleITK as sitk

    pixels = sitk.GetImageFromArray(np.arange(300 * 100, dtype=np.uint16).reshape(300, 100))
    pixels.SetSpacing((0.5, 0.25))
    sitk.WriteImage(pixels, str(tmp_path / "film.nrrd"))
    write_markups(
        tmp_path / "film.mrk.json", Spine.from_arrays(ladder), read_radiograph(tmp_path / "film.nrrd").geometry
    )
    item = read_item(tmp_path / "film.nrrd", tmp_path / "film.mrk.json")
    np.testing.assert_allclose(item[LABEL][..., :STATE], ladder)


def test_what_lies_off_the_image_is_absent_and_the_rest_is_learnt_from(ladder: np.ndarray, tmp_path: Path) -> None:
    """L5 lies at 276 with corners from 270 to 282: most of it below an image of 274 rows, a part of it below 280."""
    image, label = written(tmp_path, ladder, size=(100, 274))
    item = read_item(image, label)
    assert (item[LABEL][16, :, STATE] == ABSENT).all()
    assert (item[LABEL][:16, :, STATE] == PRESENT).all()
    np.testing.assert_allclose(item[LABEL][:16, :, :STATE], ladder[:16])
    image, label = written(tmp_path, ladder, size=(100, 280))
    assert read_item(image, label)[LABEL][16, :, STATE].tolist() == [PRESENT, PRESENT, PRESENT, ABSENT, ABSENT]


def test_a_label_beside_the_image_is_refused(ladder: np.ndarray, tmp_path: Path) -> None:
    image, label = written(tmp_path, ladder + 300.0)
    with pytest.raises(ValueError, match=r"film\.mrk\.json: .* points lie outside the image of 100 x 300 pixels"):
        read_item(image, label)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_label_of_an_image_that_lies_on_its_side_or_head_is_taken(
    ladder: np.ndarray, tmp_path: Path, turns: int
) -> None:
    """Points are in stored pixels; corners are named as on the upright image."""
    size = (100, 300) if turns == 2 else (300, 100)
    back = np.linalg.inv(Orientation(turns).matrix(*size))
    image, label = written(tmp_path, transform_points(back, ladder), size)
    item = read_item(image, label)
    assert (item[LABEL][..., STATE] == PRESENT).all()
    upright = LoadRadiographd()(item)
    assert upright[IMAGE].shape == (1, 300, 100)
    np.testing.assert_allclose(upright[LABEL][..., :STATE], ladder, atol=1e-9)
    np.testing.assert_allclose(transform_points(upright[MATRIX], item[LABEL][..., :STATE]), ladder, atol=1e-9)


def test_a_label_without_neighbouring_vertebrae_is_refused(ladder: np.ndarray, tmp_path: Path) -> None:
    xy = np.full_like(ladder, np.nan)
    xy[::2] = ladder[::2]
    image, label = written(tmp_path, xy)
    with pytest.raises(ValueError, match=r"film\.mrk\.json: two neighbouring vertebrae .* got 9 centers"):
        read_item(image, label)


def test_a_label_that_is_none_of_a_spine_is_refused(ladder: np.ndarray, tmp_path: Path) -> None:
    image, label = written(tmp_path, ladder * 0 + 50.0)
    with pytest.raises(ValueError, match=r"film\.mrk\.json: the centers lie in one place$"):
        read_item(image, label)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_the_split_has_about_the_share(share: float) -> None:
    training, checking = split(PATIENTS, share)
    assert sorted([*training, *checking]) == sorted(NAMES)
    assert len(checking) / len(NAMES) == pytest.approx(share, abs=0.08)  # 2.3 standard deviations at one half


def test_an_image_stays_on_its_side_whatever_comes_and_goes() -> None:
    """Also where a side would be empty without it."""
    training, checking = split(PATIENTS, 0.2)
    for some in (NAMES[:60], NAMES[::3], NAMES[::-1], *([name] for name in NAMES[:30])):
        part = split({name: PATIENTS[name] for name in some}, 0.2)
        assert set(part[0]) <= set(training)
        assert set(part[1]) <= set(checking)


def test_images_of_a_patient_are_on_one_side() -> None:
    patients = {f"{name}_{view}": name for name in NAMES for view in ("pre", "post")}
    training, checking = split(patients, 0.3)
    assert checking
    assert not {patients[name] for name in training} & {patients[name] for name in checking}


def test_without_a_share_all_are_trained_on() -> None:
    assert split({"b": "1", "a": "2"}, 0.0) == (["a", "b"], [])


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of patients to check on must lie in"):
        split(PATIENTS, share)


@pytest.mark.parametrize(
    ("image_id", "patient"),
    [
        ("P12_pre", "P12"),
        ("P12-post op", "P12"),
        ("sunhl-1th-02-Jan-2017-162 B AP", "sunhl-1th-02-Jan-2017-162"),
        ("film_1", "film_1"),
        ("film_2", "film_2"),
        ("0001", "0001"),
        ("study_without_number", "study_without_number"),
        ("a\nb 1", "a\nb 1"),
    ],
)
def test_words_after_the_last_number_are_views_of_one_patient(image_id: str, patient: str) -> None:
    assert patient_of(image_id, Path("film.png")) == patient


def test_a_pattern_says_it_otherwise() -> None:
    assert patient_of("P12_3", Path("film.png"), "([^_]+)_.*") == "P12"
    assert patient_of("P12", Path("film.png"), "([^_]+)_.*") == "P12"  # does not fit: a patient of its own
    assert patient_of("P12", Path("film.png"), "(x)?.*") == "P12"  # fits without its group


def dicom(path: Path, patient: str) -> Path:
    """The header of an image without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientID = patient
    data.save_as(str(path))
    return path


def test_a_dicom_file_tells_its_patient_unless_a_pattern_does(tmp_path: Path) -> None:
    path = dicom(tmp_path / "film_7.DCM", " K9 ")
    assert patient_of("film_7", path) == "K9"
    assert patient_of("film_7", path, "([a-z]+)_.*") == "film"


@pytest.mark.parametrize("told", ["", "Anonymous", "0"])
def test_a_patient_who_was_made_nameless_is_told_by_the_id(tmp_path: Path, told: str) -> None:
    """Else all images of an anonymised collection would be of one patient."""
    assert patient_of("film_7", dicom(tmp_path / "film_7.dcm", told)) == "film_7"


def test_a_file_that_cannot_be_read_is_told_by_the_id(tmp_path: Path) -> None:
    broken = tmp_path / "film_7.dcm"
    broken.write_bytes(b"nothing")
    assert patient_of("film_7", broken) == "film_7"
    assert patient_of("film_8", tmp_path / "gone.dcm") == "film_8"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is no regular expression"),
        ("[^_]+", "marks the patient by a group"),
        ("(" + "x" * 200 + ")", "at most 200 characters, got 202"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_pattern(pattern)


def test_no_pattern_is_the_usual_rule() -> None:
    assert check_pattern("") == ""


@pytest.mark.parametrize("seed", range(8))
def test_a_spine_may_be_one_turned_or_incomplete_too(seed: int) -> None:
    xy = render_phantom(random_spec(seed, 480, 220)).spine.xy
    assert gross_error(xy) == ""
    assert gross_error(xy @ np.array([[0.82, 0.57], [-0.57, 0.82]])) == ""
    rng = np.random.default_rng(seed)
    assert gross_error(np.where(rng.random((17, 5, 1)) < 0.5, xy, np.nan)) == ""
    assert gross_error(np.full_like(xy, np.nan)) == ""


def test_slips_are_named(ladder: np.ndarray) -> None:
    def after(*places: object, to: object) -> str:
        xy = ladder.copy()
        xy[places] = to
        return gross_error(xy)

    assert gross_error(ladder * 0 + 50.0) == "the centers lie in one place"
    assert gross_error(ladder[::-1]).startswith("the spine runs upwards")
    assert after(T4, 0, to=ladder[T3, 0] + 0.1) == "T3 and T4 lie in one place"
    assert after([T3, T4], 0, to=ladder[[T4, T3], 0]) == "T3 and T4 stand in the wrong order"
    assert after(T3, TL, to=ladder[T3, 0] - (0.0, 160.0)) == "T3 TL is 10 steps away from the center of T3"
    exchanged = ladder[:, [0, TR, TL, BR, BL]]
    assert gross_error(exchanged).startswith("left and right corners are exchanged")
    few = ladder.copy()
    few[T3] = exchanged[T3]
    assert gross_error(few) == ""


def test_exchanged_coordinates_are_suspected_where_they_would_make_a_spine(tmp_path: Path, ladder: np.ndarray) -> None:
    image, label = written(tmp_path, render_phantom(random_spec(0, 480, 220)).spine.xy[..., ::-1], (480, 480))
    with pytest.raises(ValueError, match="; x and y may be exchanged"):
        read_item(image, label)
    write_markups(label, Spine.from_arrays(ladder[:, [0, TR, TL, BR, BL]]))
    with pytest.raises(ValueError, match=r"left is the left side of the image$"):
        read_item(image, label)


def test_the_shape_is_checked() -> None:
    with pytest.raises(ValueError, match="xy"):
        gross_error(np.zeros((16, 5, 2)))
