"""The client against the real server, and against answers that make no sense."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from VertebraLandmarksLib.client import responses
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.errors import ServerError
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.client.provenance import parse_origin
from VertebraLandmarksLib.client.radiograph import parse_image_info, parse_radiograph
from VertebraLandmarksLib.spine.image_suffixes import file_stem
from VertebraLandmarksLib.spine.imaging.image_geometry import ImageGeometry
from VertebraLandmarksLib.spine.imaging.orientation import Orientation
from VertebraLandmarksLib.spine.labels.markups import from_markups, to_markups
from VertebraLandmarksLib.spine.measurement.image_warnings import ImageWarning
from VertebraLandmarksLib.spine.schema import SCHEMA_VERSION, VERTEBRAE

from ..misbehaving import answering, reply, serving

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.slicer

INFO: dict[str, Any] = {
    "name": "Vertebra Landmarks",
    "version": "0.3.0",
    "models": {"vertebra_landmarks": {"schema_version": SCHEMA_VERSION, "model_version": "a", "model": {"data": "x"}}},
    "strategies": {"first": {}, "random": {}},
    "datastore": {"total": 5, "completed": 2},
    "train_stats": {"vertebra_landmarks": {}},
}
OWNER = {"username": "ada", "roles": ["annotator"]}


@pytest.fixture
def client(server: Server) -> Client:
    """A client of the real server."""
    return Client(Connection(server.url))


@pytest.mark.integration
def test_the_server_says_who_and_what_it_is(client: Client) -> None:
    info = client.info()
    assert (info.app, info.schema_version) == ("Vertebra Landmarks", SCHEMA_VERSION)
    assert info.model == "vertebra_landmarks"
    assert {"first", "random"} <= set(info.strategies)
    assert info.images == info.labelled + info.unlabelled >= 4
    assert (info.user, info.roles, info.may_label, info.may_train) == ("anybody", ("admin",), True, True)
    assert info.training is None


@pytest.mark.integration
def test_an_image_has_the_pixels_of_the_file(client: Client, server: Server) -> None:
    seen: list[tuple[int, int | None]] = []
    radiograph = client.radiograph("phantom_000", on_progress=lambda done, total: seen.append((done, total)))
    assert np.array_equal(radiograph.pixels, np.array(Image.open(server.studies / "phantom_000.png")))
    assert (radiograph.id, radiograph.source, radiograph.path, radiograph.info.geometry.spacing) == (
        "phantom_000",
        "server",
        None,
        (1.0, 1.0),
    )
    assert seen[-1][0] == seen[-1][1] > 0
    assert not radiograph.pixels.flags.writeable


@pytest.mark.integration
def test_landmarks_are_found_and_fixed_points_stay(client: Client) -> None:
    answer = client.infer("phantom_000")
    assert np.isfinite(answer.spine.xy).all()
    assert (answer.image.width, answer.image.height) == (320, 640)
    assert answer.origin.names_right is None or 0 <= answer.origin.names_right <= 1
    assert len(answer.origin.tilt_half_widths) in (0, 17)
    fixed = {"T7": {"TL": [101.123456789, 222.5]}}
    again = client.infer("phantom_000", fixed=fixed)
    assert again.spine["T7"].TL is not None
    assert (again.spine["T7"].TL.x, again.spine["T7"].TL.y) == (101.123456789, 222.5)


@pytest.mark.integration
def test_a_label_comes_back_byte_for_byte_with_its_facts(client: Client) -> None:
    spine = client.infer("phantom_001").spine
    markups = json.dumps(to_markups(spine), indent=3).encode() + b" \n\n"
    with pytest.raises(ServerError) as caught:
        client.label("phantom_001")
    assert caught.value.kind == "not_found"
    begin = time.time()
    client.save_label("phantom_001", markups, {"annotator": "ada", "seconds": 12.5, "edits": 3})
    assert client.label("phantom_001") == markups
    entry = next(one for one in client.images() if one.id == "phantom_001")
    assert (entry.status, entry.user, entry.file) == ("labelled", "ada", "phantom_001.png")
    assert entry.timestamp is not None
    assert abs(entry.timestamp - begin) < 60


@pytest.mark.integration
def test_the_next_image_is_one_without_a_label(client: Client) -> None:
    entries = {entry.id: entry.status for entry in client.images()}
    assert entries[client.next_image("first") or ""] != "labelled"
    with pytest.raises(ServerError, match="does not have this") as caught:
        client.next_image("../no/such strategy")
    assert caught.value.kind == "not_found"


@pytest.mark.integration
def test_a_file_can_be_looked_at_without_being_stored(client: Client, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "mine é.png"
    Image.open(server.studies / "phantom_002.png").save(path)
    before = client.images()
    session = client.create_session(str(path))
    radiograph = client.session_radiograph(session, str(path))
    assert (radiograph.id, radiograph.source, radiograph.path) == ("mine é", "session", str(path))
    assert np.array_equal(radiograph.pixels, client.radiograph("phantom_002").pixels)
    found = client.infer(session_id=session).spine.xy
    assert np.allclose(found, client.infer("phantom_002").spine.xy)
    client.delete_session(session)
    with pytest.raises(ServerError) as caught:
        client.infer(session_id=session)
    assert caught.value.kind == "not_found"
    assert client.images() == before


@pytest.mark.integration
def test_a_file_is_added_and_known_again(client: Client, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "new.png"
    Image.fromarray(np.full((40, 30), 7, np.uint8)).save(path)
    assert not client.has_image("new", str(path))
    assert client.add_image(str(path)) == "new"
    assert client.has_image("new", str(path))
    assert (server.studies / "new.png").read_bytes() == path.read_bytes()
    with pytest.raises(ServerError) as caught:
        client.add_image(str(path))
    assert caught.value.kind == "taken"
    Image.fromarray(np.full((40, 30), 8, np.uint8)).save(path)
    assert not client.has_image("new", str(path))
    assert client.add_image(str(path), "new_2") == "new_2"
    server.ask("/datastore/image?id=new", "DELETE")
    server.ask("/datastore/image?id=new_2", "DELETE")


@pytest.mark.integration
def test_what_the_server_does_not_take_is_told(
    tmp_path_factory: pytest.TempPathFactory, start: Start, tmp_path: Path
) -> None:
    studies = tmp_path_factory.mktemp("small")
    with start(studies, "--conf", "max_upload_mb", "1") as running:
        for content, kind in ((b"no picture", "unreadable"), (b"0" * 5_000_000, "too_large")):
            (tmp_path / "image.png").write_bytes(content)
            with pytest.raises(ServerError) as caught:
                Client(Connection(running.url)).create_session(str(tmp_path / "image.png"))
            assert caught.value.kind == kind
        assert Client(Connection(running.url)).next_image("first") is None


@pytest.mark.integration
def test_training_on_nothing_is_refused_with_the_servers_reason(client: Client) -> None:
    with pytest.raises(ServerError, match="at least 2 images") as caught:
        client.start_training({"max_epochs": 1})
    assert caught.value.kind == "refused"
    assert client.training() is None


TOKENS = "ada reader the-token-of-a-reader\nben annotator the-token-of-ben-here\n"


@pytest.mark.integration
def test_a_token_says_who_somebody_is_and_what_they_may(tmp_path: Path, start: Start) -> None:
    (tmp_path / "studies").mkdir()
    Image.fromarray(np.full((40, 30), 7, np.uint8)).save(tmp_path / "studies" / "image.png")
    (tmp_path / "tokens").write_text(TOKENS)
    with start(tmp_path / "studies", "--conf", "tokens", str(tmp_path / "tokens")) as running:
        for token, kind in (("", "login"), ("wrong-token-wrong", "login")):
            with pytest.raises(ServerError, match="token") as caught:
                Client(Connection(running.url, token)).info()
            assert caught.value.kind == kind
        reader = Client(Connection(running.url, "the-token-of-a-reader"))
        info = reader.info()
        assert (info.user, info.roles, info.may_label, info.may_train) == ("ada", ("reader",), False, False)
        assert reader.radiograph("image").pixels.shape == (40, 30)
        with pytest.raises(ServerError, match="not allowed") as caught:
            reader.next_image("first")
        assert caught.value.kind == "forbidden"
        ben = Client(Connection(running.url, "the-token-of-ben-here")).info()
        assert (ben.user, ben.may_label, ben.may_train) == ("ben", True, False)


def test_info_is_read_into_values() -> None:
    info = responses.parse_server_info(INFO, OWNER)
    assert (info.images, info.labelled, info.unlabelled) == (5, 2, 3)
    assert info.model_version == "a"
    assert (info.user, info.may_label, info.may_train) == ("ada", True, False)


def test_a_server_on_a_pacs_tells_what_goes_to_it() -> None:
    assert responses.parse_server_info(INFO, OWNER).pacs == ""
    told = {"state": "watching", "summary": "PACS: 1 result to send, 2 sent"}
    assert responses.parse_server_info({**INFO, "pacs": told}, OWNER).pacs == "PACS: 1 result to send, 2 sent"


def test_a_server_without_a_model_is_one_to_place_points_by_hand() -> None:
    assert responses.parse_server_info({**INFO, "models": {}}, OWNER).model == ""


def test_another_app_and_another_schema_are_told() -> None:
    with pytest.raises(ServerError, match="runs the app “Radiology”") as caught:
        responses.parse_server_info({**INFO, "name": "Radiology"}, OWNER)
    assert caught.value.kind == "wrong_app"
    for version, words in ((SCHEMA_VERSION + 1, "Update the module"), (0, "Update the server")):
        models = {"vertebra_landmarks": {"schema_version": version}}
        with pytest.raises(ServerError, match=words) as caught:
            responses.parse_server_info({**INFO, "models": models}, OWNER)
        assert caught.value.kind == "schema"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"<!doctype html><html>Welcome</html>", "web page", id="html"),
        pytest.param(b"Hello", "cannot read", id="text"),
        pytest.param(b"", "cannot read", id="nothing"),
        pytest.param(b"[1, 2]", "cannot read", id="list"),
        pytest.param(b'{"name": 7}', "cannot read", id="kind"),
        pytest.param(b'{"name": "x", "models": {}}'[:-4], "cannot read", id="cut"),
        pytest.param(b"[" * 99_999, "cannot read", id="deep"),
        pytest.param(b"\xff\xfe", "cannot read", id="bytes"),
    ],
)
def test_what_is_no_answer_of_this_app_is_told(body: bytes, words: str) -> None:
    with serving(answering(reply(body))) as url, pytest.raises(ServerError, match=words) as caught:
        Client(Connection(url)).info()
    assert caught.value.kind == "bad_response"


ANSWER: dict[str, Any] = {
    "landmarks": [{"name": "T7", "x": 1.5, "y": 2, "score": 0.5, "error_px": None, "visible": True}],
    "names_right": 0.9,
    "tilt_half_widths_deg": {**dict.fromkeys(VERTEBRAE, 2.0), "L5": None},
    "image": {"width": 30, "height": 60, "spacing": [0.1, 0.2], "spacing_source": "PixelSpacing",
              "millimetres": {"x": 0.1, "y": 0.2, "source": "PixelSpacing"}, "image_left_is": "right"},
    "schema_version": SCHEMA_VERSION,
}  # fmt: skip


def test_an_answer_is_read_into_values() -> None:
    answer = responses.parse_prediction(ANSWER)
    assert answer.spine["T7"].center is not None
    assert (answer.spine["T7"].center.x, answer.spine["T7"].center.score) == (1.5, 0.5)
    assert answer.spine["T8"].is_absent
    assert answer.origin.tilt_half_widths == (*(2.0,) * 16, None)
    assert answer.origin.half_widths is not None
    assert np.isnan(answer.origin.half_widths[16])
    assert (answer.image.geometry.spacing, answer.image.millimetres, answer.image.image_left_is) == (
        (0.1, 0.2),
        (0.1, 0.2),
        "right",
    )


ABOUT_IMAGE = {"code": "second_spine", "message": "The image shows a second spine.", "vertebrae": []}
OF_POINTS = {"code": "names_doubtful", "message": "The names may be off.", "vertebrae": ["T7", "T6", "S1"]}
GEOMETRY = {
    "spacing": [0.1, 0.2], "origin": [1.0, 2.0, 3.0], "along_row": [0.0, 1.0, 0.0], "down_column": [1.0, 0.0, 0.0],
    "source": "density",
}  # fmt: skip
SAID_SINCE_0_8: dict[str, Any] = {
    **ANSWER,
    "landmarks": [{**ANSWER["landmarks"][0], "visible": False}],
    "warnings": [ABOUT_IMAGE, OF_POINTS],
    "orientation": {"turn_deg": 270, "mirrored": True, "source": "found in the image"},
    "image": {
        **ANSWER["image"], "geometry": GEOMETRY, "orientation": {"turn_deg": 90, "mirrored": False, "source": "EXIF"},
        "warnings": [OF_POINTS], "image_left_is_source": "PatientOrientation",
    },
}  # fmt: skip


def test_what_servers_say_since_0_8_is_read() -> None:
    answer = responses.parse_prediction(SAID_SINCE_0_8)
    assert answer.spine["T7"].center is not None
    assert not answer.spine["T7"].center.is_visible
    assert answer.origin.orientation == Orientation(3, True)
    assert answer.origin.warnings == (ImageWarning("second_spine", ABOUT_IMAGE["message"]),), "others are made anew"
    assert answer.image.orientation == Orientation(1)
    assert answer.image.geometry.as_dict() == GEOMETRY
    assert answer.image.warnings == (ImageWarning("names_doubtful", OF_POINTS["message"], ("T6", "T7")),)
    assert (answer.image.image_left_is_source, answer.image.is_side_in_file) == ("PatientOrientation", True)
    assert parse_origin(json.loads(json.dumps(answer.origin.as_dict()))) == answer.origin


def test_an_older_server_says_nothing_of_that() -> None:
    answer = responses.parse_prediction(ANSWER)
    assert answer.spine["T7"].center is not None
    assert answer.spine["T7"].center.is_visible
    assert (answer.origin.orientation, answer.origin.warnings) == (None, ())
    image = answer.image
    assert (image.orientation, image.warnings, image.image_left_is_source) == (None, (), None)
    assert image.geometry == ImageGeometry((0.1, 0.2), source="PixelSpacing")
    assert image.is_side_in_file


@pytest.mark.parametrize(
    ("side", "source", "is_in_file"),
    [(None, "none", False), ("left", "stated by a person", False), ("left", "PatientOrientation L\\F", True)],
)
def test_who_states_a_side_is_known(side: str | None, source: str, is_in_file: bool) -> None:
    info = parse_image_info({**FACTS, "image_left_is": side, "image_left_is_source": source})
    assert info.is_side_in_file == is_in_file
    assert info.image_left_is_source == ("" if source == "none" else source)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("landmarks", 0, "visible"), 1), (("warnings",), [1]),
        (("warnings", 0, "message"), None), (("warnings", 0, "vertebrae"), 7), (("orientation",), "up"),
        (("orientation", "turn_deg"), 45), (("orientation", "mirrored"), None), (("image", "geometry"), [1]),
        (("image", "geometry", "spacing"), [0, 1]), (("image", "geometry", "along_row"), [1.0, 0.0, 0.0]),
        (("image", "orientation", "turn_deg"), -90), (("image", "warnings"), {}),
        (("image", "image_left_is_source"), 7),
    ],
)  # fmt: skip
def test_a_wrong_value_of_what_is_said_since_0_8_is_refused(place: tuple[Any, ...], value: object) -> None:
    with pytest.raises(ServerError) as caught:
        responses.parse_prediction(with_value(SAID_SINCE_0_8, place, value))
    assert caught.value.kind == "bad_response"


def with_value(content: Any, place: tuple[Any, ...], value: object) -> Any:
    """A copy of JSON with another value at one place."""
    copied = inner = json.loads(json.dumps(content))
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return copied


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("landmarks",), None), (("landmarks",), [1]), (("landmarks", 0, "name"), "S1"), (("landmarks", 0, "name"), 7),
        (("landmarks", 0, "x"), None), (("landmarks", 0, "x"), float("nan")), (("landmarks", 0, "x"), 1e300),
        (("landmarks", 0, "y"), "2"), (("landmarks", 0, "y"), True), (("landmarks", 0, "score"), 1.5),
        (("landmarks", 0, "error_px"), -1), (("landmarks",), [ANSWER["landmarks"][0]] * 2),
        (("names_right",), 2), (("tilt_half_widths_deg",), [1]), (("image", "width"), 0),
        (("image", "width"), 1.5), (("image", "spacing"), [1]), (("image", "spacing"), [1, 0]),
        (("image", "image_left_is"), "up"), (("schema_version",), None),
    ],
)  # fmt: skip
def test_an_answer_with_a_wrong_value_is_refused(place: tuple[Any, ...], value: object) -> None:
    with pytest.raises(ServerError) as caught:
        responses.parse_prediction(with_value(ANSWER, place, value))
    assert caught.value.kind in ("bad_response", "schema")


def npy(pixels: np.ndarray) -> bytes:
    """Content of a ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, pixels)
    return stream.getvalue()


