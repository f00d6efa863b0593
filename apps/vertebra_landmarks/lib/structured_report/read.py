"""What a structured report is: one of ours, Cobb lines of a viewer, or a stranger's.

Reports come from an archive that anybody writes to: nothing in one is trusted, and nothing in one makes this fail.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from pydicom import dcmread, filereader
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedSRStorage,
)

from ..spine.labels.markups import LANDMARK_INDEX
from ..spine.schema import POINTS, VERTEBRAE, Spine
from . import codes
from .cobb_proposal import DrawnAngle
from .content_tree import Item, items_of, read_tree, text_of
from .label_info import read_info
from .label_version import DocumentReference, LabelVersion, from_graphic
from .source_image import quiet

SR_CLASSES = (ComprehensiveSRStorage, EnhancedSRStorage, Comprehensive3DSRStorage)
MAX_REPORT_BYTES = 16 << 20
"""Largest file that is parsed; ours have about 0.2 MB."""
MAX_ANGLES = 100
COBB_TOOL = ":CobbAngle"
"""End of the tracking identifier of a viewer's Cobb angle."""


@dataclass(frozen=True)
class LandmarkReport:
    """A landmark report of ours.

    Attributes:
        label: the label version, complete.
        image: the labelled image.
        document: the report itself.
        predecessor: report that it corrects; ``None`` without one.
        image_left_is: the patient's side at the left of the upright image; ``None`` where not stated.
        observer: name of the person who placed or confirmed points, "" without one.
        is_verified: whether somebody attests the report.
    """

    label: LabelVersion
    image: DocumentReference
    document: DocumentReference
    predecessor: DocumentReference | None
    image_left_is: str | None
    observer: str
    is_verified: bool


@dataclass(frozen=True)
class CobbLinesReport:
    """Cobb angles with their lines.

    Attributes:
        angles: one or more; ``cobb_proposal`` compares them with a label.
        document: the report itself.
        is_ours: whether this project wrote it, and nobody edited it.
        observer: name of the person who drew them, "" where nobody is named.
        predecessor: report that it was edited from; ``None`` without one.
        landmarks_uid: SOP Instance UID of the landmark report of the same label version, "" where none is named.
        saved_at: content date and time, digits alone, by the clock of who wrote it; "" where not stated.
    """

    angles: tuple[DrawnAngle, ...]
    document: DocumentReference
    is_ours: bool
    observer: str
    predecessor: DocumentReference | None = None
    landmarks_uid: str = ""
    saved_at: str = ""


Report = LandmarkReport | CobbLinesReport
Result = tuple[Report | None, str]
"""The report with "", or ``None`` with a sentence that says why it is none of those."""


class _ForeignReportError(ValueError):
    """Not a report to read; the message quotes nothing from it."""


def parse_report(content: bytes) -> Result:
    """Read the bytes of a DICOM file; never raises, see ``read_report``."""
    if len(content) > MAX_REPORT_BYTES:
        return None, f"the file has more than {MAX_REPORT_BYTES >> 20} MB, which no report of landmarks has"
    with quiet():
        try:
            stream = io.BytesIO(content)
            filereader.read_preamble(stream, force=False)
            meta = filereader._read_file_meta_info(stream)  # the public one wants a file name
            if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                return None, "the file is deflated; expected an uncompressed one"
            dataset = dcmread(io.BytesIO(content))
        except Exception as error:  # whatever a damaged file makes pydicom raise
            return None, f"the file is no DICOM file or a damaged one ({type(error).__name__})"
        return read_report(dataset)


def read_report(dataset: Dataset) -> Result:
    """Say what a report is; never raises.

    Args:
        dataset: any DICOM instance.

    Returns:
        A report of ours or a viewer's Cobb lines, with ""; or ``None`` with the reason. The reason quotes nothing from
        the report.
    """
    with quiet():
        try:
            return _read(dataset), ""
        except _ForeignReportError as error:
            return None, str(error)
        except Exception as error:  # whatever a damaged report makes pydicom raise
            return None, f"the structured report is damaged ({type(error).__name__})"


