"""Which instances pass, and what is said of a filter that is wrong."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from lib.server.pacs.image_filter import ImageFilter, read_filter
from lib.server.pacs.instances import Instance, InstanceUids

UIDS = InstanceUids("1.2", "1.2.3", "1.2.3.4")


def instance(**changes: Any) -> Instance:
    whole = {
        "modality": "DX",
        "body_part": "SPINE",
        "study_description": "Whole spine",
        "series_description": "AP",
        "view": "AP",
        "study_date": "20260131",
    }
    return Instance(UIDS, **{**whole, **changes})


def written(tmp_path: Path, text: str) -> ImageFilter:
    path = tmp_path / "filter.yaml"
    path.write_text(text, encoding="utf-8")
    return read_filter(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"modality": "CR", "view": "PA"}, None),
        ({"view": ""}, None),
        ({"body_part": "", "study_description": "", "series_description": "Skoliose"}, None),
        ({"body_part": "CHEST", "study_description": "WIRBELSÄULE ganz"}, None),
        ({"modality": "CT"}, "another modality"),
        ({"is_for_processing": True}, "an image for processing"),
        ({"view": "LL"}, "another view"),
        ({"view": "", "series_description": "Spine lateral"}, "a description that is left out"),
        ({"view": "", "series_description": "spine LAT"}, "a description that is left out"),
        ({"series_description": "Plates"}, None),
        ({"body_part": "CHEST", "study_description": "Thorax"}, "neither body part nor description match"),
        ({"body_part": "CSPINE", "study_description": "", "series_description": ""},
         "neither body part nor description match"),
    ],
)  # fmt: skip
def test_frontal_radiographs_of_the_spine_pass_by_default(changes: dict[str, Any], reason: str | None) -> None:
    assert ImageFilter().why_not(instance(**changes)) == reason


@pytest.mark.parametrize(
    ("text", "changes", "passes"),
    [
        ("modality: [RF]", {"modality": "RF"}, True),
        ("modality: [RF]", {}, False),
        ("body_part: []\ndescription: []", {"body_part": "HAND", "study_description": ""}, True),
        ("body_part: []\ndescription: ['*ПОЗВОНОЧНИК*']", {"study_description": "весь позвоночник"}, True),
        ("body_part: []\ndescription: ['m?ller^*']", {"study_description": "Müller^x"}, True),
        ("view: []", {"view": "LL"}, True),
        ("without_view: false", {"view": ""}, False),
        ("from_date: 2026-01-31", {}, True),
        ("from_date: 2026-02-01", {}, False),
        ("to_date: 2026-01-31", {}, True),
        ("to_date: 2026-01-30", {}, False),
        ("to_date: 2026-01-30", {"study_date": ""}, False),
        ("", {}, True),
    ],
)
def test_a_site_sets_its_own_conditions(tmp_path: Path, text: str, changes: dict[str, Any], passes: bool) -> None:
    assert (written(tmp_path, text).why_not(instance(**changes)) is None) == passes


def test_dates_are_read(tmp_path: Path) -> None:
    assert written(tmp_path, "from_date: 2026-01-31").from_date == datetime.date(2026, 1, 31)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour: red", "unknown settings ['colour']"),
        ("modality: DX", "modality must be a list of modalities such as DX and CR, got 'DX'"),
        ("modality: []", "modality must be a list of modalities such as DX and CR, got []"),
        ("modality: ['D*']", "modality must be a list of modalities such as DX and CR"),
        ("view: [1]", "view must be a list of up to 100 texts of 1 to 64 characters, got [1]"),
        ("view: ['']", "view must be a list of up to 100 texts"),
        ("without_view: maybe", "without_view must be true or false, got 'maybe'"),
        ("from_date: soon", "from_date must be a date like 2026-01-31, got 'soon'"),
        ("from_date: 2026-02-01\nto_date: 2026-01-01", "from_date must not be after to_date, got 2026-02-01"),
        ("- a\n- b", "must be a table of settings"),
        ("a: [", "is no YAML in line 1"),
        ("!!python/object/apply:os.system [true]", "is no YAML"),
    ],
)
def test_a_wrong_filter_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^--conf dicomweb_filter filter\.yaml") as caught:
        written(tmp_path, text)
    assert said in str(caught.value)


def test_a_filter_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_filter(tmp_path)
    (tmp_path / "latin").write_bytes("view: [Ä]".encode("latin-1"))
    with pytest.raises(ValueError, match="cannot be read: it is no UTF-8"):
        read_filter(tmp_path / "latin")


@pytest.mark.parametrize("uid", ["", "1.2/../../x", "1..2", "x", "1." * 40 + "1", None, {"a": 1}])
def test_an_instance_without_valid_uids_is_none(uid: object) -> None:
    attributes = {tag: {"Value": ["1.2"]} for tag in ("0020000D", "0020000E", "00080018")}
    assert Instance.from_json(attributes) is not None
    assert (
        Instance.from_json({**attributes, "00080018": {"Value": [uid] if uid is not None else []}}) is None or uid == 5
    )


def test_attributes_are_read_whatever_a_pacs_makes_of_them() -> None:
    uids = {tag: {"vr": "UI", "Value": ["1.2"]} for tag in ("0020000D", "0020000E", "00080018")}
    read = Instance.from_json(
        {**uids, "00080060": {"vr": "CS", "Value": [" DX "]}, "00185101": {"vr": "CS"}, "00180015": 3}
    )
    assert read is not None
    assert (read.modality, read.view, read.body_part) == ("DX", "", "")
    assert "00185101" not in read.absent
    assert "00081030" in read.absent
