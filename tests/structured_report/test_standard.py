"""What we write is what the standard, its checkers and other readers expect."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from lib import structured_report
from lib.spine.measurement.report import curves_of
from lib.structured_report import (
    cobb_lines_report,
    codes,
    encapsulated_pdf,
    landmark_report,
    presentation_state,
    to_bytes,
)
from lib.structured_report.content_tree import Item, read_tree

from .subjects import FRAME, phantom, subject, varied

PDF = b"%PDF-1.4\n%%EOF\n"
INSTANCES = {
    "image": lambda about: about.image.header,
    "landmarks": lambda about: landmark_report(about, FRAME, about.reference("landmarks")),
    "cobb lines": lambda about: cobb_lines_report(about, FRAME),
    "presentation state": lambda about: presentation_state(about, FRAME),
    "pdf": lambda about: encapsulated_pdf(about, PDF),
}


def run(program: str, path: Path) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: dicom3tools, dcmtk)")
    done = subprocess.run([found, path], capture_output=True, text=True, timeout=60, errors="replace")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", INSTANCES)
def test_dciodvfy_finds_no_error(kind: str, seed: int, tmp_path: Path) -> None:
    path = tmp_path / "instance.dcm"
    path.write_bytes(to_bytes(INSTANCES[kind](subject(seed, varied(phantom(seed)[1], seed)))))
    found = run("dciodvfy", path).splitlines()
    assert [line for line in found if line.startswith("Error")] == []
    warnings = Counter("Coding Scheme" in line for line in found if line.startswith("Warning"))
    assert warnings[False] == 0  # a private scheme is warned of, and nothing else


@pytest.mark.parametrize("kind", ["landmarks", "cobb lines"])
def test_dsrdump_shows_the_report(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(to_bytes(INSTANCES[kind](subject(1))))
    text = run("dsrdump", path)
    assert "Imaging Measurement Report" in text
    assert "Cobb angle" in text
    assert ("T1 TL" in text) == (kind == "landmarks")


def tree_of(dataset: Dataset) -> tuple[Item, tuple[Item, ...]]:
    root = read_tree(dataset)
    measurements = root.named(codes.IMAGING_MEASUREMENTS)
    assert measurements is not None
    return root, measurements.children


def coded(group: Item, name: str) -> str:
    item = group.named(codes.PRIVATE[name])
    assert item is not None
    return item.code[0]


def test_codes_are_those_of_snomed_ct() -> None:
    listed = {
        "T1": "64864005", "T2": "53733008", "T3": "1626008", "T4": "73071006", "T5": "56401006", "T6": "45296009",
        "T7": "62487009", "T8": "11068009", "T9": "82687006", "T10": "7610001", "T11": "12989004", "T12": "23215003",
        "L1": "66794005", "L2": "14293000", "L3": "36470004", "L4": "11994002", "L5": "49668003",
    }  # fmt: skip
    assert {name: code.value for name, code in codes.VERTEBRA.items()} == listed
    assert {code.scheme_designator for code in codes.VERTEBRA.values()} == {"SCT"}
    assert (codes.COBB_ANGLE.value, codes.COBB_ANGLE.scheme_designator) == ("285285000", "SCT")


def test_private_codes_fit_their_attributes_and_are_unique() -> None:
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in codes.PRIVATE.values())
    assert len({code.meaning for code in codes.PRIVATE.values()}) == len(codes.PRIVATE)
    assert {code.scheme_designator for code in codes.PRIVATE.values()} == {"99VLM"}


def test_a_point_is_a_region_with_site_finding_and_estimates() -> None:
    about = subject(1, touched=frozenset({"T1 TL"}))
    _, groups = tree_of(landmark_report(about, FRAME))
    by_name = {group.named(codes.TRACKING_IDENTIFIER).text: group for group in groups}  # type: ignore[union-attr]
    group, landmark = by_name["T1 TR"], about.label.spine["T1"].TR
    assert landmark is not None
    region = next(group.all_of_type("SCOORD"))
    assert region.graphic.tolist() == [[landmark.x + 0.5, landmark.y + 0.5]]
    assert region.dataset.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == about.image.uid
    assert group.named(codes.FINDING_SITE).code == ("64864005", "SCT")  # type: ignore[union-attr]
    assert group.named(codes.FINDING).code == ("TR", "99VLM")  # type: ignore[union-attr]
    assert (coded(group, "placed_by"), coded(by_name["T1 TL"], "placed_by")) == ("model", "person")
    texts = {item.text for item in group.all_of_type("TEXT")}
    assert {"vertebra_landmarks", "v7", "model_digest=0123456789abcdef"} <= texts
    assert "v7" not in {item.text for item in by_name["T1 TL"].all_of_type("TEXT")}


def test_tracking_uids_stay_with_the_landmark() -> None:
    def uids(version: int, seed: int) -> list[str]:
        _, groups = tree_of(landmark_report(subject(seed, version=version)))
        return [next(group.all_of_type("UIDREF")).text for group in groups][:85]

    first = uids(1, 1)
    assert uids(2, 1) == first
    assert len(set(first)) == 85
    assert set(uids(1, 2)).isdisjoint(first)


def test_points_that_are_not_seen_are_said_to_be() -> None:
    spine = varied(phantom(1)[1], 1)
    _, groups = tree_of(landmark_report(subject(1, spine), FRAME))
    stated = Counter(item.code[0] for group in groups for item in group.all_named(codes.PRIVATE["visibility"]))
    absent = int(np.isnan(spine.xy[..., 0]).sum())
    outside = int((spine.xy[..., 0] < -0.5).sum())
    assert stated == {"absent": absent, "outside": outside, "hidden": 85 - absent - int(spine.visible.sum())}
    assert all(stated.values())


def test_curves_are_stated_with_ends_side_apex_and_interval() -> None:
    about = subject(1, touched=frozenset())
    curves = curves_of(about.label.spine, FRAME)
    assert curves
    _, groups = tree_of(landmark_report(about, FRAME))
    measured = [group for group in groups if group.named(codes.COBB_ANGLE)]
    assert len(measured) == len(curves)
    for group, curve in zip(measured, curves, strict=True):
        angle, half_width = (group.named(code) for code in (codes.COBB_ANGLE, codes.PRIVATE["half_width"]))
        assert angle is not None
        assert angle.number == curve.angle_deg
        assert angle.dataset.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "deg"
        assert (half_width is None) == (curve.upper_end == "T1")  # which has no half width in this label
        assert coded(group, "upper_end") == codes.VERTEBRA[curve.upper_end].value
        assert coded(group, "lower_end") == codes.VERTEBRA[curve.lower_end].value
        assert coded(group, "apex") == codes.LEVEL[curve.apex].value
        assert coded(group, "side") == {"left": "7771000", "right": "24028007"}[curve.side]
        assert coded(group, "sides_of") == "patient"


def test_sides_of_the_image_are_not_called_the_patients() -> None:
    _, groups = tree_of(landmark_report(subject(1)))
    assert {coded(group, "sides_of") for group in groups if group.named(codes.COBB_ANGLE)} == {"image"}
    assert not any(group.named(codes.PRIVATE["image_left_is"]) for group in groups)


def test_a_pdf_is_in_the_study_of_its_image() -> None:
    about = subject(1)
    dataset = encapsulated_pdf(about, PDF + b"x")
    assert dataset.StudyInstanceUID == about.image.study_uid
    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == PDF + b"x"
    assert len(dataset.EncapsulatedDocument) % 2 == 0
    with pytest.raises(ValueError, match="not a PDF"):
        encapsulated_pdf(about, b"hello")


def test_a_presentation_state_draws_what_is_visible() -> None:
    about = subject(1, varied(phantom(1)[1], 1))
    dataset = presentation_state(about, FRAME)
    kinds = Counter(
        graphic.GraphicType for layer in dataset.GraphicAnnotationSequence for graphic in layer.GraphicObjectSequence
    )
    visible = about.label.spine.visible
    curves = len(curves_of(about.label.spine, FRAME))
    assert kinds == {"POINT": visible.sum(), "POLYLINE": visible[:, 1:].all(1).sum() + 2 * curves}
    texts = [text.UnformattedTextValue for text in dataset.GraphicAnnotationSequence[-1].TextObjectSequence]
    assert len(texts) == curves
    with pytest.raises(ValueError, match="no visible point"):
        presentation_state(subject(1, varied(phantom(1)[1], 1).moved_to(np.full((17, 5, 2), np.nan))))


def test_highdicom_is_imported_when_the_first_report_is_made() -> None:
    """Every start of a server imports this package, and most servers write no report."""
    package = Path(structured_report.__file__).parents[2]
    code = "import sys, lib.structured_report; print([name for name in sys.modules if name.startswith('highdicom')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
