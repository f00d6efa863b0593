"""What ``POST /measure`` says of points, and which bodies it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib.server.annotation.measure_request import EXAMPLE, MeasureRequest
from lib.server.annotation.measure_response import measure_response
from lib.server.web.errors import add_error_handlers
from lib.server.web.routes.measure import router
from lib.spine.display import DOUBTFUL, IMPLAUSIBLE, SURE
from lib.spine.geometry import transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.measurement.measured_spine import measure
from lib.spine.measurement.origin import Origin
from lib.spine.overlay_geometry import cobb_lines, format_curve
from lib.spine.schema import POINTS, VERTEBRAE, Spine

WIDTH, HEIGHT = 100, 300
WIDTHS = (2.0,) * 17


@pytest.fixture
def bent(ladder: np.ndarray) -> np.ndarray:
    """A ladder whose vertebrae tilt from 20 degrees at T1 to -20 at L5."""
    tilts = np.radians(np.linspace(20, -20, 17))
    c, s = np.cos(tilts), np.sin(tilts)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    return ladder[:, :1] + (ladder - ladder[:, :1]) @ turn.transpose(0, 2, 1)


def table(values: np.ndarray, where: np.ndarray | bool = True) -> dict[str, dict[str, Any]]:
    """Values ``(V, P, ...)`` by vertebra and point."""
    chosen = np.broadcast_to(where, (17, 5))
    found: dict[str, dict[str, Any]] = {}
    for v, p in np.argwhere(chosen).tolist():
        found.setdefault(VERTEBRAE[v], {})[POINTS[p]] = values[v, p].tolist()
    return found


def body(xy: np.ndarray, **others: Any) -> dict[str, Any]:
    """A request for points, all of them placed by a person."""
    size = {"width": WIDTH, "height": HEIGHT}
    return {"points": table(xy, np.isfinite(xy).all(-1)), "image": size, **others}


def answer(content: dict[str, Any]) -> dict[str, Any]:
    """The response to a body, as JSON carries both."""
    request = MeasureRequest.model_validate(json.loads(json.dumps(content)))
    found: dict[str, Any] = json.loads(json.dumps(measure_response(request), allow_nan=False))
    return found


def test_everything_is_what_the_slicer_module_measures(bent: np.ndarray) -> None:
    scores, errors = np.full((17, 5), 0.9), np.full((17, 5), 1.0)
    scores[3, 0] = 0.3
    origin = Origin("v1", 0.97, WIDTHS)
    widths = dict(zip(VERTEBRAE, WIDTHS, strict=True))
    found = answer(
        body(
            bent,
            scores=table(scores),
            errors_px=table(errors),
            origin={"names_right": 0.97, "tilt_half_widths_deg": widths},
        )
    )
    spine, frame = Spine.from_arrays(bent, scores, errors), ImageFrame(WIDTH, HEIGHT)
    measured = measure(spine, frame, origin)
    (curve,) = measured.curves
    (shown,) = found["curves"]
    assert {name: shown[name] for name in asdict(curve)} == {**asdict(curve), "open_ends": []}
    assert shown["text"] == format_curve(curve)
    assert np.array(shown["lines"]) == pytest.approx(cobb_lines(bent, [curve]).ends)
    assert found["interval"] == measured.interval
    assert found["names_right"] == 0.97
    assert found["sides_of"] == "image"
    assert found["t1_tilt_deg"] == pytest.approx(20)
    assert len(found["challenge"]) == 3
    assert [check["text"] for check in found["to_check"]] == [why for _, why in measured.doubtful]
    assert found["to_check"][0] == {"vertebra": "T4", "kind": "doubtful", "text": measured.doubtful[0][1]}
    assert found["warnings"] == [warning.as_dict() for warning in measurement_warnings(spine, frame, 0.97)]
    doubtful = {"color": hexadecimal(DOUBTFUL), "state": "doubtful", "sign": "?", "uncertainty": 1}
    assert found["vertebrae"]["T4"] == doubtful
    assert found["vertebrae"]["T5"]["state"] == "sure"
    assert found["vertebrae"]["T5"]["uncertainty"] == pytest.approx(measured.uncertainty[4])


def hexadecimal(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def test_what_is_at_odds_with_anatomy_is_marked(ladder: np.ndarray) -> None:
    ladder[6] += (30, 0)
    found = answer(body(ladder))
    marked = {name for name, of in found["vertebrae"].items() if of["state"] == "implausible"}
    assert "T7" in marked
    assert found["vertebrae"]["T7"]["color"] == hexadecimal(IMPLAUSIBLE)
    assert found["vertebrae"]["T7"]["sign"] == "!"
    assert found["vertebrae"]["L5"] == {"color": hexadecimal(SURE), "state": "sure", "sign": "", "uncertainty": 0}
    assert {check["kind"] for check in found["to_check"]} == {"implausible"}
    order = [VERTEBRAE.index(check["vertebra"]) for check in found["to_check"]]
    assert order == sorted(order)
    assert [one["kind"] for one in found["submission_warnings"]] == ["implausible"]


@pytest.mark.parametrize("orientation", EXIF_ORIENTATIONS.values(), ids=str)
def test_lines_and_texts_of_an_image_that_lies_are_stored_pixels(bent: np.ndarray, orientation: Orientation) -> None:
    back = next(one for one in EXIF_ORIENTATIONS.values() if one.followed_by(orientation) == UPRIGHT)
    matrix, (width, height) = back.matrix(WIDTH, HEIGHT), back.size(WIDTH, HEIGHT)
    lying = body(transform_points(matrix, bent), orientation=orientation.as_dict())
    lying["image"] = {"width": width, "height": height, "image_left_is": "right"}
    upright = answer(body(bent, image={"width": WIDTH, "height": HEIGHT, "image_left_is": "right"}))
    found = answer(lying)
    assert found["orientation"] == orientation.as_dict()
    for curve, expected in zip(found["curves"], upright["curves"], strict=True):
        assert np.array(curve.pop("lines")) == pytest.approx(transform_points(matrix, np.array(expected.pop("lines"))))
        at = transform_points(matrix, np.array(expected.pop("text_at")))
        assert np.array(curve.pop("text_at")) == pytest.approx(at)
        assert curve.pop("apical_deviation_px") == pytest.approx(expected.pop("apical_deviation_px"))
        assert curve == expected
    assert found["sides_of"] == "patient"
    assert found["vertebrae"] == upright["vertebrae"]


def test_an_image_of_unknown_orientation_is_turned_by_its_points(bent: np.ndarray) -> None:
    matrix = Orientation(1).matrix(WIDTH, HEIGHT)
    found = answer({"points": table(transform_points(matrix, bent)), "image": {"width": HEIGHT, "height": WIDTH}})
    assert found["orientation"] == {"turn_deg": 270, "mirrored": False}
    assert found["curves"][0]["angle_deg"] == pytest.approx(40)


def test_points_that_are_not_visible_are_warned_of_and_not_measured(bent: np.ndarray) -> None:
    visible = np.ones((17, 5), bool)
    visible[0] = False
    found = answer({**body(bent), "points": table(bent, visible), "hidden": table(bent, ~visible)})
    spine = Spine.from_arrays(bent, visible=visible)
    expected = measurement_warnings(spine, ImageFrame(WIDTH, HEIGHT))
    assert found["warnings"] == [warning.as_dict() for warning in expected]
    assert any("off the image" in warning["message"] for warning in found["warnings"])
    assert "T1" not in found["vertebrae"]
    assert found["t1_tilt_deg"] is None
    assert found["challenge"] is None


def test_warnings_about_the_image_are_kept_and_those_about_points_are_not(ladder: np.ndarray) -> None:
    kept = {"code": "second_spine", "message": "Two spines.", "vertebrae": []}
    stale = {"code": "implausible_anatomy", "message": "Old.", "vertebrae": ["T1"]}
    assert answer(body(ladder, origin={"warnings": [kept, stale]}))["warnings"] == [kept]


def test_what_a_submit_must_confirm_depends_on_who_submits(ladder: np.ndarray) -> None:
    label = {"user": "ben", "ts": 1e6}
    (warning,) = answer(body(ladder, label=label, user="ada"))["submission_warnings"]
    assert warning["kind"] == "replaces"
    assert warning["text"].startswith("ben labelled this image already. Yours will replace the label of 19")
    assert answer(body(ladder, label=label, user="ben"))["submission_warnings"] == []
    (warning,) = answer(body(ladder, label=label, user="ben", is_proposal=True))["submission_warnings"]
    assert warning["text"].startswith("You labelled this image already. Points of the model will replace")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_are_no_curve(ladder: np.ndarray, count: int) -> None:
    found = answer({"points": table(ladder, np.arange(17)[:, None] < count), "image": {"width": 1, "height": 1}})
    assert found["curves"] == []
    assert found["challenge"] is None
    assert found["interval"] == ""


@pytest.fixture(scope="module")
def client() -> TestClient:
    """The route alone: it needs no service."""
    app = FastAPI()
    app.include_router(router)
    add_error_handlers(app)
    return TestClient(app)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The example with a change."""
    content: dict[str, Any] = json.loads(json.dumps(EXAMPLE))
    change(content)
    return content