FACTS = {"width": 4, "height": 3, "spacing": [1.0, 1.0], "spacing_source": "none", "image_left_is": None}


def test_an_image_is_read_without_a_copy() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    body = npy(pixels)
    radiograph = parse_radiograph("a", FACTS, body, "server")
    assert np.array_equal(radiograph.pixels, pixels)
    assert np.shares_memory(radiograph.pixels, np.frombuffer(body, np.uint8))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x89PNG", id="png"),
        pytest.param(npy(np.zeros((3, 4), np.uint8))[:-1], id="cut-short"),
        pytest.param(npy(np.zeros((3, 4), np.uint8)) + b"x", id="too-long"),
        pytest.param(npy(np.zeros((3, 5), np.uint8)), id="another-size"),
        pytest.param(npy(np.zeros((3, 4), np.float32)), id="fractions"),
        pytest.param(npy(np.zeros((3, 4, 3), np.uint8)), id="colour"),
        pytest.param(npy(np.asfortranarray(np.zeros((3, 4), np.uint8))), id="columns"),
        pytest.param(npy(np.zeros((3, 4), object)), id="objects"),
        pytest.param(npy(np.zeros((3, 4), np.uint8)).replace(b"(3, 4)", b"(3, -4"), id="damaged-head"),
        pytest.param(b"\x93NUMPY\x09\x00", id="another-version"),
    ],
)
def test_what_is_no_image_is_refused(body: bytes) -> None:
    with pytest.raises(ServerError) as caught:
        parse_radiograph("a", FACTS, body, "server")
    assert caught.value.kind == "bad_response"


