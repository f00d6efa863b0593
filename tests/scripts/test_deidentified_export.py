"""``scripts/labels.py export --deidentify`` as a user calls it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset

import labels as script
from harness.phantom_dicom import Examination, phantom_dx
from lib.deidentification import Pseudonyms
from lib.image_io import read_radiograph
from lib.learning.data.labelled_items import patient_by_name
from lib.server.store.datastore import StudiesDatastore
from lib.spine.labels.markups import read_markups, write_markups
from lib.spine.schema import Spine

NAMES = ("meier_1", "meier_2", "huber_1", "scan_7")
SECRETS = ("meier", "huber", "Geheimnis", "ID-4711", "20100101", "20261130", "2026-11-30", "ada lovelace", "Comment")
Call = Callable[..., tuple[int, str, str]]


def dicom(patient: str, seed: int, **changes: object) -> Dataset:
    pixels = np.random.default_rng(seed).integers(0, 4096, (300, 100)).astype(np.uint16)
    dataset = phantom_dx(pixels, Examination(f"ID-4711-{patient}", f"Geheimnis^{patient}"), seed)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def studies(tmp_path: Path, ladder: np.ndarray) -> Path:
    """Two images of a patient and one of another as DICOM, and a PNG; all but one are labelled."""
    folder = tmp_path / "in" / "studies"
    folder.mkdir(parents=True)
    for seed, (name, patient) in enumerate(zip(NAMES[:3], ("meier", "meier", "huber"), strict=True)):
        dicom(patient, seed).save_as(folder / f"{name}.dcm", write_like_original=False)
    info = PngInfo()
    info.add_text("Comment", "Geheimnis")
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (300, 100)).astype(np.uint8)).save(
        folder / f"{NAMES[3]}.png", pnginfo=info
    )
    with closing(StudiesDatastore(str(folder))) as store:
        for number, image in enumerate(NAMES[1:]):
            geometry = read_radiograph(Path(store.get_image_uri(image))).geometry
            write_markups(tmp_path / "label.mrk.json", Spine.from_arrays(ladder + number), geometry)
            store.save_label(image, str(tmp_path / "label.mrk.json"), "final", {"annotator": "ada lovelace"})
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], studies: Path) -> Call:
    """Status, output and errors of an export of the studies."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["labels.py", "export", str(studies), *map(str, arguments)])
        status = script.main()
        return (status, *capsys.readouterr())

    return run


def index_of(folder: Path) -> dict[str, dict[str, object]]:
    return {entry["image"]: entry for entry in json.loads((folder / "index.json").read_text())["images"]}


def test_no_byte_and_no_name_tells_whose_images_they_are(call: Call, studies: Path, tmp_path: Path) -> None:
    out, uids = tmp_path / "out", [str(dicom("x", seed).SOPInstanceUID) for seed in range(3)]
    status, said, errors = call(out, "--deidentify")
    assert (status, said) == (0, "4 images copied, 3 with a label, 0 left out\n")
    assert errors.startswith("Look at the pixels of 1 images: it is no DICOM image")
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) == 4 + 3 + 1
    for path in files:
        content = path.relative_to(out).as_posix().encode() + path.read_bytes()
        assert [text for text in (*SECRETS, *NAMES, *uids) if text.encode() in content] == []
    assert len({path.stat().st_mtime for path in files}) == 1


def test_labels_fit_their_images_and_patients_stay_together(
    call: Call, studies: Path, tmp_path: Path, ladder: np.ndarray
) -> None:
    out, kept = tmp_path / "out", tmp_path / "safe" / "map.json"
    kept.parent.mkdir()
    assert call(out, "--deidentify", "--keep-map", kept)[0] == 0
    pseudonyms, index = Pseudonyms.load(kept), index_of(out)
    originals = {pseudonyms.original("images", name): name for name in index}
    assert set(originals) == set(NAMES)
    for number, image in enumerate(NAMES[1:]):
        entry = index[originals[image]]
        radiograph = read_radiograph(out / str(entry["file"]))
        spine = read_markups(out / str(entry["label"]), radiograph.geometry)
        assert np.allclose(spine.xy, ladder + number, atol=1e-6)
        assert pseudonyms.original("annotators", str(entry["annotator"])) == "ada lovelace"
    patients = [index[originals[image]]["patient"] for image in NAMES]
    assert patients[0] == patients[1]
    assert len(set(patients)) == 3
    assert [patient_by_name(originals[image]) for image in NAMES] == patients  # as trainings see it
    with closing(StudiesDatastore(str(out))) as store:  # the copy can be served
        assert len(store.list_images()) == 4
        assert len(store.get_labeled_images("final")) == 3


def test_a_later_export_with_the_map_gives_the_same_names(call: Call, tmp_path: Path) -> None:
    kept = tmp_path / "safe" / "map.json"
    kept.parent.mkdir()
    for out in ("out1", "out2"):
        assert call(tmp_path / out, "--deidentify", "--keep-map", kept)[0] == 0
    assert call(tmp_path / "out3", "--deidentify")[0] == 0
    files = [{path.name: path.read_bytes() for path in (tmp_path / f"out{n}").glob("*.dcm")} for n in (1, 2, 3)]
    assert files[0] == files[1]
    assert not set(files[0]) & set(files[2])
    assert stat.S_IMODE(kept.stat().st_mode) & 0o077 == 0
    assert "map" not in {path.stem for path in tmp_path.glob("out*/**/*")}


def test_the_map_lies_elsewhere_and_the_folder_is_new(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for place in (out / "map.json", tmp_path / "map.json", out / "labels" / "map.json"):
        status, _, error = call(out, "--deidentify", "--keep-map", place)
        assert (status, "the map must lie in another place" in error) == (1, True)
    assert not out.exists()
    status, _, error = call(tmp_path / "in", "--deidentify")
    assert (status, error) == (1, f"{tmp_path / 'in'} must be a new or an empty folder\n")
    status, _, error = call(tmp_path / "x.csv", "--format", "csv", "--keep-map", tmp_path / "safe.json")
    assert (status, error) == (1, "--keep-map needs --deidentify\n")


def test_an_image_that_cannot_be_de_identified_is_left_out(call: Call, studies: Path, tmp_path: Path) -> None:
    telling = dicom("huber", 9, Manufacturer="of Geheimnis")
    telling.save_as(studies / "telling.dcm", write_like_original=False)
    status, said, errors = call(tmp_path / "out", "--deidentify")
    assert (status, said) == (1, "4 images copied, 3 with a label, 1 left out\n")
    assert "image 'telling': Manufacturer of the copy would still have what identifies the patient" in errors
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 3
