"""A real server in a process of its own, over HTTP."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.phantoms import random_spec, random_spineless, render_phantom
from lib.spine.labels.markups import read_markups
from lib.spine.schema import VERTEBRAE

if TYPE_CHECKING:
    from ..serving import Server, Start

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """The app, served the way the README says, on a folder with good and bad images."""
    studies = tmp_path_factory.mktemp("studies")
    for number in (1, 2):
        pixels = render_phantom(random_spec(number, 900, 420)).pixels
        Image.fromarray(pixels).save(studies / f"phantom_{number}.png")
    Image.fromarray(render_phantom(random_spec(3, 900, 420)).pixels).save(studies / "SHOUTING.PNG")
    Image.fromarray(random_spineless(0, 700, 400)).save(studies / "nothing.png")
    (studies / "text.png").write_text("I have no pixels")
    with start(studies, "--conf", "weights", str(DEFAULT_WEIGHTS_FILE)) as running:
        yield running


def test_info_names_the_app_the_model_and_the_strategies(server: Server) -> None:
    info = json.loads(server.ask("/info/")[1])
    assert info["name"] == "Vertebra Landmarks"
    assert info["labels"] == list(VERTEBRAE)
    assert info["models"]["vertebra_landmarks"]["schema_version"] == 1
    assert info["models"]["vertebra_landmarks"]["model"]["data"]
    assert "random" in info["strategies"]


def test_every_image_of_the_folder_is_listed_whatever_the_case_of_its_name(server: Server) -> None:
    listed = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
    assert set(listed) == {"phantom_1", "phantom_2", "SHOUTING", "nothing", "text"}


def test_answer_holds_85_points_in_pixels_of_the_file(server: Server) -> None:
    status, answer = server.infer("phantom_1")
    assert status == 200
    names = [landmark["name"] for landmark in answer["landmarks"]]
    assert len(names) == len(set(names)) == 85
    assert {"T1", "T7 TL", "L5 BR"} <= set(names)
    assert all(0 <= landmark["score"] <= 1 for landmark in answer["landmarks"])
    errors = [landmark["error_px"] for landmark in answer["landmarks"]]
    assert all(error is None for error in errors) or min(errors) > 0  # as the shipped weights tell them
    assert answer["names_right"] is None or 0 <= answer["names_right"] <= 1
    size = {"width": 420, "height": 900, "spacing": [1.0, 1.0], "spacing_source": "none"}
    told = {**size, "millimetres": None, "image_left_is": None, "image_left_is_source": "none", "orientation": None}
    assert answer["image"].items() >= told.items()
    assert answer["image"]["geometry"]["spacing"] == [1.0, 1.0]
    assert set(answer["orientation"]) == {"turn_deg", "mirrored", "source"}
    assert all(set(warning) == {"code", "message", "vertebrae"} for warning in answer["warnings"])
    assert answer["decoder"] == "map"
    assert set(answer["timings"]) >= {"read", "forward", "decode", "total"}


def test_answer_measures_the_spine(server: Server) -> None:
    answer = server.infer("phantom_1")[1]
    cobb = answer["cobb"]
    assert len(cobb["challenge"]) == 3
    assert cobb["challenge"][0] == max(cobb["challenge"])
    assert cobb["sides_of"] == "image"
    fields = {"upper_end", "lower_end", "apex", "side", "angle_deg", "region", "half_width_deg"}
    assert cobb["curves"]
    assert all(fields <= set(curve) for curve in cobb["curves"])
    assert all(curve["half_width_deg"] is None or curve["half_width_deg"] > 0 for curve in cobb["curves"])
    assert isinstance(answer["anatomy"], dict)


@pytest.mark.parametrize("decoder", ["map", "sequential", "parallel"])
def test_fixed_points_come_back_bit_for_bit_and_what_is_asked_is_done(server: Server, decoder: str) -> None:
    fixed = {"T12": {"center": [201.37, 511.9]}, "T7": {"TL": [180.123456789, 300.1]}}
    status, answer = server.infer("phantom_1", decoder=decoder, min_score=0.999, fixed=fixed)
    assert status == 200
    assert answer["decoder"] == decoder
    assert len(answer["landmarks"]) == 85
    found = {landmark["name"]: landmark for landmark in answer["landmarks"]}
    assert (found["T12"]["x"], found["T12"]["y"]) == (201.37, 511.9)
    assert (found["T7 TL"]["x"], found["T7 TL"]["y"]) == (180.123456789, 300.1)
    assert {name for name, landmark in found.items() if landmark["visible"]} == {"T12", "T7 TL"}
    assert found["T12"]["error_px"] is found["T7 TL"]["error_px"] is None
    assert answer["names_right"] in (None, 1.0)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"decoder": "best"}, "decoder must be one of map, sequential, parallel"),
        ({"min_score": 2}, "min_score must be a number in 0...1"),
        ({"fixed": {"S1": {"center": [1, 2]}}}, "'S1' is not one of T1"),
        ({"fixed": {"T1": {"center": [1, None]}}}, "fixed: T1 center"),
        ({"fixed": {"T1": {"center": [90000, 10]}}}, "far outside the image of 420 x 900 pixels"),
    ],
)
def test_bad_parameters_are_named(server: Server, params: dict[str, Any], words: str) -> None:
    status, answer = server.infer("phantom_1", **params)
    assert status == 400
    assert words in answer["detail"]


def test_markups_file_holds_the_same_points_as_the_answer(server: Server, tmp_path: Path) -> None:
    answer = server.infer("phantom_1")[1]
    status, body = server.ask("/infer/vertebra_landmarks?image=phantom_1&output=image", "POST")
    assert status == 200
    (tmp_path / "answer.mrk.json").write_bytes(body)
    xy = read_markups(tmp_path / "answer.mrk.json").xy.reshape(-1, 2)
    assert np.allclose(xy, [(p["x"], p["y"]) for p in answer["landmarks"]], atol=1e-6)


def test_default_output_carries_both_parts(server: Server) -> None:
    status, body = server.ask("/infer/vertebra_landmarks?image=phantom_1", "POST")
    assert status == 200
    assert b'"landmarks"' in body
    assert b".mrk.json" in body
    assert b'"controlPoints"' in body


def test_server_and_script_give_the_same_points(server: Server, tmp_path: Path) -> None:
    images = [server.studies / "phantom_1.png", server.studies / "phantom_2.png"]
    command = [sys.executable, str(ROOT / "scripts" / "predict.py"), *map(str, images), "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "landmarks.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for image in images:
        xy = [(float(row["x_px"]), float(row["y_px"])) for row in rows if row["image"] == image.name]
        answer = [(p["x"], p["y"]) for p in server.infer(image.stem)[1]["landmarks"]]
        assert np.abs(np.subtract(xy, answer)).max() <= 0.01


def test_an_uploaded_file_is_answered(server: Server) -> None:
    pixels = (server.studies / "phantom_2.png").read_bytes()
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="mine.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + pixels + b"\r\n--edge--\r\n"
    )
    status, answer = server.ask(
        "/infer/vertebra_landmarks?output=json", "POST", body, "multipart/form-data; boundary=edge"
    )
    assert status == 200, answer
    assert json.loads(answer)["landmarks"] == server.infer("phantom_2")[1]["landmarks"]


@pytest.mark.parametrize(
    ("image", "status", "words"),
    [
        pytest.param("text", 415, "not an image", id="text-file"),
        pytest.param("nothing", 422, "no spine", id="no-spine"),
        pytest.param("absent", 404, "no image 'absent'", id="unknown-image"),
        pytest.param("../text", 404, "no image", id="outside-the-folder"),
        pytest.param("/etc/hostname", 404, "no image", id="path-of-the-machine"),
    ],
)
def test_bad_images_are_refused_with_a_sentence(server: Server, image: str, status: int, words: str) -> None:
    got, answer = server.infer(image)
    assert got == status
    assert words in answer["detail"]
    assert "Traceback" not in answer["detail"]


def test_an_unknown_model_is_refused(server: Server) -> None:
    status, body = server.ask("/infer/other?image=phantom_1&output=json", "POST")
    assert status == 404
    assert "other" in json.loads(body)["detail"]


def test_the_random_strategy_names_an_image_of_the_folder(server: Server) -> None:
    status, body = server.ask("/activelearning/random", "POST")
    assert status == 200
    assert json.loads(body)["id"] in {"phantom_1", "phantom_2", "SHOUTING", "nothing", "text"}


def test_a_saved_label_is_kept_as_markups_and_not_taken_for_an_image(server: Server, tmp_path: Path) -> None:
    markups = server.ask("/infer/vertebra_landmarks?image=phantom_2&output=image", "POST")[1]
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="label"; filename="phantom_2.mrk.json"\r\n'
        b"Content-Type: application/json\r\n\r\n" + markups + b"\r\n--edge--\r\n"
    )
    kind = "multipart/form-data; boundary=edge"
    status, answer = server.ask("/datastore/label?image=phantom_2&tag=final", "PUT", body, kind)
    assert status == 200, answer
    assert (server.studies / "labels" / "final" / "phantom_2.mrk.json").read_bytes() == markups
    listed = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
    assert listed["phantom_2"]["labels"]["final"]["ext"] == ".mrk.json"
    assert len(listed) == 5


def test_without_a_login_a_client_says_who_works(server: Server) -> None:
    markups = server.ask("/infer/vertebra_landmarks?image=phantom_2&output=image", "POST")[1]
    place = "/datastore/label?image=phantom_2&tag=mine"

    def noted() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(server.ask("/datastore/label/info?label=phantom_2&tag=mine")[1])
        return found

    for params, user in (("{}", "anybody"), ('{"user": 5}', "anybody"), ('{"user": "ada", "seconds": 9}', "ada")):
        assert server.send(place, "PUT", label=("a.json", markups), params=params)[0] == 200
        assert noted()["user"] == user
    assert server.send("/datastore/label/info?label=phantom_2&tag=mine", "PUT", info='{"quality": 1}')[0] == 200
    assert (noted()["user"], noted()["quality"], noted()["seconds"]) == ("ada", 1, 9)
    assert server.ask("/datastore/label/restore?label=phantom_2&tag=mine&version=3", "POST")[0] == 200
    assert noted()["user"] == "ada"


def test_batch_inference_does_all_images_and_says_what_failed(server: Server) -> None:
    status, body = server.ask("/batch/infer/vertebra_landmarks?images=all&run_sync=true", "POST")
    assert status == 200, body
    answer = json.loads(body)
    assert "not an image" in answer["text"]["error"]
    assert "no spine" in answer["nothing"]["error"]
    for name in ("phantom_1", "phantom_2", "SHOUTING"):
        assert len(answer[name]["params"]["landmarks"]) == 85
        assert (server.studies / "labels" / "original" / f"{name}.mrk.json").is_file()
    stored = json.loads(server.ask("/datastore/?output=all")[1])["objects"]["phantom_1"]["labels"]["original"]["info"]
    for fact in ("model_version", "names_right", "tilt_half_widths_deg"):
        assert answer["phantom_1"]["params"][fact] is not None
        assert stored[fact] == answer["phantom_1"]["params"][fact]


def test_an_id_that_is_a_name_in_the_working_directory_is_the_image_of_the_folder(server: Server) -> None:
    """The server runs in the parent of the studies folder, which holds a file of this name."""
    (server.studies.parent / "SHOUTING").write_text("not this one")
    status, answer = server.infer("SHOUTING")
    assert status == 200, answer


def test_a_tag_that_leaves_the_folder_is_refused(server: Server) -> None:
    params = b'{"save_label": true, "label_tag": "../../outside"}'
    body = b'--edge\r\nContent-Disposition: form-data; name="params"\r\n\r\n' + params + b"\r\n--edge--\r\n"
    kind = "multipart/form-data; boundary=edge"
    status, answer = server.ask("/infer/vertebra_landmarks?image=phantom_1&output=json", "POST", body, kind)
    assert status == 400, answer
    assert not (server.studies.parent / "outside").exists()
    assert not list(server.studies.rglob("outside*"))


def test_a_session_of_the_requests_own_making_opens_no_path(server: Server) -> None:
    body = b'--edge\r\nContent-Disposition: form-data; name="params"\r\n\r\n{"session": {}}\r\n--edge--\r\n'
    kind = "multipart/form-data; boundary=edge"
    status, _ = server.ask("/infer/vertebra_landmarks?image=/etc/hostname&output=json", "POST", body, kind)
    assert status == 404
