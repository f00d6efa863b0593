"""Reports of strangers, damaged and hostile ones: a sentence each, and never a wrong label.

The environment variable ``MUTATED_REPORTS`` sets how many damaged ones there are, 40 by default.
"""

from __future__ import annotations

import copy
import io
import os
import random
import struct
from collections.abc import Callable, Iterator

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from lib.structured_report import (
    CobbLinesReport,
    LandmarkReport,
    cobb_lines_report,
    codes,
    landmark_report,
    parse_report,
    read_report,
    to_bytes,
)
from lib.structured_report.content_tree import MAX_DEPTH, items_of

from .subjects import FRAME, phantom, subject

COUNT = int(os.environ.get("MUTATED_REPORTS", "40"))


def observer() -> hd.sr.ObservationContext:
    attributes = hd.sr.DeviceObserverIdentifyingAttributes(generate_uid(), name="Other")
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(dictionary.DCM.Device, attributes),
    )


def published(kind: type, content: Dataset) -> Dataset:
    image = phantom(1)[0]
    return kind(
        evidence=[image],
        content=content,
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Other",
    )


def length_report() -> Dataset:
    """A length by TID 1500."""
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(generate_uid(), "Length 1"),
        measurements=[hd.sr.Measurement(dictionary.SCT.Length, 12.0, dictionary.UCUM.Millimeter)],
        source_images=[hd.sr.SourceImageForMeasurementGroup.from_source_image(phantom(1)[0])],
    )
    report = hd.sr.MeasurementReport(observer(), dictionary.LN.CTUnspecifiedBodyRegion, [group])
    return published(hd.sr.ComprehensiveSR, report[0])


def point_report() -> Dataset:
    """A point in a vertebra with tracking identifiers like ours, in a 3D report."""
    image = phantom(1)[0]
    region = hd.sr.ImageRegion("POINT", np.array([[5.0, 5.0]]), hd.sr.SourceImageForRegion.from_source_image(image))
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(generate_uid(), "T1 TL"),
        referenced_region=region,
        finding_type=codes.LANDMARK["TL"],
        finding_sites=[hd.sr.FindingSite(codes.VERTEBRA["T1"])],
    )
    report = hd.sr.MeasurementReport(observer(), dictionary.LN.CTUnspecifiedBodyRegion, [group])
    return published(hd.sr.Comprehensive3DSR, report[0])


def text_report() -> Dataset:
    """A finding in words."""
    root = hd.sr.ContainerContentItem(Code("18748-4", "LN", "Diagnostic imaging report"), template_id="2000")
    text = hd.sr.TextContentItem(dictionary.DCM.Finding, "A scoliosis.", hd.sr.RelationshipTypeValues.CONTAINS)
    root.ContentSequence = hd.sr.ContentSequence([text])
    return published(hd.sr.EnhancedSR, root)


def the_image() -> Dataset:
    return phantom(1)[0]


def with_our_scheme(make: Callable[[], Dataset]) -> Dataset:
    dataset = make()
    dataset.CodingSchemeIdentificationSequence = [codes.scheme_identification()]
    return dataset


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (length_report, "has neither landmarks of this project nor Cobb lines"),
        (point_report, "has neither landmarks of this project nor Cobb lines"),
        (lambda: with_our_scheme(point_report), "has neither landmarks of this project nor Cobb lines"),
        (text_report, "is none of imaging measurements"),
        (the_image, "is not a structured report"),
        (Dataset, "is not a structured report"),
    ],
)
def test_a_stranger_gets_a_reason(make: Callable[[], Dataset], sentence: str) -> None:
    report, reason = read_report(make())
    assert report is None
    assert sentence in reason


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no DICOM file"),
        (b"%PDF-1.4", "no DICOM file"),
        (b"\0" * 128 + b"DICM", "not a structured report"),
        (b"\0" * (17 << 20), "more than 16 MB"),
    ],
)
def test_what_is_no_dicom_file_gets_a_reason(content: bytes, sentence: str) -> None:
    report, reason = parse_report(content)
    assert report is None
    assert sentence in reason


def test_a_deflated_file_is_not_inflated() -> None:
    dataset = cobb_lines_report(subject(1))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    report, reason = parse_report(to_bytes(dataset))
    assert report is None
    assert "deflated" in reason


