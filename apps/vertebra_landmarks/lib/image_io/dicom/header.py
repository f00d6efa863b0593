"""DICOM tags of an image besides its pixels: size, orientation, sides and view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom

from ...spine.imaging.orientation import Orientation
from ...spine.imaging.planes import RASTER, SAGITTAL, Plane, axis_of, axis_of_code, plane_of
from ...spine.measurement.image_warnings import CONTRADICTION, OTHER_VIEW, ImageWarning
from ..pixel_shape import PixelShape
from ..radiograph import Millimetres
from .tags import code_of, codes_of, numbers_of, sizes_of

_PATIENT_ORIENTATION, _IMAGE_ORIENTATION = "PatientOrientation", "ImageOrientationPatient"
_FRONTAL_VIEWS = {"AP": "right", "PA": "left"}
"""The patient's side at the image's left by ViewPosition, as seen along the beam."""
_OTHER_VIEWS = ("LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "LATERAL", "ML", "LM", "MLO", "CC", "AX", "AXIAL")
_OTHER_PARTS = (
    *("HAND", "FINGER", "THUMB", "WRIST", "FOREARM", "ELBOW", "HUMERUS", "SHOULDER", "CLAVICLE", "SCAPULA", "ARM"),
    *("CHEST", "THORAX", "RIB", "STERNUM", "BREAST", "LUNG", "HEART", "ABDOMEN", "PELVIS", "HIP", "SKULL", "HEAD"),
    *("JAW", "MANDIBLE", "MAXILLA", "SINUS", "ORBIT", "NECK", "KNEE", "PATELLA", "FEMUR", "THIGH", "TIBIA", "LEG"),
    *("FIBULA", "CALF", "ANKLE", "FOOT", "TOE", "CALCANEUS", "HEEL", "EXTREMITY", "TEETH", "TOOTH"),
)
_SPINE_TERMS = ("SPINE", "SPINAL", "VERTEBRA", "SCOLIOSIS", "WHOLEBODY")


@dataclass(frozen=True)
class Position:
    """Orientation of the patient in the image.

    Attributes:
        orientation: how to turn the stored raster upright; ``None`` where no tag states it.
        source: the tag that states it, with its value; "none" where none does.
        image_left_is: the patient's side at the left of the upright image; ``None`` where no tag states it.
        warnings: about contradicting tags or another view.
    """

    orientation: Orientation | None = None
    source: str = "none"
    image_left_is: str | None = None
    warnings: tuple[ImageWarning, ...] = ()


def millimetres_of(tags: pydicom.Dataset) -> Millimetres | None:
    """PixelSpacing, which is calibrated; else ImagerPixelSpacing, divided by the magnification where that is known.

    Without a magnification the latter is the size at the detector, which overestimates lengths by up to a sixth; the
    source says so.
    """
    calibrated = sizes_of(tags, "PixelSpacing")
    if len(calibrated) == 2:
        return Millimetres(calibrated[1], calibrated[0], "PixelSpacing")
    at_detector = sizes_of(tags, "ImagerPixelSpacing")
    if len(at_detector) != 2:
        return None
    magnification = sizes_of(tags, "EstimatedRadiographicMagnificationFactor")
    if len(magnification) != 1:
        return Millimetres(at_detector[1], at_detector[0], "ImagerPixelSpacing, at the detector")
    x, y = at_detector[1] / magnification[0], at_detector[0] / magnification[0]
    return Millimetres(x, y, "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor")


def pixel_shapes(tags: pydicom.Dataset) -> list[PixelShape]:
    """What tags state about the shape of pixels: the spacings that count for lengths first, then the others."""
    shapes = []
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
        sizes = sizes_of(tags, name)  # vertical, then horizontal
        if len(sizes) == 2:
            shapes.append(PixelShape(f"DICOM tag {name}", sizes[1], sizes[0]))
    return shapes


def spacing_source(tags: pydicom.Dataset, spacing: tuple[float, float]) -> str:
    """The tag that ITK has taken a spacing from."""
    for name in ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"):
        stated = sizes_of(tags, name)
        if len(stated) == 2 and np.allclose(stated[::-1], spacing, rtol=1e-4):
            return name
    return "none"


def stated_position(tags: pydicom.Dataset) -> Position:
    """PatientOrientation, else ImageOrientationPatient, and for the sides ViewPosition where neither names them."""
    by_codes, by_vectors = _plane_from_codes(tags), _plane_from_vectors(tags)
    plane, source = (by_codes, _source(tags)) if by_codes is not None else (by_vectors, _IMAGE_ORIENTATION)
    warnings = _contradictions(tags, by_codes, by_vectors)
    side = _side(tags, plane)
    if plane is None or plane.kind == RASTER:  # an axial plane, which is not meant
        return Position(None, "none", side, warnings)
    return Position(plane.orientation, source, side, (*warnings, *plane.warnings(source)))


def _plane_from_codes(tags: pydicom.Dataset) -> Plane | None:
    axes = [axis_of_code(code) for code in codes_of(tags, _PATIENT_ORIENTATION)[:2]]
    row, column = axes if len(axes) == 2 else (None, None)
    return None if row is None or column is None else plane_of(row, column)


def _plane_from_vectors(tags: pydicom.Dataset) -> Plane | None:
    values = numbers_of(tags, _IMAGE_ORIENTATION)
    if len(values) != 6 or not any(values[:3]) or not any(values[3:]):
        return None
    return plane_of(axis_of(np.array(values[:3])), axis_of(np.array(values[3:])))


def _contradictions(
    tags: pydicom.Dataset, by_codes: Plane | None, by_vectors: Plane | None
) -> tuple[ImageWarning, ...]:
    if by_codes is None or by_vectors is None or by_vectors.kind == RASTER or by_codes == by_vectors:
        return ()
    values = "\\".join(f"{value:g}" for value in numbers_of(tags, _IMAGE_ORIENTATION))
    contradiction = f"{_source(tags)} and {_IMAGE_ORIENTATION} {values} contradict each other"
    return (ImageWarning(CONTRADICTION, f"DICOM tags {contradiction}; {_PATIENT_ORIENTATION} was obeyed"),)


def _source(tags: pydicom.Dataset) -> str:
    return f"{_PATIENT_ORIENTATION} {_joined(tags)}"


def _joined(tags: pydicom.Dataset) -> str:
    return "\\".join(codes_of(tags, _PATIENT_ORIENTATION))


def _side(tags: pydicom.Dataset, plane: Plane | None) -> str | None:
    if plane is not None and plane.image_left_is:
        return plane.image_left_is
    rows = axis_of_code((codes_of(tags, _PATIENT_ORIENTATION) or [""])[0])
    if rows is not None and rows[0] == 0 and (plane is None or plane.kind == RASTER):
        return "right" if rows[1] > 0 else "left"
    return _FRONTAL_VIEWS.get(code_of(tags, "ViewPosition"))


def view_warnings(tags: pydicom.Dataset) -> tuple[ImageWarning, ...]:
    """Warnings about tags that contradict a frontal image of a spine; of PatientOrientation only the rows count."""
    sentences = []
    view = code_of(tags, "ViewPosition")
    if view in _OTHER_VIEWS:
        sentences.append(
            f"DICOM tag ViewPosition is {view}, expected AP or PA: the header says that the view is not frontal"
        )
    rows = (codes_of(tags, _PATIENT_ORIENTATION) or [""])[0]
    plane = _plane_from_codes(tags)
    if rows[:1] in ("A", "P") and (plane is None or plane.kind != SAGITTAL):
        sentences.append(
            f"DICOM tag PatientOrientation is {_joined(tags)}, expected L or R along the rows: the header says that "
            "the view is lateral"
        )
    part = code_of(tags, "BodyPartExamined")
    if _is_other_part(part):
        sentences.append(f"DICOM tag BodyPartExamined is {part}, expected a part of the spine")
    return tuple(ImageWarning(OTHER_VIEW, sentence) for sentence in sentences)


def _is_other_part(part: str) -> bool:
    letters = part.replace(" ", "").replace("_", "").replace("-", "")
    return any(term in letters for term in _OTHER_PARTS) and not any(term in letters for term in _SPINE_TERMS)
