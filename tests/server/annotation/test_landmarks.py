"""Labels as landmarks: the Markups file and the metadata that a body becomes, and what is answered from them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from lib.server.annotation.landmarks import EXAMPLE, LandmarksBody, landmarks_response
from lib.server.store.labels import CurrentLabel
from lib.spine.imaging.image_geometry import ImageGeometry
from lib.spine.imaging.orientation import Orientation
from lib.spine.labels.markups import from_markups, label_of, parse_json, to_markups
from lib.spine.measurement.image_warnings import ImageWarning
from lib.spine.measurement.origin import Origin
from lib.spine.schema import Spine

GEOMETRY = ImageGeometry((0.143, 0.143))
ORIGIN = Origin("7", 0.9, (1.5, None, *(2.0,) * 15), Orientation(1, True), (ImageWarning("second_spine", "Two."),))


@pytest.fixture
def spine(ladder: np.ndarray) -> Spine:
    """Points of a model with some placed by a person, a hidden vertebra off the image and an absent corner."""
    scores, errors, visible = np.full((17, 5), 0.9), np.full((17, 5), 2.5), np.ones((17, 5), bool)
    scores[6], errors[6], visible[0] = 1.0, np.nan, False
    ladder[16, 4] = np.nan
    return Spine.from_arrays(ladder / 3, scores, errors, visible)


def body(spine: Spine, **others: Any) -> dict[str, Any]:
    """The body that a client sends for a spine."""
    listed = []
    for v, p, one in spine.points():
        if one is not None:
            estimates = {"score": one.score, "error_px": one.error, "visible": one.is_visible}
            listed.append({"name": label_of(v, p), "x": one.x, "y": one.y, **estimates})
    return {"landmarks": listed, **others}


def sent(content: dict[str, Any]) -> LandmarksBody:
    """The body as it arrives."""
    return LandmarksBody.model_validate(json.loads(json.dumps(content)))


def test_the_file_is_the_one_that_the_slicer_module_writes(spine: Spine) -> None:
    expected = json.dumps(to_markups(spine, GEOMETRY), indent=1, allow_nan=False).encode()
    assert sent(body(spine)).markups(GEOMETRY) == expected


def test_what_was_saved_is_answered_and_saves_the_same_again(spine: Spine) -> None:
    touched = ["T7", "T7 TL", "L5 BR"]
    info = {"user": "Ada", "seconds": 3.14, "edits": 2, "image_left_is": "right", "note": "by hand"}
    first = sent(body(spine, touched=touched, info=info, origin=ORIGIN.as_dict()))
    content, metadata = first.markups(GEOMETRY), json.loads(json.dumps(first.metadata(0.0)))
    read = from_markups(parse_json(content), GEOMETRY)
    found = landmarks_response(
        "a", "final", CurrentLabel(3, content, {**metadata, "ts": 5, "name": "a.mrk.json"}), read
    )
    assert (found["image"], found["tag"], found["version"]) == ("a", "final", 3)
    assert found["touched"] == touched
    assert found["origin"] == ORIGIN.as_dict()
    assert found["info"] == {
        "user": "Ada",
        "annotator": "Ada",
        "begun_by": "",
        "submitted": "1970-01-01T00:00:00Z",
        "seconds": 3.1,
        "edits": 2,
        "touched": 3,
        "image_left_is": "right",
        "note": "by hand",
        "client": "browser",
        "ts": 5,
        "name": "a.mrk.json",
    }
    assert [one["visible"] for one in found["landmarks"]] == [False] * 5 + [True] * 79
    again = sent({"landmarks": found["landmarks"], "touched": found["touched"], "origin": found["origin"]})
    np.testing.assert_allclose(again.spine().xy, spine.xy, atol=1e-9)
    assert np.array_equal(again.spine().visible, spine.visible)
    assert np.array_equal(again.spine().errors, spine.errors, equal_nan=True)
    assert again.metadata(0.0)["touched_points"] == touched


@pytest.mark.parametrize("noted", [None, 7, ["T99", 4, {}], "T7"])
def test_what_others_have_noted_is_no_error(spine: Spine, noted: object) -> None:
    metadata = {"touched_points": noted, "names_right": "much", "orientation": 5, "touched": 2}
    found = landmarks_response("a", "final", CurrentLabel(1, b"", metadata), spine)
    assert found["touched"] == []
    assert found["origin"] == Origin().as_dict()
    assert found["info"] == {"touched": 2, "user": ""}


def test_provenance_of_the_servers_own_predictions_is_understood(spine: Spine) -> None:
    metadata = {"model": "vertebra_landmarks", "model_version": "2", "model_digest": "ab", "names_right": 0.5}
    found = landmarks_response("a", "original", CurrentLabel(1, b"", {**metadata, "tilt_half_widths_deg": None}), spine)
    assert found["origin"] == Origin("2", 0.5).as_dict()
    assert found["info"] == {"model": "vertebra_landmarks", "model_digest": "ab", "user": ""}


def test_a_point_that_stands_twice_is_refused() -> None:
    twice = sent({"landmarks": [{"name": "T7", "x": 1, "y": 2}, {"name": "T7", "x": 1, "y": 3}]})
    with pytest.raises(ValueError, match="landmarks: T7 stands twice"):
        twice.spine()


@pytest.mark.parametrize(
    "change",
    [
        {"landmarks": [{"name": "T7"}]},
        {"landmarks": [{"name": "C7", "x": 1, "y": 1}]},
        {"landmarks": [{"name": "T7", "x": 1, "y": None}]},
        {"landmarks": [{"name": "T7", "x": 1e9, "y": 1}]},
        {"landmarks": [{"name": "T7", "x": 1, "y": 1, "score": 2}]},
        {"landmarks": [{"name": "T7", "x": 1, "y": 1, "error_px": -1}]},
        {"landmarks": [{"name": "T7", "x": 1, "y": 1, "visible": 1}]},
        {"landmarks": [{"name": "T7", "x": 1, "y": 1, "z": 1}]},
        {"touched": ["T7 center"]},
        {"touched": "T7"},
        {"info": {"seconds": -1}},
        {"info": {"edits": 1.5}},
        {"info": {"image_left_is": "up"}},
        {"info": {"user": 5}},
        {"extra": 1},
    ],
    ids=str,
)
def test_wrong_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sent({**EXAMPLE, **change})