def _read(dataset: Dataset) -> Report:
    if text_of(dataset, "SOPClassUID") not in SR_CLASSES:
        raise _ForeignReportError("the instance is not a structured report that may hold measurements")
    try:
        root = read_tree(dataset)
    except ValueError as error:
        raise _ForeignReportError(f"the structured report is too large: {error}") from None
    measurements = root.named(codes.IMAGING_MEASUREMENTS)
    if not root.is_named(codes.MEASUREMENT_REPORT) or measurements is None:
        raise _ForeignReportError("the structured report is none of imaging measurements")
    groups = tuple(measurements.all_named(codes.MEASUREMENT_GROUP))
    container = root.named(codes.PRIVATE["label_version"])
    is_ours = any(
        text_of(item, "CodingSchemeUID") == codes.SCHEME_UID
        for item in items_of(dataset, "CodingSchemeIdentificationSequence")
    )
    if is_ours and container is not None:
        return _landmark_report(dataset, root, groups, container)
    angles = tuple(_drawn_angles(groups))
    if not angles:
        raise _ForeignReportError("the structured report has neither landmarks of this project nor Cobb lines")
    landmarks = root.named(codes.PRIVATE["landmark_report"])
    return CobbLinesReport(
        angles,
        _document(dataset),
        is_ours,
        _observer(root),
        _predecessor(dataset),
        "" if landmarks is None else landmarks.referenced_uid,
        re.sub(r"\D", "", text_of(dataset, "ContentDate") + text_of(dataset, "ContentTime").partition(".")[0]),
    )


def _landmark_report(dataset: Dataset, root: Item, groups: tuple[Item, ...], container: Item) -> LandmarkReport:
    tag, digest, content_digest = (_text(container, name) for name in ("tag", "digest", "content_digest"))
    number = container.named(codes.PRIVATE["version"])
    version = None if number is None else number.number
    if not tag or not isinstance(version, int) or version < 1:
        raise _ForeignReportError("the landmark report does not state which label version it holds")
    image_uids = {uid for group in groups for uid in _image_uids(group)}
    if len(image_uids) != 1:
        raise _ForeignReportError(f"the landmark report refers to {len(image_uids)} images, expected 1")
    spine, touched = _points(groups)
    label = LabelVersion(spine, tag, version, digest, read_info(container.children), touched)
    image_uid = image_uids.pop()
    if label.content_digest(image_uid) != content_digest:
        raise _ForeignReportError("the landmark report was changed after it was written, or is damaged")
    references = {
        ref.sop_instance_uid: ref for ref in _references(dataset, "CurrentRequestedProcedureEvidenceSequence")
    }
    if image_uid not in references:
        raise _ForeignReportError("the landmark report does not say in which study its image is")
    return LandmarkReport(
        label,
        references[image_uid],
        _document(dataset),
        _predecessor(dataset),
        _image_left_is(groups),
        _observer(root),
        text_of(dataset, "VerificationFlag") == "VERIFIED",
    )


def _text(container: Item, name: str) -> str:
    item = container.named(codes.PRIVATE[name])
    return "" if item is None else item.text


def _points(groups: Iterable[Item]) -> tuple[Spine, frozenset[str] | None]:
    """The points of the measurement groups, and which of them a person has placed."""
    shape = (len(VERTEBRAE), len(POINTS))
    xy, scores, errors = np.full((*shape, 2), np.nan), np.ones(shape), np.full(shape, np.nan)
    visible, seen, placed_by = np.ones(shape, bool), np.zeros(shape, bool), {}
    for group in groups:
        tracking = group.named(codes.TRACKING_IDENTIFIER)
        name = "" if tracking is None else tracking.text
        index = LANDMARK_INDEX.get(name)
        if index is None:
            continue
        if seen[index]:
            raise _ForeignReportError(f"the landmark report states {name} twice")
        _check_codes(group, name, index)
        seen[index], xy[index] = True, _position(group)
        states = {item.code[0] for item in group.all_named(codes.PRIVATE["visibility"])}
        visible[index] = "hidden" not in states
        scores[index] = _number(group, "score", 1.0)
        errors[index] = _number(group, "expected_error", np.nan)
        placed = group.named(codes.PRIVATE["placed_by"])
        placed_by[name] = None if placed is None else placed.code[0]
    if not seen.all():
        raise _ForeignReportError(f"the landmark report states {seen.sum()} points, expected {seen.size}")
    is_known = any(by is not None for by in placed_by.values())
    touched = frozenset(name for name, by in placed_by.items() if by == "person")
    return Spine.from_arrays(xy, scores, errors, visible), touched if is_known else None