def test_images_are_listed_as_people_sort() -> None:
    label = {"info": {"user": "ben", "ts": 5, "annotator": "x"}}
    objects = {
        "b": {"image": {"ext": ".png"}, "labels": {}},
        "A": {"image": {"ext": ".dcm"}, "labels": {"original": {"info": {"ts": 3}}}},
        "c": {"image": {}, "labels": {"original": {"info": {}}, "final": label}},
    }
    entries = responses.parse_image_list({"objects": objects})
    assert [(one.id, one.status, one.user, one.timestamp, one.file) for one in entries] == [
        ("A", "predicted", "", 3, "A.dcm"),
        ("b", "unlabelled", "", None, "b.png"),
        ("c", "labelled", "ben", 5, "c"),
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/image.png", "image"), ("/a/image.NII.GZ", "image"), ("/a/image.a.dcm", "image.a"), ("/a/IM0001", "IM0001")],
)
def test_the_name_of_a_file_without_its_end(path: str, name: str) -> None:
    assert file_stem(path) == name


def test_labels_written_here_are_read_as_they_were() -> None:
    spine = responses.parse_prediction(ANSWER).spine
    content = json.loads(json.dumps(to_markups(spine, ImageGeometry((0.1, 0.2)))))
    assert np.allclose(from_markups(content).xy, spine.xy, equal_nan=True)
