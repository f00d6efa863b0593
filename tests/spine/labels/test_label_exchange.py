"""Labels in tables, JSON and COCO files."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.coco import from_coco, to_coco
from lib.spine.labels.label_exchange import (
    LabelledImage,
    curves_csv,
    decode_text,
    fit_to_image,
    labels_json,
    landmarks_csv,
    read_labels_json,
    read_landmarks_csv,
)
from lib.spine.schema import Spine

FRAME = ImageFrame(100, 300)
FORMATS = pytest.mark.parametrize(
    ("write", "read"),
    [(landmarks_csv, read_landmarks_csv), (labels_json, read_labels_json), (to_coco, from_coco)],
    ids=["csv", "json", "coco"],
)


@pytest.fixture
def labels(ladder: np.ndarray) -> list[LabelledImage]:
    """Two spines; the second lacks a vertebra and a corner, one point is not visible, and no coordinate is round."""
    partial = ladder / 3
    partial[4] = np.nan
    partial[7, 2] = np.nan
    visible = np.ones((17, 5), bool)
    visible[9, 1] = False
    return [
        LabelledImage("one.png", Spine.from_arrays(ladder), FRAME),
        LabelledImage('"2", ä', Spine.from_arrays(partial, visible=visible), ImageFrame(90, 200)),
    ]


@FORMATS
def test_what_is_written_is_read_again_bit_for_bit(labels, write, read) -> None:
    again, problems = read(write(labels))
    assert problems == []
    assert [label.image for label in again] == [label.image for label in labels]
    for label, before in zip(again, labels, strict=True):
        assert np.array_equal(label.spine.xy, before.spine.xy, equal_nan=True)
        assert np.array_equal(label.spine.visible, before.spine.visible)


@pytest.mark.parametrize(("write", "read"), [(landmarks_csv, read_landmarks_csv), (labels_json, read_labels_json)])
def test_scores_are_kept(ladder, write, read) -> None:
    scores = np.linspace(0, 1, 85).reshape(17, 5)
    again, _ = read(write([LabelledImage("x", Spine.from_arrays(ladder, scores), FRAME)]))
    assert np.array_equal(again[0].spine.scores, scores)


def test_curves_have_a_row_each(ladder) -> None:
    bent = ladder.copy()
    bent[..., 0] += 25 * np.sin(np.linspace(0, np.pi, 17))[:, None]
    rows = list(csv.DictReader(io.StringIO(curves_csv([LabelledImage("x", Spine.from_arrays(bent), FRAME)]))))
    said = json.loads(labels_json([LabelledImage("x", Spine.from_arrays(bent), FRAME)]))["images"][0]["curves"]
    assert [row["apex"] for row in rows] == [curve["apex"] for curve in said]
    assert all(abs(float(row["angle_deg"]) - curve["angle_deg"]) < 0.01 for row, curve in zip(rows, said, strict=True))


HEAD = "image,vertebra,point,x_px,y_px\n"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("b,T77,center,1,2", "line 4, image 'b': 'T77' is neither a vertebra"),
        ("b,T7,XX,1,2", "'T7 XX' is neither"),
        ("b,T7,center,one,2", "must be numbers, got 'one'"),
        ("b,T7,center,1", "must be numbers, got None"),
        ("b,T7,center,nan,2", "must be numbers, got 'nan'"),
        ("b,T8,center,1,2", "T8 stands twice"),
    ],
)
def test_a_bad_row_leaves_its_image_out_and_says_why(rows: str, words: str) -> None:
    labels, problems = read_landmarks_csv(f"{HEAD}a,T7,center,1,2\nb,T8,center,1,2\n{rows}\n")
    assert [label.image for label in labels] == ["a"]
    assert len(problems) == 1
    assert words in problems[0]


def test_a_table_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="y_px is missing, it has 'image, vertebra, point, x_px, y'"):
        read_landmarks_csv("image,vertebra,point,x_px,y\n")


@pytest.mark.parametrize("read", [read_landmarks_csv, read_labels_json])
def test_an_empty_file_is_said_to_be_empty(read) -> None:
    with pytest.raises(ValueError, match="the file is empty"):
        read(" \n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "must be JSON"),
        ("[]", "a JSON object"),
        ('{"schema_version": 2, "images": []}', "schema_version must be 1, got 2"),
        ('{"schema_version": 1}', "a list 'images', got None"),
    ],
)
def test_json_of_another_shape_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_labels_json(text)


def test_bad_entries_of_json_are_named() -> None:
    entries = [
        {"image": "a", "landmarks": [{"name": "T7", "x": 1, "y": 2}]},
        {"image": "b", "landmarks": [{"name": "T7", "x": True, "y": 2}]},
        {"image": 5, "landmarks": []},
        {"image": "c", "landmarks": [7]},
        "d",
        {"image": "e", "landmarks": [{"name": "T7", "x": 1, "y": 2, "score": 3}]},
    ]
    labels, problems = read_labels_json(json.dumps({"schema_version": 1, "images": entries}))
    assert [label.image for label in labels] == ["a"]
    assert [problem.partition(",")[0] for problem in problems] == [
        "entry 2",
        "entry 3",
        "entry 4",
        "entry 5",
        "entry 6",
    ]


def test_coco_files_state_what_the_format_asks_for(labels) -> None:
    content = json.loads(to_coco(labels))
    assert content["images"][0] == {"id": 1, "file_name": "one.png", "width": 100, "height": 300}
    annotation = content["annotations"][1]
    assert (annotation["num_keypoints"], len(annotation["keypoints"])) == (79, 255)
    assert annotation["keypoints"][4 * 15 : 4 * 15 + 3] == [0.0, 0.0, 0]
    assert len(content["categories"][0]["keypoints"]) == 85
    assert content["categories"][0]["skeleton"][0] == [1, 6]
    with pytest.raises(ValueError, match="its width and height are needed"):
        to_coco([LabelledImage("x", labels[0].spine)])


def test_coco_keypoints_are_found_by_name_in_any_order() -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "categories": [{"id": 3, "keypoints": ["L5", "T1 TL"]}],
        "annotations": [{"image_id": 7, "category_id": 3, "keypoints": [1.5, 2.5, 1, 0, 0, 0]}],
    }
    labels, problems = from_coco(json.dumps(content))
    assert problems == []
    assert labels[0].spine["L5"].center.x == 1.5
    assert labels[0].spine["T1"].is_absent
    content["annotations"] += [
        {"image_id": 7, "category_id": 3, "keypoints": [1, 2, 2, 1, 2, 2]},
        {"image_id": 8, "category_id": 3, "keypoints": []},
    ]
    content["images"] += [{"id": 9, "file_name": "b.png"}]
    content["annotations"] += [{"image_id": 9, "category_id": 3, "keypoints": [1, 2]}, 5]
    labels, problems = from_coco(json.dumps(content))
    assert labels == []  # of two spines nobody says which is the right one
    words = ["has a spine already", "no image 8", "x, y and visibility", "no image None"]
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_coco_sizes_are_passed_along(labels) -> None:
    again, _ = from_coco(to_coco(labels))
    assert [label.frame for label in again] == [FRAME, ImageFrame(90, 200)]


@pytest.mark.parametrize("id_", [[1], {}, None, True, 1.5])
def test_coco_ids_that_are_none_are_said_in_a_sentence(labels, id_: object) -> None:
    for part, key, words in (
        ("images", "id", "there is no image 1"),
        ("annotations", "image_id", "there is no image"),
        ("categories", "id", "every name that its category lists"),
        ("annotations", "category_id", "every name that its category lists"),
    ):
        content = json.loads(to_coco(labels[:1]))
        content[part][0][key] = id_
        again, problems = from_coco(json.dumps(content))
        assert (again, len(problems)) == ([], 1)
        assert words in problems[0]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("width", "wide", "its width must be a whole number of pixels, got 'wide'"),
        ("height", [1], "its height must be a whole number"),
        ("height", 1.5, "its height must be a whole number"),
        ("height", float("nan"), "its height must be a whole number"),
        ("width", float("inf"), "its width must be a whole number"),
        ("width", True, "its width must be a whole number"),
        ("width", -3, "its width must be a whole number"),
    ],
)
def test_coco_sizes_must_be_numbers(labels, name: str, value: object, words: str) -> None:
    content = json.loads(to_coco(labels[:1]))
    content["images"][0][name] = value
    again, problems = from_coco(json.dumps(content))
    assert again == []
    assert words in problems[0]


@pytest.mark.parametrize("value", ["0", None, [], {}, True, 3])
def test_coco_visibilities_must_be_those_of_the_format(labels, value: object) -> None:
    content = json.loads(to_coco(labels[:1]))
    content["annotations"][0]["keypoints"][2] = value
    assert "must be 0, 1 or 2" in from_coco(json.dumps(content))[1][0]


def test_tables_say_which_points_are_visible_and_whose_sides_are_meant(labels) -> None:
    landmarks = list(csv.DictReader(io.StringIO(landmarks_csv(labels))))
    assert list(landmarks[0])[-1] == "visible"
    assert [(row["vertebra"], row["point"]) for row in landmarks if row["visible"] == "0"] == [("T10", "TL")]
    known = LabelledImage("x", labels[0].spine, ImageFrame(100, 300, None, "right"))
    curves = list(csv.DictReader(io.StringIO(curves_csv([labels[0], known]))))
    assert list(curves[0])[-1] == "sides_of"
    assert {(row["image"], row["sides_of"]) for row in curves} == {("one.png", "image"), ("x", "patient")}
    told = json.loads(labels_json([labels[0], known]))["images"]
    assert [image["sides_of"] for image in told] == ["image", "patient"]
    assert json.loads(to_coco(labels))["annotations"][1]["keypoints"][3 * 46 + 2] == 1


def test_sides_are_the_patients_where_the_frame_knows_them(ladder) -> None:
    bent = ladder.copy()
    bent[..., 0] += 25 * np.sin(np.linspace(0, np.pi, 17))[:, None]
    sides = {}
    for left in (None, "left", "right"):
        label = LabelledImage("x", Spine.from_arrays(bent), ImageFrame(100, 300, None, left))
        sides[left] = {row["side"] for row in csv.DictReader(io.StringIO(curves_csv([label])))}
    assert sides[None] == sides["left"] != sides["right"]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("stated", [False, True])
def test_tables_of_spreadsheets_are_read(ladder, encoding: str, delimiter: str, stated: bool) -> None:
    label = LabelledImage("M\xfcller.png", Spine.from_arrays(ladder + 0.25), FRAME)
    rows = list(csv.reader(io.StringIO(landmarks_csv([label]))))
    if delimiter != ",":
        rows = [[cell if n in (0, 1, 2) else cell.replace(".", ",") for n, cell in enumerate(row)] for row in rows]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    text = (f"sep={delimiter}\r\n" if stated else "") + stream.getvalue()
    again, problems = read_landmarks_csv(decode_text(text.encode(encoding)))
    assert problems == []
    assert [label.image for label in again] == ["M\xfcller.png"]
    assert np.array_equal(again[0].spine.xy, ladder + 0.25)


def test_lines_are_counted_from_the_top_of_the_file() -> None:
    for before, number in (("", 2), ("sep=,\n", 3)):
        _, problems = read_landmarks_csv(f"{before}{HEAD}b,T77,center,1,2\n")
        assert problems[0].startswith(f"line {number}, image 'b'")


@pytest.mark.parametrize("visible", ["2", "yes", "1.0"])
def test_visible_is_one_or_zero(visible: str) -> None:
    _, problems = read_landmarks_csv(f"{HEAD[:-1]},visible\nb,T7,center,1,2,{visible}\n")
    assert f"visible of T7 must be 1 or 0, got '{visible}'" in problems[0]


def test_a_label_of_another_image_fits_none(ladder) -> None:
    spine = Spine.from_arrays(ladder)
    with pytest.raises(ValueError, match="85 of 85 points lie outside the image of 20 x 30 pixels"):
        fit_to_image(spine, 20, 30)
    with pytest.raises(ValueError, match="the label belongs to another image"):
        fit_to_image(spine, 20, 30)
    with pytest.raises(ValueError, match="x and y may be exchanged"):
        fit_to_image(Spine.from_arrays(ladder[..., ::-1]), 100, 300)
    kept = fit_to_image(spine, 100, 275)  # L5 is centered on row 276
    assert not kept.visible[16].any()
    assert kept.visible[:16].all()
    assert fit_to_image(kept, 100, 275).visible.sum() == 80