def measurements_of(dataset: Dataset) -> Dataset:
    return next(i for i in dataset.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")


def groups_of(dataset: Dataset) -> list[Dataset]:
    return list(measurements_of(dataset).ContentSequence)


def point_of(group: Dataset) -> Dataset:
    return next(item for item in group.ContentSequence if item.ValueType == "SCOORD")


def without(dataset: Dataset, name: str) -> None:
    """Remove the items of a private concept from the container of the label."""
    container = dataset.ContentSequence[-1]
    items = [i for i in container.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue != name]
    container.ContentSequence = items


def move(dataset: Dataset) -> None:
    group = next(g for g in groups_of(dataset) if any(i.ValueType == "SCOORD" for i in g.ContentSequence))
    point_of(group).GraphicData = [10.5, 10.5]


def repeat(dataset: Dataset) -> None:
    container = measurements_of(dataset)
    container.ContentSequence.append(container.ContentSequence[0])


def rename(dataset: Dataset) -> None:
    site = next(i for i in groups_of(dataset)[0].ContentSequence if i.ValueType == "CODE")
    site.ConceptCodeSequence[0].CodeValue = "BR"


def drop(dataset: Dataset) -> None:
    container = measurements_of(dataset)
    del container.ContentSequence[3]


def refer_elsewhere(dataset: Dataset) -> None:
    for group in groups_of(dataset)[:1]:
        for item in group.ContentSequence:
            for image in items_of(item, "ContentSequence"):
                image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def lose_evidence(dataset: Dataset) -> None:
    del dataset.CurrentRequestedProcedureEvidenceSequence


def lose_version(dataset: Dataset) -> None:
    without(dataset, "version")


def lose_digest(dataset: Dataset) -> None:
    without(dataset, "digest")


def contain_itself(dataset: Dataset) -> None:
    container = dataset.ContentSequence[-1]
    container.ContentSequence.append(container)


def nest(dataset: Dataset) -> None:
    item = copy.deepcopy(dataset.ContentSequence[0])
    for _ in range(MAX_DEPTH + 2):
        outer = Dataset()
        outer.ContentSequence = [item]
        item = outer
    dataset.ContentSequence.append(item)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (move, "was changed after it was written"),
        (repeat, "states T1 twice"),
        (rename, "codes of T1 in the landmark report are those of another point"),
        (drop, "states 84 points, expected 85"),
        (refer_elsewhere, "refers to 2 images, expected 1"),
        (lose_evidence, "in which study its image is"),
        (lose_version, "which label version"),
        (lose_digest, "is damaged"),
        (contain_itself, "too large"),
        (nest, "too large"),
    ],
)
def test_a_damaged_report_of_ours_is_not_taken(damage: Callable[[Dataset], None], sentence: str) -> None:
    dataset = dcmread(io.BytesIO(to_bytes(landmark_report(subject(1), FRAME))))
    assert read_report(dataset)[0] is not None
    damage(dataset)
    report, reason = read_report(dataset)
    assert report is None
    assert sentence in reason


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """The file with flipped, lost, repeated or foreign bytes."""
    changed = bytearray(content)
    kind = rng.randrange(4)
    for _ in range(rng.choice((1, 3, 30))):
        at = rng.randrange(132, len(changed))
        if kind == 0:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            del changed[at : at + rng.choice((1, 2, 8, 200))]
        elif kind == 2:
            changed[at:at] = changed[at : at + rng.choice((1, 8, 64, 2000))]
        else:
            changed[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFEE00D)))
        if len(changed) < 200:
            break
    return bytes(changed)


def elements(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    for element in dataset:
        yield dataset, element
        for item in element.value if element.VR == "SQ" else ():
            yield from elements(item)


WEIRD = (
    *("", " ", "x" * 70_000, "\0", "\u202e", "1e999", "nan", "-1", "2.25.", "99VLM", "T1 TL", "{}", "[" * 5000),
    *(0, -1, 2**40, float("nan"), float("inf"), None, b"\xff\xfe", [], [float("nan")] * 3, [1.0] * 5000, Dataset()),
)


def mutate(dataset: Dataset, rng: random.Random) -> None:
    """Lose, swap, repeat or replace elements anywhere in the dataset."""
    everything = list(elements(dataset))
    for owner, element in rng.sample(everything, rng.choice((1, 2, 10))):
        kind = rng.randrange(4)
        if kind == 0:
            owner.pop(element.tag, None)
        elif kind == 1 and element.VR == "SQ" and len(element.value):
            element.value = [*element.value, rng.choice(element.value)]
        elif kind == 2 and element.VR == "SQ" and len(element.value):
            element.value = rng.sample(list(element.value), rng.randrange(len(element.value)))
        else:
            vr = rng.choice(("UT", "UI", "FL", "FD", "DS", "CS", "OB", element.VR if element.VR != "SQ" else "LO"))
            owner[element.tag] = DataElement(element.tag, vr, rng.choice(WEIRD), already_converted=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mutated_reports_give_a_sentence_or_the_very_label() -> None:
    about = subject(1)
    whole = {True: to_bytes(landmark_report(about, FRAME)), False: to_bytes(cobb_lines_report(about, FRAME))}
    results = {"refused": 0, "taken": 0}
    for number in range(COUNT):
        rng = random.Random(number)
        content = whole[number % 3 != 0]
        if number % 2:
            report, reason = parse_report(mutated_bytes(content, rng))
        else:
            dataset = dcmread(io.BytesIO(content))
            mutate(dataset, rng)
            report, reason = read_report(dataset)
        results["refused" if report is None else "taken"] += 1
        assert (report is None) == bool(reason)
        if isinstance(report, LandmarkReport):
            assert report.label == about.label
        elif isinstance(report, CobbLinesReport):
            assert all(np.isfinite(angle.lines).all() for angle in report.angles)
        else:
            assert "\n" not in reason
            assert len(reason) < 200
    assert min(results.values()) > 0
