"""Coded concepts of the reports: SNOMED CT and DCM where they exist, and the private scheme 99VLM for everything else.

SNOMED CT codes of vertebrae are those of CID 7602; a corner of a vertebral body has no standard code.
"""

from __future__ import annotations

import itertools

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from ..spine.measurement.cobb import SIDES
from ..spine.schema import POINTS, VERTEBRAE

SCHEME, SCHEME_NAME, SCHEME_VERSION = "99VLM", "Vertebra Landmarks", "1"
SCHEME_UID = "2.25.25611838081797655079170972643774130820"
"""Identifies the scheme: somebody else's may have the same designator."""

_VERTEBRA_VALUES = (
    *("64864005", "53733008", "1626008", "73071006", "56401006", "45296009"),  # T1 to T6
    *("62487009", "11068009", "82687006", "7610001", "12989004", "23215003"),  # T7 to T12
    *("66794005", "14293000", "36470004", "11994002", "49668003"),  # L1 to L5
)
VERTEBRA = {
    name: Code(value, "SCT", f"{name} vertebra") for name, value in zip(VERTEBRAE, _VERTEBRA_VALUES, strict=True)
}
"""By name, "T1" to "L5"."""

COBB_ANGLE = Code("285285000", "SCT", "Cobb angle")
SCOLIOSIS = Code("298382003", "SCT", "Scoliosis deformity of spine")
SIDE = dict(zip(SIDES, (Code("7771000", "SCT", "Left"), Code("24028007", "SCT", "Right")), strict=True))
RADIOGRAPHY = Code("363680008", "SCT", "Radiographic imaging procedure")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
IMAGE_REGION = Code("111030", "DCM", "Image Region")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
PERSON_OBSERVER_NAME = Code("121008", "DCM", "Person Observer Name")

DEGREE, PIXEL = Code("deg", "UCUM", "degree"), Code("{pixels}", "UCUM", "pixels")
SECOND, NO_UNITS = Code("s", "UCUM", "second"), Code("1", "UCUM", "no units")

_MEANINGS = {
    # what a point is
    "center": "Center of vertebral body",
    "TL": "Top left corner of vertebral body in the upright image",
    "TR": "Top right corner of vertebral body in the upright image",
    "BL": "Bottom left corner of vertebral body in the upright image",
    "BR": "Bottom right corner of vertebral body in the upright image",
    # what is said of a point
    "score": "Confidence in the position, from 0 to 1",
    "expected_error": "Expected distance from the true position",
    "visibility": "Visibility of the landmark",
    "hidden": "Not visible in the image",
    "outside": "Position outside the image",
    "absent": "Not placed",
    "placed_by": "Position determined by",
    "person": "A person",
    "model": "A model",
    "column": "Column of a position outside the image, from pixel centers",
    "row": "Row of a position outside the image, from pixel centers",
    # what is said of a curve and of the spine
    "curve": "Curve of the spine of less than 10 degrees",
    "half_width": "Half width of the 90 % interval of the Cobb angle",
    "upper_end": "Upper end vertebra",
    "lower_end": "Lower end vertebra",
    "open_end": "End vertebra beyond which the curve may continue",
    "apex": "Apex of the curve",
    "side": "Side of the convexity",
    "sides_of": "Left and right are sides of",
    "patient": "The patient",
    "image": "The image",
    "t1_tilt": "Tilt of the superior endplate of T1, left end up positive",
    "image_left_is": "Side of the patient at the left of the upright image",
    # what is said of the label
    "label_version": "Label version",
    "tag": "Tag of the label",
    "version": "Number of the label version",
    "digest": "SHA-256 of the label file",
    "content_digest": "SHA-256 of the label in this report",
    "landmark_report": "Report with the landmarks of these lines",
    "user": "Login of the annotator",
    "annotator": "Name of the annotator",
    "begun_by": "Annotator who began the label",
    "ts": "Time of saving, in seconds since 1970 UTC",
    "submitted": "Time of submission",
    "seconds": "Working time",
    "edits": "Editing steps",
    "touched": "Number of points placed by a person",
    "model_name": "Model that predicted the other points",
    "model_version": "Version of the model",
    "model_digest": "Digest of the weights of the model",
    "names_right": "Probability that all vertebra names are right",
    "tilt_half_widths": "Half widths of the intervals of tilts by vertebra",
    "orientation": "Turn from the stored to the upright image",
    "warnings": "Reasons to doubt the measurements",
    "restored": "Earlier version that was restored",
    "client": "Program of the annotator",
    "info": "Further information about the label",
}
_DISCS = {f"{above}/{below}": f"Disc {above}/{below}" for above, below in itertools.pairwise(VERTEBRAE)}
PRIVATE = {value: Code(value, SCHEME, meaning) for value, meaning in (_MEANINGS | _DISCS).items()}
"""The private scheme: value to code. A value never changes its meaning."""

LANDMARK = {name: PRIVATE[name] for name in POINTS}
"""By name of a point, "center" to "BR"."""
LEVEL = VERTEBRA | {name: PRIVATE[name] for name in _DISCS}
"""By name of a vertebra or of a disc, as an apex has it."""

INFO = {
    **{name: PRIVATE[name] for name in ("user", "annotator", "begun_by", "ts", "submitted", "seconds", "edits")},
    **{name: PRIVATE[name] for name in ("touched", "model_version", "model_digest", "names_right", "orientation")},
    **{name: PRIVATE[name] for name in ("warnings", "restored", "client", "image_left_is")},
    "model": PRIVATE["model_name"],
    "tilt_half_widths_deg": PRIVATE["tilt_half_widths"],
}
"""By key of a label's information; keys that are not listed are a text ``info`` each."""


def scheme_identification() -> Dataset:
    """Item of the Coding Scheme Identification Sequence for 99VLM."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeUID = SCHEME, SCHEME_UID
    item.CodingSchemeName, item.CodingSchemeVersion = SCHEME_NAME, SCHEME_VERSION
    return item
