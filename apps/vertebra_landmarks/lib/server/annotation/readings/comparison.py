"""Readings of an image beside each other: points, measurements, and where they differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ....image_io import Radiograph
from ....spine.imaging.image_frame import ImageFrame
from ....spine.imaging.image_geometry import PIXELS
from ....spine.labels.markups import from_markups, parse_json, stated_geometry
from ....spine.schema import POINTS, Spine
from ....study.consensus import mean_spine
from ....study.differences import differences, names_shift, size_of
from ....study.slots import ImageReadings, Reading
from ...inference.response import with_stated_side
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ...store.labels import ANGLE, CurrentLabel, largest_angle_of
from ..landmarks import landmarks_response, origin_of
from ..measure_request import MeasureRequest
from ..measure_response import measure_response

ReadImage = Callable[[str], Radiograph]


class ReadLabel(NamedTuple):
    """The label of a reading.

    Attributes:
        reading: whose it is.
        label: version, content and metadata.
        spine: its points in stored pixels.
    """

    reading: Reading
    label: CurrentLabel
    spine: Spine


class Comparisons:
    """Reads and compares the readings of images.

    Args:
        store: the studies folder.
        read_image: an image by its id.
    """

    def __init__(self, store: StudiesDatastore, read_image: ReadImage) -> None:
        self._store, self._read_image = store, read_image

    def spine_of(self, image: str, content: bytes) -> Spine:
        """The points of a label in stored pixels.

        Raises:
            ValueError: it holds no landmarks.
        """
        markups = parse_json(content)
        geometry = PIXELS if stated_geometry(markups, "label") else self._read_image(image).geometry
        return from_markups(markups, geometry, "label")

    def read(self, image: str, reading: Reading) -> ReadLabel:
        """The label of a submitted reading.

        Raises:
            OSError, ValueError: it is missing or damaged on the disk.
        """
        label = self._store.read_label_version(image, reading.tag, reading.version)
        return ReadLabel(reading, label, self.spine_of(image, label.content))

    def size(self, image: ImageReadings) -> tuple[float, ...]:
        """Sort key of how much the readings of an image differ, the largest first."""
        one, other = (self.read(image.image, reading) for reading in image.independent[:2])
        angles = [of.label.metadata.get(ANGLE) for of in (one, other)]
        header = self._store.header(image.image)
        found = differences(one.spine, other.spine, 1.0 if header is None else header.frame.pixel_aspect)
        return size_of(found, names_shift(one.spine, other.spine), _angle_difference(*angles))

    def answer(self, image: ImageReadings, shown: tuple[Reading, ...]) -> dict[str, Any]:
        """The readings of an image as plain values.

        Args:
            image: all of its readings.
            shown: the submitted ones to show.
        """
        read = [self.read(image.image, reading) for reading in shown]
        radiograph = self._read_image(image.image) if read else None
        entries = [self._entry(image.image, one, radiograph) for one in read if radiograph is not None]
        compared = [one for one in read if one.reading in image.independent][:2]
        found: dict[str, Any] = {"differences": [], "angle_difference_deg": None, "names_shift": 0, "mean": None}
        if len(compared) == 2 and radiograph is not None:
            one, other = compared
            angles = [largest_angle_of(of.label.content, radiograph.geometry) for of in compared]
            found = {
                "differences": [
                    {**difference._asdict()}
                    for difference in differences(one.spine, other.spine, radiograph.frame.pixel_aspect)
                ],
                "angle_difference_deg": _angle_difference(*angles),
                "names_shift": names_shift(one.spine, other.spine),
                "mean": self._mean(image.image, one, other, radiograph),
            }  # fmt: skip
        return {"image": image.image, "readings": entries, **found}

    def final(self, image: ImageReadings) -> dict[str, Any] | None:
        """Version of the final label, how it was chosen, and by whom; ``None`` without one."""
        info = self._store.get_label_info(image.image, FINAL)
        if image.adjudication is None or not info:
            return None
        chosen = info.get("adjudicated")
        how = chosen.get("how") if isinstance(chosen, dict) else None
        return {"version": info["version"], "how": how, "by": image.adjudication.by}

    def _entry(self, image: str, one: ReadLabel, radiograph: Radiograph) -> dict[str, Any]:
        reading, info = one.reading, one.label.metadata
        points = landmarks_response(image, reading.tag, one.label, one.spine)
        return {
            "number": reading.number,
            "kind": reading.kind,
            "reader": reading.reader,
            "blind": reading.is_blind,
            "model": reading.uses_model,
            "submitted": reading.at,
            "seconds": info.get("seconds"),
            "edits": info.get("edits"),
            "model_version": origin_of(info).model_version or None,
            "tag": reading.tag,
            "version": reading.version,
            "landmarks": points["landmarks"],
            "touched": points["touched"],
            "measured": self._measured(image, one.spine, points["origin"], radiograph),
        }

    def _mean(self, image: str, one: ReadLabel, other: ReadLabel, radiograph: Radiograph) -> dict[str, Any]:
        """The mean of two readings as it would be saved, or the sentence that says why there is none."""
        try:
            mean = mean_spine(one.spine, other.spine)
        except ValueError as error:
            return {"landmarks": [], "measured": None, "sentence": str(error)}
        label = CurrentLabel(0, b"", origin_of(one.label.metadata).as_dict())
        points = landmarks_response(image, FINAL, label, mean)
        measured = self._measured(image, mean, points["origin"], radiograph)
        return {"landmarks": points["landmarks"], "measured": measured, "sentence": ""}

    def _measured(self, image: str, spine: Spine, origin: dict[str, Any], radiograph: Radiograph) -> dict[str, Any]:
        frame = with_stated_side(radiograph.frame, radiograph, self._store.stated_side(image))
        return measure_response(_measure_request(spine, frame, origin))


def _angle_difference(one: Any, other: Any) -> float | None:
    """Difference of two angles in degrees; ``None`` where one is not known."""
    is_known = all(isinstance(angle, (int, float)) for angle in (one, other))
    return round(abs(one - other), 1) if is_known else None


def _measure_request(spine: Spine, frame: ImageFrame, origin: dict[str, Any]) -> MeasureRequest:
    """The request that measures a spine, as a client would send it."""
    values: dict[str, dict[str, dict[str, Any]]] = {"points": {}, "hidden": {}, "scores": {}, "errors_px": {}}
    for vertebra, point, landmark in spine.points():
        if landmark is None or point not in POINTS:
            continue
        where = "points" if landmark.is_visible else "hidden"
        values[where].setdefault(vertebra, {})[point] = (landmark.x, landmark.y)
        values["scores"].setdefault(vertebra, {})[point] = landmark.score
        if landmark.error is not None:
            values["errors_px"].setdefault(vertebra, {})[point] = landmark.error
    image = {name: getattr(frame, name) for name in ("width", "height", "image_left_is", "pixel_aspect")}
    return MeasureRequest.model_validate(
        {**values, "image": image, "orientation": origin.get("orientation"), "origin": origin}
    )