def test_the_example_of_the_api_description_is_measured(client: TestClient) -> None:
    response = client.post("/measure", json=EXAMPLE)
    assert response.status_code == 200
    (curve,) = response.json()["curves"]
    assert (curve["upper_end"], curve["lower_end"]) == ("T5", "T9")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("points"), "body.points is missing"),
        (lambda c: c.pop("image"), "body.image is missing"),
        (lambda c: c.update(colour=1), "body.colour is not known"),
        (lambda c: c.update(points=[]), "body.points"),
        (lambda c: c["points"].update(T13={}), "body.points.T13 must be a vertebra from T1 to L5, got 'T13'"),
        (lambda c: c["points"]["T5"].update(top=[1, 2]), "body.points.T5.top must be one of center, TL, TR, BL, BR"),
        (lambda c: c["points"]["T5"].update(TL=[1]), "body.points.T5.TL must be a position"),
        (lambda c: c["points"]["T5"].update(TL=[1, "2"]), "body.points.T5.TL must be a position"),
        (lambda c: c["points"]["T5"].update(TL=[1, True]), "body.points.T5.TL must be a position"),
        (lambda c: c["points"]["T5"].update(TL=[1, math.nan]), "body.points.T5.TL must be a position"),
        (lambda c: c["points"]["T5"].update(TL=[1, -math.inf]), "body.points.T5.TL must be a position"),
        (lambda c: c["points"]["T5"].update(TL=[1, 1e7]), "two numbers of pixels from -1,000,000 to 1,000,000"),
        (lambda c: c["points"]["T5"].update(TL=[1, 10**400]), "body.points.T5.TL must be a position"),
        (lambda c: c["points"].update({str(n): {} for n in range(100)}), "body.points must have 100 entries at most"),
        (lambda c: c["points"].update(T1={str(n): 1 for n in range(101)}), "body.points.T1 must have 100 entries"),
        (lambda c: c["scores"]["T7"].update(center=1.5), "body.scores.T7.center must be a probability"),
        (lambda c: c["errors_px"]["T7"].update(TL=-1), "body.errors_px.T7.TL must be a number of pixels from 0"),
        (lambda c: c["image"].update(width=0), "body.image.width must be a whole number from 1 to 1000000, got 0"),
        (lambda c: c["image"].update(height=10**9), "body.image.height must be a whole number from 1 to 1000000"),
        (lambda c: c["image"].update(image_left_is="up"), "body.image.image_left_is must be left or right, got 'up'"),
        (lambda c: c.update(orientation={"turn_deg": 45}), "body.orientation.turn_deg must be 0, 90, 180 or 270"),
        (lambda c: c.update(orientation={"mirrored": 1}), "body.orientation.mirrored must be true or false"),
        (lambda c: c.update(origin={"names_right": 2}), "body.origin.names_right must be a probability"),
        (lambda c: c.update(origin={"warnings": [{}]}), "body.origin.warnings.0.code is missing"),
        (lambda c: c.update(origin={"warnings": [0] * 101}), "body.origin.warnings must have 100 entries at most"),
        (
            lambda c: c.update(origin={"tilt_half_widths_deg": {"T1": -1}}),
            "body.origin.tilt_half_widths_deg.T1 must be a number of degrees from 0 to 180",
        ),
        (lambda c: c.update(label={"user": "a", "ts": "now"}), "body.label.ts must be seconds since 1970, or null"),
        (lambda c: c.update(user="x" * 201), "body.user must be a text of 200 characters at most"),
        (lambda c: c.update(is_proposal="yes"), "body.is_proposal must be true or false"),
    ],
)
def test_a_wrong_body_is_refused_with_the_name_of_the_value(
    client: TestClient, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    content = json.dumps(changed(change)).encode()
    response = client.post("/measure", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    detail = response.json()["detail"]
    assert words in detail
    assert len(detail) <= 500


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'"x"'])
def test_what_is_no_object_is_refused(client: TestClient, content: bytes) -> None:
    response = client.post("/measure", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert set(response.json()) == {"detail"}


def test_a_lone_surrogate_is_no_text(client: TestClient) -> None:
    content = json.dumps(changed(lambda c: c.update(user="\ud800"))).encode()
    response = client.post("/measure", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert "body.user must be a text" in response.json()["detail"]
