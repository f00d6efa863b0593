"""Labelled data of a user in every format: the same images, labels, patients and folds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from lib.learning.codec import ABSENT, PRESENT, UNKNOWN
from lib.learning.data.formats.data_set import DataOptions, DataSet
from lib.learning.data.formats.registry import FORMATS, format_of_data, read_data_set
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.coco import to_coco
from lib.spine.labels.label_exchange import LabelledImage, labels_json, landmarks_csv
from lib.spine.labels.landmark_names import NameMap
from lib.spine.labels.markups import SUFFIX, write_markups
from lib.spine.schema import POINTS, VERTEBRAE, Spine

SIZE = (100, 300)
WRITERS: dict[str, tuple[str, Callable[[list[LabelledImage]], str]]] = {
    "csv": ("labels.csv", landmarks_csv),
    "json": ("labels.json", labels_json),
    "coco": ("labels.json", to_coco),
}
NAMES = ["a_pre.png", "b.png", "a_post.png"]


def draw(path: Path, gray: int, size: tuple[int, int] = SIZE) -> None:
    """An image of one gray value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, gray).save(path)


def spine(ladder: np.ndarray, first: int = 0) -> Spine:
    """The straight spine, from a level on."""
    xy = ladder.copy()
    xy[:first] = np.nan
    return Spine.from_arrays(xy)


@pytest.fixture
def studies(tmp_path: Path, ladder: np.ndarray) -> Path:
    """Three images with final labels, the last of which lacks T1 to T4."""
    folder = tmp_path / "spines"
    for number, name in enumerate(NAMES):
        draw(folder / name, 10 * number + 1)
        label = folder / "labels" / "final" / f"{Path(name).stem}{SUFFIX}"
        label.parent.mkdir(parents=True, exist_ok=True)
        write_markups(label, spine(ladder, 4 if number == 2 else 0))
    draw(folder / "unlabelled.png", 99)
    return folder


def exported(folder: Path, ladder: np.ndarray, kind: str) -> Path:
    """The same labels in a file beside the images."""
    labels = [
        LabelledImage(name, spine(ladder, 4 if number == 2 else 0), ImageFrame(*SIZE))
        for number, name in enumerate(NAMES)
    ]
    name, write = WRITERS[kind]
    (folder / name).write_text(write(labels))
    return folder / name


def by_name(data: DataSet) -> dict[str, Any]:
    """Images by their names."""
    return {image.name: image for image in data.images}


@pytest.mark.parametrize("kind", [*WRITERS, "studies"])
def test_every_format_gives_the_same_images(studies: Path, ladder: np.ndarray, kind: str) -> None:
    path = studies if kind == "studies" else exported(studies, ladder, kind)
    assert format_of_data(path).name == kind
    data = read_data_set(path)
    assert (data.name, data.skipped, data.is_own) == (path.name, (), True)
    images = by_name(data)
    assert set(images) == set(NAMES)
    for name in NAMES[:2]:
        np.testing.assert_allclose(images[name].points, ladder, atol=1e-6)
        assert (images[name].label[..., 2] == PRESENT).all()
        assert images[name].is_complete
    assert np.isnan(images["a_post.png"].points[:4]).all()
    missing = ABSENT if kind == "studies" else UNKNOWN  # an annotator of the product says what is not on the image
    assert (images["a_post.png"].label[:4, :, 2] == missing).all()
    assert (images["a_post.png"].label[4:, :, 2] == PRESENT).all()
    assert data.digest == read_data_set(studies).digest


def test_points_that_are_not_visible_are_absent_and_not_unknown(studies: Path, ladder: np.ndarray) -> None:
    visible = np.ones((17, len(POINTS)), bool)
    visible[0] = False
    label = LabelledImage("b.png", Spine.from_arrays(ladder, visible=visible), ImageFrame(*SIZE))
    (studies / "labels.json").write_text(to_coco([label]))
    (image,) = read_data_set(studies / "labels.json").images
    assert (image.label[0, :, 2] == ABSENT).all()  # type: ignore[index]


