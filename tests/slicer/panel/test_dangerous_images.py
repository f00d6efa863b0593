"""Ten images whose numbers are easily trusted too much: all parts doubt them in the same words."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.fake_slicer.desktop import Desktop
from harness.local_server import OwnServer, own_server
from lib.phantoms import PhantomSpec, other_view, render_phantom
from lib.spine.measurement.image_warnings import MEASURED_CODES
from setup_environment import ROOT

from ...image_io.image_files import write_dicom, write_photograph

pytestmark = [pytest.mark.slicer, pytest.mark.integration, pytest.mark.slow]

HEIGHT, WIDTH = 800, 400
SPEC = PhantomSpec(HEIGHT, WIDTH, seed=5, curves=((6, 35.0), (13, -25.0)), field_above=0.2, field_below=0.2)
SHOWN = render_phantom(SPEC).pixels
OTHER = render_phantom(PhantomSpec(HEIGHT, WIDTH, seed=9, curves=((7, 20.0),), field_above=0.2, field_below=0.2)).pixels
TURNED = np.ascontiguousarray(SHOWN[::-1, ::-1])
FOR_PROCESSING = {"PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationship": "LOG"}

IMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cut_above.png": (lambda path: write_photograph(path, SHOWN[280:]), "curve_may_be_larger"),
    "cut_below.png": (lambda path: write_photograph(path, SHOWN[:520]), "bodies_off_image"),
    "on_its_head.png": (
        lambda path: write_photograph(path, np.ascontiguousarray(SHOWN[::-1, ::-1])),
        "orientation_guessed",
    ),
    "stale_exif.png": (lambda path: write_photograph(path, SHOWN, 3), "contradicting_tags"),
    "lateral_header.dcm": (lambda path: write_dicom(path, SHOWN, ViewPosition="LL"), "other_view"),
    "hand_header.dcm": (lambda path: write_dicom(path, SHOWN, BodyPartExamined="HAND"), "other_view"),
    "polarity.dcm": (lambda path: write_dicom(path, SHOWN, **FOR_PROCESSING), "polarity_guessed"),
    "two_spines.png": (lambda path: write_photograph(path, np.hstack([SHOWN, OTHER])), "second_spine"),
    "lateral.png": (lambda path: write_photograph(path, other_view("lateral spine", 1)), "not_a_frontal_spine"),
    "from_behind.dcm": (lambda path: write_dicom(path, SHOWN, PatientOrientation=["R", "F"]), ""),
}
"""How each image is written, and what it must be warned of; the last one is about sides."""


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ten images."""
    folder = tmp_path_factory.mktemp("dangerous") / "studies"
    folder.mkdir()
    for name, (write, _) in IMAGES.items():
        write(folder / name)
    return folder


@pytest.fixture(scope="module")
def server(studies: Path) -> Iterator[OwnServer]:
    """A real server of the folder, which scores nothing meanwhile."""
    with own_server(studies, studies.parent / "server.log", ("scoring", "false")) as running:
        yield running


@pytest.fixture(scope="module")
def answers(server: OwnServer) -> dict[str, Any]:
    """What the server says of each image, ``None`` where it refuses it; what it predicts is saved as a label."""
    found = {}
    for name in IMAGES:
        place = f"/infer/vertebra_landmarks?image={name.partition('.')[0]}&output=json"
        parameters = b"params=" + json.dumps({"save_label": True, "label_tag": "checked"}).encode()
        try:
            with urllib.request.urlopen(server.url + place, data=parameters) as answer:
                found[name] = json.load(answer)
        except urllib.error.HTTPError as error:
            found[name] = None if error.code == 422 else pytest.fail(f"{name}: {error.code} {error.read()!r}")
    return found


@pytest.fixture(scope="module")
def tables(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, str]]]:
    """The tables of ``predict.py``."""
    output = tmp_path_factory.mktemp("tables")
    run_script("predict.py", studies, "--output", output)
    return lambda name: list(csv.DictReader((output / name).open(encoding="utf-8")))


