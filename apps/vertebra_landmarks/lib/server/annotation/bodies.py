"""Parts that the bodies of several requests share, validated: names, positions, and where predicted points come from.

Sizes are bounded before anything inside is looked at, so that a large body is refused quickly.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from ...learning.validation import Expected, Probability
from ...spine.imaging.orientation import Orientation
from ...spine.labels.markups import LANDMARK_INDEX
from ...spine.measurement.cobb import SIDES
from ...spine.measurement.image_warnings import MEASURED_CODES, ImageWarning
from ...spine.measurement.origin import Origin
from ...spine.schema import POINTS, VERTEBRAE

MAX_COORDINATE_PX, MAX_ERROR_PX, MAX_TILT_DEG = 1_000_000, 1_000_000, 180
MAX_TEXT_CHARACTERS, MAX_SENTENCE_CHARACTERS, MAX_ENTRIES = 200, 2_000, 100


def at_most(count: int) -> BeforeValidator:
    """A limit of the entries of a list or table, checked before the entries are."""

    def check(value: Any) -> Any:
        if isinstance(value, Sized) and not isinstance(value, str) and len(value) > count:
            raise PydanticCustomError("expected", "must have {count} entries at most", {"count": count})
        return value

    return BeforeValidator(check)


def text_of(limit: int) -> Expected:
    """Metadata of a text of limited length that files and databases can hold."""

    def is_storable(value: str) -> bool:
        return len(value) <= limit and not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)

    return Expected(f"a text of {limit:,} characters at most", is_storable)


ShortText = Annotated[str, Field(strict=True), text_of(MAX_TEXT_CHARACTERS)]
Sentence = Annotated[str, Field(strict=True), text_of(MAX_SENTENCE_CHARACTERS)]
VertebraName = Annotated[str, Expected("a vertebra from T1 to L5", VERTEBRAE.__contains__)]
PointName = Annotated[str, Expected(f"one of {', '.join(POINTS)}", POINTS.__contains__)]
LandmarkName = Annotated[str, Expected('a center like "T7" or a corner like "T7 TL"', LANDMARK_INDEX.__contains__)]
Coordinate = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False, ge=-MAX_COORDINATE_PX, le=MAX_COORDINATE_PX),
    Expected(f"a number of pixels from {-MAX_COORDINATE_PX:,} to {MAX_COORDINATE_PX:,}"),
]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_COORDINATE_PX, le=MAX_COORDINATE_PX)]
Position = Annotated[
    tuple[_Number, _Number],
    Expected(f"a position: two numbers of pixels from {-MAX_COORDINATE_PX:,} to {MAX_COORDINATE_PX:,}"),
]
ErrorPx = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False, ge=0, le=MAX_ERROR_PX),
    Expected(f"a number of pixels from 0 to {MAX_ERROR_PX:,}"),
]
Side = Annotated[str, Expected(" or ".join(SIDES), SIDES.__contains__)]
_HalfWidth = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False, ge=0, le=MAX_TILT_DEG),
    Expected(f"a number of degrees from 0 to {MAX_TILT_DEG}"),
]
_QuarterTurn = Annotated[int, Field(strict=True), Expected("0, 90, 180 or 270", (0, 90, 180, 270).__contains__)]
FEW = at_most(MAX_ENTRIES)
"""Of lists and tables; no name may stand twice, so that those of points are shorter."""


class Body(BaseModel):
    """A JSON object that lists all that it may hold."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class OrientationBody(BaseModel):
    """How the stored raster is turned upright: mirrored left to right, then turned clockwise."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)  # responses add a source
    turn_deg: _QuarterTurn = 0
    """Degrees, a multiple of 90."""
    mirrored: Annotated[bool, Field(strict=True), Expected("true or false")] = False
    """Whether it is mirrored first."""

    def orientation(self) -> Orientation:
        """The orientation."""
        return Orientation(self.turn_deg // 90, self.mirrored)


class WarningBody(Body):
    """A reason to doubt an image."""

    code: ShortText
    message: Sentence
    vertebrae: Annotated[list[VertebraName], FEW] = []


class OriginBody(Body):
    """Where the points come from that no user has set: the model, and what it says of the spine as a whole."""

    model_version: ShortText | None = None
    """``null`` or "" where unknown."""
    names_right: Probability | None = None
    """Probability that all names are right."""
    tilt_half_widths_deg: Annotated[dict[VertebraName, _HalfWidth | None], FEW] | None = None
    """By vertebra, its share in the interval of an angle."""
    orientation: OrientationBody | None = None
    """How the model turned the image upright."""
    warnings: Annotated[list[WarningBody], FEW] = []
    """About the image as a whole; those about points are derived from the points."""

    @field_validator("warnings", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return [] if value is None else value

    def origin(self) -> Origin:
        """The same as the measurement takes it."""
        widths = self.tilt_half_widths_deg or {}
        return Origin(
            model_version=self.model_version or "",
            names_right=self.names_right,
            tilt_half_widths=tuple(widths.get(name) for name in VERTEBRAE) if widths else (),
            orientation=None if self.orientation is None else self.orientation.orientation(),
            warnings=tuple(
                ImageWarning(one.code, one.message, tuple(name for name in VERTEBRAE if name in one.vertebrae))
                for one in self.warnings
                if one.code not in MEASURED_CODES
            ),
        )