def test_a_table_of_another_program_needs_a_name_map_only(studies: Path, ladder: np.ndarray) -> None:
    """Columns in another order and beside others, corners without centers, a decimal comma, other names."""
    levels = {f"Wirbel {number}": level for number, level in enumerate(VERTEBRAE)}
    names = {**levels, "ol": "TL", "or": "TR", "ul": "BL", "ur": "BR", "Bogenwurzel": "", "Becken": ""}
    rows = ["y_px;x_px;reader;point;vertebra;patient;image", "1;2;x;ol;Becken;ann;b.png"]
    for v, vertebra in enumerate(levels):
        for point in ("ol", "or", "ul", "ur", "Bogenwurzel"):
            x, y = ladder[v, POINTS.index(names[point] or "center")]
            rows.append(f"{y:.2f};{x:.2f};x;{point};{vertebra};ann;b.png".replace(".", ",", 2))
    (studies / "labels.csv").write_text("\n".join(rows))
    data = read_data_set(studies / "labels.csv", options=DataOptions(names=NameMap(names)))
    assert data.skipped == ()
    np.testing.assert_allclose(data.images[0].points, ladder, atol=0.01)
    assert data.unstated == 0


def test_images_are_found_by_base_name_in_subfolders(studies: Path, ladder: np.ndarray, tmp_path: Path) -> None:
    rows = landmarks_csv([LabelledImage(name, spine(ladder)) for name in NAMES])
    table = tmp_path / "elsewhere" / "labels.csv"
    table.parent.mkdir()
    table.write_text(rows.replace("a_pre.png", "C:\\data\\a_pre.png").replace("a_post.png", "/home/x/a_post.png"))
    (studies / "deep").mkdir()
    shutil.move(studies / "b.png", studies / "deep" / "b.png")
    data = read_data_set(table, options=DataOptions(image_folder=studies))
    assert [image.path.name for image in data.images] == NAMES
    draw(studies / "other" / "b.png", 5)
    data = read_data_set(table, options=DataOptions(image_folder=studies))
    assert len(data.images) == 2
    assert "2 images in" in data.skipped[0]
    assert "deep/b.png, other/b.png" in data.skipped[0]


def test_patients_are_stated_by_tables_rules_or_names(studies: Path, ladder: np.ndarray) -> None:
    plain = by_name(read_data_set(studies))
    assert len({image.patient for image in plain.values()}) == 3  # a_pre and a_post have no number
    assert read_data_set(studies).unstated == 3
    ruled = read_data_set(studies, options=DataOptions(patients="([^_]+)_.*"))
    assert len({image.patient for image in ruled.images}) == 2
    assert ruled.unstated == 1  # b has no underscore
    table = exported(studies, ladder, "csv")
    lines = table.read_text().splitlines()
    of = {"a_pre.png": "1", "b.png": "2", "a_post.png": "1"}
    table.write_text("\n".join([f"{lines[0]},patient", *(f"{line},{of[line.split(',')[0]]}" for line in lines[1:])]))
    data = read_data_set(table)
    assert data.unstated == 0
    images = by_name(data)
    assert images["a_pre.png"].patient == images["a_post.png"].patient != images["b.png"].patient


def test_the_header_of_dicom_files_names_the_patient(tmp_path: Path, ladder: np.ndarray) -> None:
    labels = []
    for name, patient in (("x", "123"), ("y", "123"), ("z", "")):
        header = pydicom.Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.is_little_endian, header.is_implicit_VR = True, False
        header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", f"1.2.{ord(name)}"
        header.PatientID, header.Modality = patient, "DX"
        header.Rows, header.Columns, header.SamplesPerPixel = SIZE[1], SIZE[0], 1
        header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
        header.BitsAllocated = header.BitsStored = 8
        header.HighBit = 7
        header.PixelData = np.full(SIZE[::-1], ord(name), np.uint8).tobytes()
        header.save_as(tmp_path / f"{name}.dcm", write_like_original=False)
        labels.append(LabelledImage(f"{name}.dcm", spine(ladder)))
    (tmp_path / "labels.csv").write_text(landmarks_csv(labels))
    data = read_data_set(tmp_path / "labels.csv")
    x, y, z = data.images
    assert x.patient == y.patient != z.patient
    assert data.unstated == 1


