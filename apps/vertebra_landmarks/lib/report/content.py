"""What a report says, in words and numbers, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..image_io import Radiograph
from ..spine.imaging.image_frame import ImageFrame
from ..spine.imaging.orientation import UPRIGHT, Orientation
from ..spine.measurement.cobb import Curve, patient_side, t1_tilt_deg
from ..spine.measurement.image_warnings import IMPLAUSIBLE, MEASURED_CODES, ImageWarning, measurement_warnings
from ..spine.measurement.measured_spine import Measurements, measure, vertebrae_to_check
from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.measurement.report import sides_of
from ..spine.schema import Spine
from .typeface import printable
from .writing_direction import in_printed_order

RESEARCH_NOTE = "For research. Not a medical device."
NOT_CONFIRMED = "Not confirmed by a person"
_MAX_NAME, _MAX_SENTENCE = 80, 300  # characters


@dataclass(frozen=True, eq=False)
class ReportContent:
    """One image with its points, and who vouches for them.

    Attributes:
        image: id of the image.
        radiograph: the image.
        spine: points in stored pixels.
        frame: of the image, with the orientation and the patient's sides in use.
        origin: of the points that no person has placed.
        model: name of the model version; "" where no model has predicted the points.
        model_digest: of its weights; "" where unknown.
        is_confirmed: whether a person has saved the points as a final label.
        confirmed_by: who; "" where unknown.
        confirmed_on: when, as a date; "" where unknown.
        taken_on: date of the image as its header states it; "" where it states none.
    """

    image: str
    radiograph: Radiograph
    spine: Spine
    frame: ImageFrame
    origin: Origin = UNKNOWN
    model: str = ""
    model_digest: str = ""
    is_confirmed: bool = False
    confirmed_by: str = ""
    confirmed_on: str = ""
    taken_on: str = ""

    @cached_property
    def resolved(self) -> ImageFrame:
        """The frame with the orientation in which the points stand upright."""
        return self.frame.resolved(self.spine)

    @property
    def orientation(self) -> Orientation:
        """How the stored raster is turned upright."""
        return self.resolved.orientation or UPRIGHT

    @cached_property
    def measured(self) -> Measurements:
        """The measurements of the points."""
        return measure(self.spine, self.resolved, self.origin)

    @cached_property
    def upright_xy(self) -> np.ndarray:
        """``(V, P, 2)`` visible points in upright pixels, NaN where absent."""
        return self.resolved.upright(self.spine).visible_xy

    def identification(self) -> list[str]:
        """Image and date."""
        lines = [f"Image {_name(self.image)}"]
        return [*lines, f"Acquired on {printable(self.taken_on, _MAX_NAME)}"] if self.taken_on else lines

    def confirmation(self) -> str:
        """Who has confirmed the points, and when."""
        if not self.is_confirmed:
            return NOT_CONFIRMED
        who = _name(self.confirmed_by) or "a person whose name is not known"
        return f"Confirmed by {who}" + (f" on {self.confirmed_on}" if self.confirmed_on else "")

    def curve_rows(self) -> list[tuple[str, str, str, str]]:
        """End vertebrae, apex, side and angle of each curve."""
        return [
            (f"{curve.upper_end} to {curve.lower_end}", curve.apex, curve.side, _angle(curve))
            for curve in self.measured.curves
        ]

    def sides(self) -> str:
        """Whose left and right the sides are."""
        whose = sides_of(self.resolved)
        if whose == "patient":
            return "Sides are those of the patient: the side to which a curve is convex."
        return "Sides are those of the image, since the patient's are not known: the side to which a curve is convex."

    def explanations(self) -> list[str]:
        """What the numbers mean."""
        curves, sentences = self.measured.curves, []
        if not curves:
            return ["Fewer than three vertebrae have all corners: there is no curve to measure."]
        if not any(curve.is_scoliosis for curve in curves):
            sentences.append("No curve reaches 10°; the largest is listed.")
        if self.measured.interval:
            sentences.append(self.measured.interval)
        else:
            sentences.append("No interval is stated for these angles.")  # the warnings say why where names are doubtful
        return [*sentences, self.sides()]

    def t1_tilt(self) -> str:
        """Tilt of T1."""
        tilt = t1_tilt_deg(self.upright_xy)
        if tilt is None:
            return "T1 tilt: not measured, T1 lacks a corner of its upper endplate."
        if round(abs(tilt), 1) == 0:
            return "T1 tilt: 0.0°"
        side = patient_side("left" if tilt > 0 else "right", self.resolved.image_left_is)
        whose = "the patient's" if sides_of(self.resolved) == "patient" else "the image's"
        return f"T1 tilt: {abs(tilt):.1f}°, higher at {whose} {side}"

    def warnings(self) -> list[str]:
        """Reasons to doubt the measurement as a whole, a sentence each."""
        about_image: dict[tuple[str, str], ImageWarning] = {
            (one.code, one.message): one for one in (*self.radiograph.warnings, *self.origin.warnings)
        }
        found = measurement_warnings(self.spine, self.resolved, self.origin.names_right, about_image.values())
        named = [one for one in found if one.code != IMPLAUSIBLE]  # anatomy is among the checks
        about_points_first = sorted(named, key=lambda one: one.code not in MEASURED_CODES)
        return [printable(one.message, _MAX_SENTENCE) for one in about_points_first]

    def checks(self) -> list[str]:
        """Vertebrae that are doubtful or at odds with anatomy, a sentence each."""
        return [printable(one.text, _MAX_SENTENCE) for one in vertebrae_to_check(self.measured)]

    def provenance(self) -> str:
        """The model that has predicted points."""
        if not self.model and not self.model_digest:
            return "Points were placed by a person, or by a model that is not known."
        name = f"Model {printable(self.model, _MAX_NAME)}" if self.model else "Model"
        return name + (f", weights {printable(self.model_digest, 64)}" if self.model_digest else "")


def _name(text: str) -> str:
    """A name of any origin as it is printed."""
    return in_printed_order(printable(text, _MAX_NAME))


def _angle(curve: Curve) -> str:
    """Cobb angle with its half width."""
    width = "" if curve.half_width_deg is None else f" ± {curve.half_width_deg:.1f}°"
    return f"{curve.angle_deg:.1f}°{width}"
