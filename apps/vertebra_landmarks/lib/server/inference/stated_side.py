"""The patient's side of an image whose file does not state it, as a person has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...image_io import Radiograph
from ...spine.imaging.image_frame import ImageFrame

SIDES = ("left", "right")
STATED_SIDE = "stated_side"
"""Name of the statement among the facts about an image, and in a request of the app to its inference task."""
BY_PERSON, BY_FILE, UNKNOWN = "stated by a person", "header of the file", "none"


@dataclass(frozen=True)
class StatedSide:
    """What a person has said about an image.

    Attributes:
        image_left_is: the patient's side at the left of the upright image, one of ``SIDES``.
        user: who said so.
        ts: when, in seconds since 1970.
        digest: of the image's file then; of another file nothing was said.

    Raises:
        ValueError: ``image_left_is`` is not one of ``SIDES``.
    """

    image_left_is: str
    user: str
    ts: int
    digest: str

    def __post_init__(self) -> None:
        if self.image_left_is not in SIDES:
            raise ValueError(f"image_left_is must be {' or '.join(SIDES)}, got {self.image_left_is!r:.40}")

    @classmethod
    def parse(cls, content: object) -> StatedSide | None:
        """Read it from the facts about an image; ``None`` where they hold none."""
        if not isinstance(content, Mapping):
            return None
        try:
            return cls(**content)
        except (TypeError, ValueError):
            return None


def with_stated_side(frame: ImageFrame, radiograph: Radiograph, stated: StatedSide | None) -> ImageFrame:
    """The frame with the side that a person has stated, where the file of the image states none.

    Args:
        frame: of the image, with the orientation that is used.
        radiograph: the image.
        stated: what a person has said.
    """
    if stated is None or radiograph.image_left_is is not None:
        return frame
    return replace(frame, image_left_is=stated.image_left_is)


def side_facts(radiograph: Radiograph, stated: StatedSide | None) -> dict[str, Any]:
    """The patient's side at the left of the upright image, and who says so; the file's own word counts first."""
    if radiograph.image_left_is is not None:
        source = radiograph.orientation_source if radiograph.orientation_source != UNKNOWN else BY_FILE
        return {"image_left_is": radiograph.image_left_is, "image_left_is_source": source}
    if stated is not None:
        return {"image_left_is": stated.image_left_is, "image_left_is_source": BY_PERSON}
    return {"image_left_is": None, "image_left_is_source": UNKNOWN}