def _check_codes(group: Item, name: str, index: tuple[int, int]) -> None:
    """Raise where the codes say another point than the tracking identifier."""
    site, finding = codes.VERTEBRA[VERTEBRAE[index[0]]], codes.LANDMARK[POINTS[index[1]]]
    sites, findings = group.named(codes.FINDING_SITE), group.named(codes.FINDING)
    for item, code in ((sites, site), (findings, finding)):
        if item is None or item.code != (code.value, code.scheme_designator):
            raise _ForeignReportError(f"the codes of {name} in the landmark report are those of another point")


def _position(group: Item) -> np.ndarray:
    """``(2,)`` stored pixels, NaN of a point that was not placed."""
    for item in group.all_of_type("SCOORD"):
        graphic = item.graphic
        if len(graphic) == 1 and text_of(item.dataset, "GraphicType") == "POINT":
            return from_graphic(graphic[0])
    return np.array([_number(group, "column", np.nan), _number(group, "row", np.nan)])


def _number(group: Item, name: str, missing: float) -> float:
    item = group.named(codes.PRIVATE[name])
    number = None if item is None else item.number
    return missing if number is None else float(number)


def _image_uids(group: Item) -> Iterator[str]:
    """SOP Instance UIDs of the images that a group and its regions refer to."""
    for item in group.children:
        if item.value_type == "IMAGE":
            yield item.referenced_uid
        yield from (child.referenced_uid for child in item.all_of_type("IMAGE"))


def _image_left_is(groups: Iterable[Item]) -> str | None:
    sides = {(code.value, code.scheme_designator): side for side, code in codes.SIDE.items()}
    stated = (item for group in groups for item in group.all_named(codes.PRIVATE["image_left_is"]))
    return next((sides.get(item.code) for item in stated), None)


def _drawn_angles(groups: Iterable[Item]) -> Iterator[DrawnAngle]:
    """Cobb angles with two lines, as OHIF writes them."""
    count = 0
    for group in groups:
        tracking = group.named(codes.TRACKING_IDENTIFIER)
        if tracking is None or not tracking.text.endswith(COBB_TOOL):
            continue
        for number in group.all_named(codes.COBB_ANGLE):
            for region in number.all_of_type("SCOORD"):
                images = [child.referenced_uid for child in region.all_of_type("IMAGE")]
                lines = from_graphic(region.graphic)
                if lines.shape != (4, 2) or not np.isfinite(lines).all() or len(images) != 1 or count >= MAX_ANGLES:
                    continue
                count += 1
                stated = number.number
                yield DrawnAngle(lines, None if stated is None else float(stated), images[0])


def _observer(root: Item) -> str:
    observer = root.named(codes.PERSON_OBSERVER_NAME)
    return "" if observer is None else observer.text.rstrip("^")


def _document(dataset: Dataset) -> DocumentReference:
    keywords = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    return DocumentReference(*(text_of(dataset, keyword) for keyword in keywords))


def _predecessor(dataset: Dataset) -> DocumentReference | None:
    return next(_references(dataset, "PredecessorDocumentsSequence"), None)


def _references(dataset: Dataset, keyword: str) -> Iterator[DocumentReference]:
    """Instances in a sequence of studies, series and instances."""
    for study in items_of(dataset, keyword):
        for series in items_of(study, "ReferencedSeriesSequence"):
            for instance in items_of(series, "ReferencedSOPSequence"):
                yield DocumentReference(
                    text_of(instance, "ReferencedSOPClassUID"),
                    text_of(instance, "ReferencedSOPInstanceUID"),
                    text_of(study, "StudyInstanceUID"),
                    text_of(series, "SeriesInstanceUID"),
                )