@pytest.fixture(scope="module")
def export(studies: Path, answers: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``labels.py export`` says of each image that has a label."""
    file = tmp_path_factory.mktemp("export") / "labels.json"
    run_script("labels.py", "export", studies, file, "--format", "json", "--tag", "checked")
    return {image["image"]: image for image in json.loads(file.read_text(encoding="utf-8"))["images"]}


def run_script(name: str, *arguments: str | Path) -> None:
    """Run a command, whatever its exit status: some images are refused."""
    subprocess.run([sys.executable, ROOT / "scripts" / name, *arguments], check=False, capture_output=True)


def messages(answer: dict[str, Any]) -> list[str]:
    return [warning["message"] for warning in answer["warnings"]]


def sides(curves: list[dict[str, Any]]) -> list[str]:
    return [curve["side"] for curve in curves]


def of_label(answer: dict[str, Any]) -> list[str]:
    """Warnings that a label has as well: of its file, and of its points but for the chance that the names are right."""
    codes = {*MEASURED_CODES, "other_view", "polarity_guessed"} - {"names_doubtful"}
    return [warning["message"] for warning in answer["warnings"] if warning["code"] in codes]


@pytest.mark.parametrize("name", IMAGES)
def test_each_is_warned_of_or_refused(answers: dict[str, Any], name: str) -> None:
    expected = IMAGES[name][1]
    if answers[name] is None:
        assert name == "lateral.png", "only what shows no frontal spine may be refused"
    elif expected:
        assert expected in [warning["code"] for warning in answers[name]["warnings"]]


@pytest.mark.parametrize("name", ["cut_above.png", "cut_below.png"])
def test_nothing_is_measured_from_bodies_that_the_image_does_not_show(answers: dict[str, Any], name: str) -> None:
    hidden = {point["name"].split()[0] for point in answers[name]["landmarks"] if not point["visible"]}
    assert hidden
    for curve in answers[name]["cobb"]["curves"]:
        assert not hidden & {curve["upper_end"], curve["lower_end"]}


def test_tables_say_what_the_server_says(
    answers: dict[str, Any], tables: Callable[[str], list[dict[str, str]]]
) -> None:
    said = {row["image"]: row["warnings"] for row in tables("confidence.csv")}
    assert said == {name: " ".join(messages(answer)) for name, answer in answers.items() if answer is not None}


def test_the_export_says_what_the_server_says(answers: dict[str, Any], export: dict[str, Any]) -> None:
    for name, answer in answers.items():
        if answer is not None:
            expected = of_label(answer)
            assert [message for message in messages(export[name]) if message in expected] == expected
            sides = [
                [curve["side"] for curve in curves] for curves in (export[name]["curves"], answer["cobb"]["curves"])
            ]
            assert sides[0] == sides[1]


def test_sides_are_those_of_the_patient_from_behind(
    answers: dict[str, Any], tables: Callable[[str], list[dict[str, str]]], export: dict[str, Any]
) -> None:
    """The image's left is the patient's left there; elsewhere nobody says whose sides they are."""
    whose = {row["image"]: row["sides_of"] for row in tables("curves.csv")}
    assert whose.pop("from_behind.dcm") == "patient"
    assert set(whose.values()) == {"image"}
    assert answers["from_behind.dcm"]["cobb"]["sides_of"] == export["from_behind.dcm"]["sides_of"] == "patient"


@pytest.mark.parametrize("name", [name for name in IMAGES if name != "lateral.png"])
def test_the_panel_says_what_the_server_says(
    opened: Desktop, server: OwnServer, answers: dict[str, Any], name: str
) -> None:
    image = name.partition(".")[0]
    opened.ui.serverLineEdit.text = server.url
    opened.ui.nextAfterCheckBox.checked = opened.ui.followCheckBox.checked = False
    opened.ui.inferOnOpenCheckBox.checked = True
    opened.ui.connectButton.click()
    opened.wait(lambda: opened.state.is_connected and opened.state.images)
    opened.controller.open_image(image)
    opened.wait(lambda: opened.state.current and opened.state.current.label == "prediction")
    assert [warning.message for warning in opened.logic.warnings] == messages(answers[name])
    shown = opened.ui.warningsLabel.text
    assert all(message in shown for message in messages(answers[name]))
