"""The readings of an image beside each other, as an adjudicator sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..spine.labels.markups import LANDMARK_INDEX
from ..spine.schema import VERTEBRAE, Spine
from .json_fields import (
    as_bool,
    as_choice,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_string,
    bad_response,
    optional_number,
)
from .responses import FINAL, parse_spine
from .study import REPEAT, Reading, parse_reading

MEAN, EDITED = "mean", "edited"
"""How a final label is made of readings, besides by taking one, which is said by its number."""


@dataclass(frozen=True, eq=False)
class SubmittedReading:
    """A submitted reading.

    Attributes:
        reading: number, kind and conditions.
        reader: who, "" where unknown.
        version: of its label.
        spine: its points in stored pixels.
        touched: names of the points that the reader set, such as "T7" and "T7 TL".
        curves: its angles as texts, from top to bottom.
        submitted: when, in seconds since 1970; ``None`` where unknown.
        seconds: working time; ``None`` where unknown.
        edits: their number; ``None`` where unknown.
        model_version: of the untouched points, "" where unknown.
        tag: of its label: ``FINAL`` where it was the only one when it was made.
    """

    reading: Reading
    reader: str
    version: int
    spine: Spine
    touched: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    submitted: Optional[float] = None
    seconds: Optional[float] = None
    edits: Optional[int] = None
    model_version: str = ""
    tag: str = ""


@dataclass(frozen=True)
class VertebraDifference:
    """How a vertebra differs between the first two readings by different readers.

    Attributes:
        vertebra: its name.
        center_px: distance of the centers; ``None`` where only one reading has it.
        corners_px: mean distance of the corners that both have; ``None`` likewise.
        tilt_deg: difference of tilt in degrees; ``None`` likewise.
        is_missing: whether only one reading has a point of it.
    """

    vertebra: str
    center_px: Optional[float]
    corners_px: Optional[float]
    tilt_deg: Optional[float]
    is_missing: bool


@dataclass(frozen=True)
class FinalLabel:
    """The final label that an adjudicator has chosen.

    Attributes:
        how: the number of a reading as text, ``MEAN`` or ``EDITED``; "" where unknown.
        by: who chose it, "" where unknown.
        version: of the label.
    """

    how: str
    by: str
    version: int


@dataclass(frozen=True, eq=False)
class MeanReading:
    """The mean of the compared readings, as it would be saved.

    Attributes:
        spine: its points in stored pixels; ``None`` where there is no mean.
        curves: its angles as texts, from top to bottom.
        refusal: why there is none, "" otherwise.
    """

    spine: Optional[Spine]
    curves: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class Part:
    """What the user may do with an image.

    Attributes:
        may_save: whether points that they submit are taken, as far as may be told.
        reading: the own one, under work or made; ``None`` without one that is shown.
        is_submitted: whether that was submitted.
    """

    may_save: bool
    reading: Optional[Reading] = None
    is_submitted: bool = False


@dataclass(frozen=True, eq=False)
class ImageReadings:
    """The submitted readings of one image that the user may see.

    Attributes:
        image_id: the image.
        readings: by number.
        differences: of the first two by different readers: those that only one has, then the largest.
        angle_difference_deg: of the largest Cobb angles; ``None`` where one is unknown.
        names_shift: 1 where what the first calls T7 the second calls T8, -1 where it calls it T6, else 0.
        final: ``None`` where nobody has adjudicated.
        mean: of the first two by different readers; ``None`` without two.
        part: what the user may do with the image; ``None`` on servers before 0.12.
    """

    image_id: str
    readings: tuple[SubmittedReading, ...]
    differences: tuple[VertebraDifference, ...] = ()
    angle_difference_deg: Optional[float] = None
    names_shift: int = 0
    final: Optional[FinalLabel] = None
    mean: Optional[MeanReading] = None
    part: Optional[Part] = None

    @property
    def final_version(self) -> int:
        """Version of the label ``FINAL``, 0 without one: adjudicated, or a first reading that was the only one."""
        if self.final is not None:
            return self.final.version
        return next((one.version for one in self.readings if one.tag == FINAL), 0)

    def changed_since(self, versions: Mapping[int, int], final_version: Optional[int]) -> str:
        """What is not as an adjudicator has seen it, as the beginning of a sentence; "" where all is.

        Args:
            versions: of the readings, as seen.
            final_version: of the final label, as seen; ``None`` where that is unknown.
        """
        if dict(versions) != self.versions:
            return "A reading was changed"
        if final_version in (None, self.final_version):
            return ""
        by = self.final.by if self.final is not None else ""
        return f"The final label was changed{f' by {by}' if by else ''}"

    @property
    def independent(self) -> tuple[SubmittedReading, ...]:
        """The readings by different readers, without repeats."""
        return tuple(one for one in self.readings if one.reading.kind != REPEAT)

    @property
    def versions(self) -> dict[int, int]:
        """Versions of the independent readings, by number."""
        return {one.reading.number: one.version for one in self.independent}

    def last_of(self, reader: str) -> Optional[SubmittedReading]:
        """The newest reading of a reader; ``None`` without any."""
        return next((one for one in reversed(self.readings) if one.reader == reader), None)


@dataclass(frozen=True)
class QueuedImage:
    """An image that waits for an adjudicator.

    Attributes:
        image_id: the image.
        readers: who has read it.
        adjudicator: who has it open, "" where nobody has.
    """

    image_id: str
    readers: tuple[str, ...]
    adjudicator: str


def parse_image_readings(content: Any) -> ImageReadings:
    """Parse ``GET /readings``.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    content = as_object(content, "readings")
    listed = [_submitted_reading(one) for one in as_list(content.get("readings"), "readings")]
    shift = content.get("names_shift", 0)
    if shift not in (-1, 0, 1) or isinstance(shift, bool):
        raise bad_response(f"names_shift must be -1, 0 or 1, got {shift!r:.40}")
    return ImageReadings(
        image_id=as_string(content.get("image"), "image"),
        readings=tuple(sorted(listed, key=lambda one: one.reading.number)),
        differences=tuple(map(_difference, as_list(content.get("differences"), "differences"))),
        angle_difference_deg=optional_number(content.get("angle_difference_deg"), "angle_difference_deg", 0),
        names_shift=int(shift),
        final=None if content.get("final") is None else _final_label(content["final"]),
        mean=None if content.get("mean") is None else _mean_reading(content["mean"]),
        part=None if content.get("you") is None else _part(content["you"]),
    )


