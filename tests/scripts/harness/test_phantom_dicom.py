from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite

from harness.phantom_dicom import Examination, phantom_dx
from lib.image_io import read_radiograph


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_phantom_is_read_as_it_was_drawn(kind: type, tmp_path: Path) -> None:
    pixels = np.arange(7 * 9, dtype=kind).reshape(9, 7) * 3
    path = tmp_path / "phantom.dcm"
    phantom_dx(pixels).save_as(path, write_like_original=False)
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, pixels)
    assert radiograph.image_left_is == "right"
    assert radiograph.warnings == ()


def test_the_header_states_the_examination() -> None:
    stream = io.BytesIO()
    examination = Examination("P7", "Müller^Зоя", study_uid="1.2.3", number=4)
    dcmwrite(stream, phantom_dx(np.zeros((4, 4), np.uint8), examination), write_like_original=False)
    header = dcmread(io.BytesIO(stream.getvalue()))
    assert (header.PatientID, str(header.PatientName)) == ("P7", "Müller^Зоя")
    assert (header.StudyInstanceUID, header.InstanceNumber, header.StudyDate) == ("1.2.3", 4, "20261130")


def test_a_seed_gives_the_same_uids() -> None:
    pixels = np.zeros((4, 4), np.uint8)
    first, again, other = (phantom_dx(pixels, seed=seed) for seed in (1, 1, 2))
    assert first.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert first.StudyInstanceUID == again.StudyInstanceUID != other.StudyInstanceUID
    assert phantom_dx(pixels).SOPInstanceUID != phantom_dx(pixels).SOPInstanceUID


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"uint8 or uint16, got float64 \(4, 4\)"):
        phantom_dx(np.zeros((4, 4)))