def test_copies_of_an_image_are_of_one_patient(studies: Path, ladder: np.ndarray) -> None:
    shutil.copy(studies / "b.png", studies / "c.png")
    write_markups(studies / "labels" / "final" / f"c{SUFFIX}", spine(ladder))
    images = by_name(read_data_set(studies))
    assert images["b.png"].patient == images["c.png"].patient
    assert images["b.png"].digest == images["c.png"].digest


def test_a_deidentified_copy_states_patients_in_its_index(studies: Path) -> None:
    entries = [{"image": Path(name).stem, "patient": name[0]} for name in NAMES]
    (studies / "index.json").write_text(json.dumps({"images": entries}))
    data = read_data_set(studies)
    assert data.unstated == 0
    assert len({image.patient for image in data.images}) == 2


def test_markups_beside_images_are_read(studies: Path) -> None:
    for label in (studies / "labels" / "final").iterdir():
        shutil.move(label, studies / label.name)
    shutil.rmtree(studies / "labels")
    assert format_of_data(studies).name == "studies"
    assert len(read_data_set(studies).images) == 3


def test_labels_that_cannot_be_used_are_told_one_by_one(studies: Path, ladder: np.ndarray) -> None:
    draw(studies / "small.png", 3)
    upside = ladder[::-1]
    labels = [
        LabelledImage("absent.png", spine(ladder)),
        LabelledImage("small.png", spine(ladder), ImageFrame(90, 300)),
        LabelledImage("a_pre.png", spine(ladder, 16)),
        LabelledImage("b.png", spine(ladder), ImageFrame(*SIZE)),
        LabelledImage("b", spine(ladder)),
        LabelledImage("a_post.png", Spine.from_arrays(upside)),
    ]
    (studies / "labels.csv").write_text("")
    coco = json.loads(to_coco([LabelledImage(one.image, one.spine, one.frame or ImageFrame(*SIZE)) for one in labels]))
    (studies / "labels.json").write_text(json.dumps(coco))
    data = read_data_set(studies / "labels.json")
    assert [image.name for image in data.images] == ["b.png"]
    expected = [
        "image 'absent.png': there is no such image in",
        "image 'small.png': the label is of an image of 90 x 300 pixels, the file has 100 x 300",
        "image 'a_pre.png': two neighbouring vertebrae are the least to learn from, got 1 centers",
        "image 'b': the image has a label already, under the name 'b.png'",
        "image 'a_post.png': the spine runs upwards",
    ]
    assert len(data.skipped) == len(expected)
    for sentence, words in zip(data.skipped, expected, strict=True):
        assert sentence.startswith(words)


def test_an_image_on_its_side_is_learnt_from_as_it_is_stored(tmp_path: Path, ladder: np.ndarray) -> None:
    draw(tmp_path / "side.png", 7, SIZE[::-1])
    turned = np.stack([ladder[..., 1], SIZE[0] - 1 - ladder[..., 0]], -1)  # T1 at the left
    (tmp_path / "labels.csv").write_text(landmarks_csv([LabelledImage("side.png", Spine.from_arrays(turned))]))
    (image,) = read_data_set(tmp_path / "labels.csv").images
    np.testing.assert_allclose(image.points, turned)
    np.testing.assert_allclose(image.upright(image.points), ladder)
    assert image.upright_size(SIZE[::-1]) == SIZE


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nothing", "there is nothing at"),
        (lambda folder: folder, "no labelled data are at"),
    ],
)
def test_a_path_of_no_format_is_told_what_is_expected(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        read_data_set(make(tmp_path))
    assert all(one.expected in str(caught.value) for one in FORMATS.values())


def test_a_damaged_file_is_named(studies: Path) -> None:
    (studies / "labels.csv").write_text("image,vertebra\n")
    with pytest.raises(ValueError, match=r"labels.csv: the table needs the columns .* point is missing, it has 'image"):
        read_data_set(studies / "labels.csv")


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), ("[]", "must hold a JSON object")])
def test_a_file_that_is_json_by_name_only_is_told_why(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ValueError, match=f"^labels.json: the file {words}"):
        read_data_set(tmp_path / "labels.json")


def test_labels_without_any_image_point_to_what_has_both(studies: Path) -> None:
    for name in NAMES:
        (studies / name).unlink()
    data = read_data_set(studies)
    assert data.images == ()
    assert "labels.py export --deidentify writes a folder with both" in data.skipped[-1]