def _submitted_reading(content: Any) -> SubmittedReading:
    fields = as_object(content, "reading")
    touched = as_list(fields.get("touched"), "touched")
    edits, submitted = fields.get("edits"), fields.get("submitted")
    return SubmittedReading(
        reading=parse_reading(fields),
        reader=as_string(fields.get("reader"), "reader"),
        version=as_integer(fields.get("version"), "version", 1),
        spine=parse_spine(fields.get("landmarks")),
        touched=tuple(name for name in LANDMARK_INDEX if name in touched),
        curves=_curves(fields.get("measured")),
        submitted=None if submitted is None else as_number(submitted, "submitted", 0, 1e12),
        seconds=optional_number(fields.get("seconds"), "seconds", 0),
        edits=None if edits is None else as_integer(edits, "edits"),
        model_version=as_string(fields.get("model_version") or "", "model_version"),
        tag=as_string(fields.get("tag") or "", "tag"),
    )


def _curves(measured: Any) -> tuple[str, ...]:
    curves = as_list(as_object(measured, "measured").get("curves"), "curves")
    return tuple(as_string(as_object(curve, "curve").get("text"), "text of a curve") for curve in curves)


def _mean_reading(content: Any) -> MeanReading:
    fields = as_object(content, "mean")
    if not as_list(fields.get("landmarks"), "landmarks"):
        return MeanReading(None, refusal=as_string(fields.get("sentence"), "sentence"))
    return MeanReading(parse_spine(fields["landmarks"]), _curves(fields.get("measured")))


def _part(content: Any) -> Part:
    fields = as_object(content, "you")
    may_save = as_bool(fields.get("may_save"), "may_save")
    if fields.get("reading") is None:
        return Part(may_save)
    own = as_object(fields["reading"], "reading")
    return Part(may_save, parse_reading(own), as_bool(own.get("submitted"), "submitted"))


def _difference(content: Any) -> VertebraDifference:
    fields = as_object(content, "difference")
    return VertebraDifference(
        vertebra=as_choice(fields.get("vertebra"), VERTEBRAE, "vertebra"),
        center_px=optional_number(fields.get("center_px"), "center_px", 0),
        corners_px=optional_number(fields.get("corners_px"), "corners_px", 0),
        tilt_deg=optional_number(fields.get("tilt_deg"), "tilt_deg", 0),
        is_missing=as_bool(fields.get("is_missing"), "is_missing"),
    )


def _final_label(content: Any) -> FinalLabel:
    fields = as_object(content, "final")
    how, by = fields.get("how"), fields.get("by")
    version = as_integer(fields.get("version"), "version", 1)
    return FinalLabel("" if how is None else str(how), as_string(by or "", "by"), version)


def parse_queue(content: Any) -> tuple[QueuedImage, ...]:
    """Parse ``GET /readings/queue``: those whose readings differ most come first.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    return tuple(map(_queued_image, as_list(as_object(content, "queue").get("images"), "images")))


def _queued_image(content: Any) -> QueuedImage:
    fields = as_object(content, "queued image")
    readings = [as_object(one, "reading") for one in as_list(fields.get("readings"), "readings")]
    return QueuedImage(
        image_id=as_string(fields.get("image"), "image"),
        readers=tuple(as_string(one.get("reader"), "reader") for one in readings),
        adjudicator=as_string(fields.get("adjudicator") or "", "adjudicator"),
    )
