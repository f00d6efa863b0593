"""``scripts/predict.py`` as a user calls it."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pydicom
import pytest
from filelock import FileLock
from PIL import Image, ImageDraw
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import predict as script
from lib.evaluation.metrics import is_name_shifted
from lib.image_io import Radiograph
from lib.learning.decoders import DECODERS
from lib.learning.prediction.predictor import NoSpineError
from lib.learning.prediction.request import PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.phantoms import Phantom, random_spec, random_spineless, render_phantom
from lib.spine.geometry import center_distances, with_centers
from lib.spine.labels.markups import read_markups
from lib.spine.measurement.aasce_angles import challenge_angles
from lib.spine.measurement.cobb import measure_curves
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.schema import Spine

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "predict.py"
SPINELESS = int(os.environ.get("SPINELESS_IMAGES", "20"))


def predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command with its own model in this process, which has loaded the libraries already."""
    command, out, err = ["predict.py", *map(str, arguments)], io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", command)
        status = script.main()
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def table(folder: Path, name: str = "landmarks.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


HEADERS = {
    "landmarks.csv": "image,vertebra,point,x_px,y_px,score,visible",
    "cobb.csv": "image,angle1_deg,angle2_deg,angle3_deg",
    "curves.csv": "image,curve,upper_end,lower_end,apex,side,angle_deg,region,sides_of",
    "errors.csv": "image,vertebra,point,error_px",
    "confidence.csv": "image,spine_score,names_right,curve,angle_deg,half_width_deg,orientation,warnings",
    "refused.csv": "image,reason",
}
RESULTS = [name for name in HEADERS if name != "refused.csv"]


def headers(folder: Path) -> dict[str, str]:
    """First line of every table."""
    return {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in folder.glob("*.csv")}


def bent() -> np.ndarray:
    """``(17, 5, 2)`` points: bodies of 60 x 30 px whose tilts go from 0 at T1 to -20 at T5, +22 at T11, -10 at L5."""
    angle = np.radians(np.interp(range(17), [0, 4, 10, 16], [0, -20, 22, -10]))
    across = np.stack([np.cos(angle), np.sin(angle)], -1)
    down = np.stack([-np.sin(angle), np.cos(angle)], -1)
    center = np.array([200.0, 50]) + np.concatenate([np.zeros((1, 2)), np.cumsum((down[1:] + down[:-1]) * 22.5, 0)])
    corners = [center + 30 * sx * across + 15 * sy * down for sy in (-1, 1) for sx in (-1, 1)]
    return with_centers(np.stack(corners, 1))


ERRORS = 1 + np.arange(85.0).reshape(17, 5) / 8
"""Expected errors of the stub, from 1 px on."""
WIDTHS = np.full(17, 9.0)
"""Each vertebra's part in the stub's intervals; at the ends of the curves of ``bent`` 3, 4, 4.2 and 5.6 degrees."""
WIDTHS[[0, 4, 10, 16]] = 3.0, 4.0, 4.2, 5.6


class Stub:
    """Sees the same spine on every image but black ones, and notes which decoder is asked for.

    Args:
        xy: the points.
        errors: expected errors; ``None``: the model tells neither them nor how sure names and angles are.
    """

    def __init__(self, xy: np.ndarray, errors: np.ndarray | None = ERRORS) -> None:
        self.spine, self.decoders = Spine.from_arrays(xy, np.full((17, 5), 0.75), errors), []
        self.told = {} if errors is None else {"names_right": 0.9375, "tilt_half_widths": WIDTHS}

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def predict(self, radiograph: Radiograph, request: PredictionRequest) -> Prediction:
        """The spine."""
        decoder = request.decoder
        self.decoders.append(decoder)
        if not radiograph.pixels.any():
            raise NoSpineError("no spine was found")
        spine = self.spine.cut_to(radiograph.width, radiograph.height)
        warnings = measurement_warnings(spine, radiograph.frame)
        return Prediction(spine, 0.75, decoder, {}, radiograph.frame, warnings=warnings, **self.told)


def run(monkeypatch: pytest.MonkeyPatch, stub: Stub, *arguments: object) -> int:
    """Call the command in this process, with a stub for the model."""
    monkeypatch.setattr(script, "LandmarkPredictor", stub)
    monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
    return script.main()


def gray(path: Path, value: int = 99) -> Path:
    """An image of 400 x 900 pixels."""
    Image.new("L", (400, 900), value).save(path)
    return path


def write_dicom(path: Path, **tags: object) -> Path:
    """A DX image of 400 x 900 pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.is_little_endian, data.is_implicit_VR = True, False
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.Rows, data.Columns, data.SamplesPerPixel = "DX", 900, 400, 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = bytes(range(200)) * 1800
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(str(path))
    assert pydicom.dcmread(path).Rows == 900
    return path


def test_tables_say_what_the_library_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = bent()
    assert run(monkeypatch, Stub(points), gray(tmp_path / "a.png"), gray(tmp_path / "b.png"), "--output", tmp_path) == 0
    assert headers(tmp_path) == HEADERS
    landmarks = table(tmp_path)
    assert [row["image"] for row in landmarks] == ["a.png"] * 85 + ["b.png"] * 85
    assert landmarks[84] == {
        "image": "a.png",
        "vertebra": "L5",
        "point": "BR",
        "x_px": f"{points[16, 4, 0]:.3f}",
        "y_px": f"{points[16, 4, 1]:.3f}",
        "score": "0.7500",
        "visible": "1",
    }
    angles = [f"{angle:.3f}" for angle in challenge_angles(points[:, 1:], 900)]
    assert [list(row.values()) for row in table(tmp_path, "cobb.csv")] == [["a.png", *angles], ["b.png", *angles]]
    assert [float(angle) for angle in angles] == pytest.approx([42, 20, 32], abs=0.001)
    curves = measure_curves(points)
    expected = [
        [image, str(n), c.upper_end, c.lower_end, c.apex, c.side, f"{c.angle_deg:.2f}", c.region, "image"]
        for image in ("a.png", "b.png")
        for n, c in enumerate(curves, 1)
    ]
    assert [list(row.values()) for row in table(tmp_path, "curves.csv")] == expected
    assert [row[1:4] + row[5:7] for row in expected[:3]] == [
        ["1", "T1", "T5", "left", "20.00"],
        ["2", "T5", "T11", "right", "42.00"],
        ["3", "T11", "L5", "left", "32.00"],
    ]


def test_the_tables_of_errors_say_what_the_prediction_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_files = gray(tmp_path / "a.png"), gray(tmp_path / "b.png")
    assert run(monkeypatch, Stub(bent()), *image_files, "--output", tmp_path / "out") == 0
    errors = table(tmp_path / "out", "errors.csv")
    points = table(tmp_path / "out")
    keys = ("image", "vertebra", "point")
    assert [[row[key] for key in keys] for row in errors] == [[row[key] for key in keys] for row in points]
    assert [row["error_px"] for row in errors] == [f"{error:.2f}" for error in ERRORS.ravel()] * 2
    np.testing.assert_allclose(read_markups(tmp_path / "out" / "a.mrk.json").errors, ERRORS)
    curves = [("1", "20.00", "5.00"), ("2", "42.00", "5.80"), ("3", "32.00", "7.00")]
    assert [tuple(row.values())[:6] for row in table(tmp_path / "out", "confidence.csv")] == [
        (image, "0.750", "0.938", *curve) for image in ("a.png", "b.png") for curve in curves
    ]


def test_a_model_that_tells_no_errors_leaves_them_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one without a corner network, or one that was not calibrated."""
    assert run(monkeypatch, Stub(bent(), None), gray(tmp_path / "a.png"), "--output", tmp_path) == 0
    assert headers(tmp_path) == HEADERS
    assert len(table(tmp_path)) == 85
    assert table(tmp_path, "errors.csv") == []
    rows = table(tmp_path, "confidence.csv")
    assert [row["angle_deg"] for row in rows] == ["20.00", "42.00", "32.00"]
    assert {(row["spine_score"], row["names_right"], row["half_width_deg"]) for row in rows} == {("0.750", "", "")}


def test_a_point_without_an_expected_error_has_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = ERRORS.copy()
    errors[11, 0] = np.nan
    assert run(monkeypatch, Stub(bent(), errors), gray(tmp_path / "a.png"), "--output", tmp_path) == 0
    known = {(row["vertebra"], row["point"]) for row in table(tmp_path, "errors.csv")}
    assert {(row["vertebra"], row["point"]) for row in table(tmp_path)} - known == {("T12", "center")}


def test_curves_and_confidence_tell_of_the_same_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, Stub(bent()), gray(tmp_path / "a.png"), "--output", tmp_path) == 0
    keys = ("image", "curve", "angle_deg")
    found = [
        [[row[key] for key in keys] for row in table(tmp_path, f"{name}.csv")] for name in ("curves", "confidence")
    ]
    assert found[0] == found[1] != []


def test_a_straight_spine_has_one_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ladder: np.ndarray) -> None:
    assert run(monkeypatch, Stub(ladder), gray(tmp_path / "a.png"), "--output", tmp_path) == 0
    (curve,) = table(tmp_path, "curves.csv")
    assert (curve["curve"], curve["angle_deg"]) == ("1", "0.00")
    (angles,) = table(tmp_path, "cobb.csv")
    assert list(angles.values()) == ["a.png", "0.000", "0.000", "0.000"]


def test_sides_are_the_patients_where_the_image_states_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_files = [
        write_dicom(tmp_path / "left.dcm", PatientOrientation=["R", "F"]),
        write_dicom(tmp_path / "right.dcm", PatientOrientation=["L", "F"]),
        write_dicom(tmp_path / "view.dcm", ViewPosition="AP"),
        write_dicom(tmp_path / "unknown.dcm"),
    ]
    assert run(monkeypatch, Stub(bent()), *image_files, "--output", tmp_path / "out") == 0
    sides: dict[str, list[str]] = {}
    whose = {row["image"]: row["sides_of"] for row in table(tmp_path / "out", "curves.csv")}
    assert whose == {**dict.fromkeys(("left.dcm", "right.dcm", "view.dcm"), "patient"), "unknown.dcm": "image"}
    for row in table(tmp_path / "out", "curves.csv"):
        sides.setdefault(row["image"], []).append(row["side"])
    in_image, turned = ["left", "right", "left"], ["right", "left", "right"]
    assert sides == {"left.dcm": in_image, "right.dcm": turned, "view.dcm": turned, "unknown.dcm": in_image}
    places = {(row["point"], row["vertebra"], row["x_px"], row["y_px"]) for row in table(tmp_path / "out")}
    assert len(places) == 85  # points are never turned over


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_decoder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: str) -> None:
    stub = Stub(bent())
    assert run(monkeypatch, stub, gray(tmp_path / "a.png"), "--output", tmp_path, "--decoder", decoder) == 0
    assert stub.decoders == [decoder]


def test_map_is_the_default_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub(bent())
    assert run(monkeypatch, stub, gray(tmp_path / "a.png"), "--output", tmp_path) == 0
    assert stub.decoders == ["map"]


def test_an_unknown_decoder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, Stub(bent()), tmp_path, "--output", tmp_path, "--decoder", "best")
    assert "invalid choice: 'best' (choose from 'map', 'sequential', 'parallel')" in capsys.readouterr().err


def test_an_image_without_a_spine_is_in_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    black, good = gray(tmp_path / "black.png", 0), gray(tmp_path / "good.png")
    assert run(monkeypatch, Stub(bent()), black, good, "--output", tmp_path / "out") == 1
    assert capsys.readouterr().err == "black.png: no spine was found\n"
    for name in RESULTS:
        assert {row["image"] for row in table(tmp_path / "out", name)} == {"good.png"}
    assert table(tmp_path / "out", "refused.csv") == [{"image": "black.png", "reason": "no spine was found"}]


def test_tables_of_nothing_have_their_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "cobb.csv").write_text("from an earlier call\n")
    black = gray(tmp_path / "black.png", 0)
    assert run(monkeypatch, Stub(bent()), black, "--output", out, "--overwrite") == 1
    assert headers(out) == HEADERS
    assert all(table(out, name) == [] for name in RESULTS)


def test_a_body_without_width_has_no_angles_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule of the challenge knows no answer then; all else is told."""
    points = bent()
    points[3] = points[3, 0]
    assert run(monkeypatch, Stub(points), gray(tmp_path / "a.png"), "--output", tmp_path) == 0
    assert capsys.readouterr().err == ""
    assert table(tmp_path, "cobb.csv") == []
    assert len(table(tmp_path)) == 85
    assert table(tmp_path, "curves.csv")


def test_names_with_commas_quotes_and_line_breaks_stay_in_one_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ['a, "b".png', "line\nbreak.png", "Wirbelsäule.png"]
    image_files = [gray(tmp_path / name) for name in names]
    assert run(monkeypatch, Stub(bent()), *image_files, "--output", tmp_path / "out") == 0
    for name in RESULTS:
        assert {row["image"] for row in table(tmp_path / "out", name)} == set(names)


def contents(folder: Path) -> dict[str, bytes]:
    """What every table holds."""
    return {name: (folder / name).read_bytes() for name in HEADERS}


class Killed(BaseException):
    """In the place of a kill: nothing of the run is done after it."""


def killed_at(stub: Stub, count: int) -> Stub:
    """Let a stub end the run at its n-th image."""
    predict = stub.predict

    def predict_or_end(radiograph: Radiograph, request: PredictionRequest) -> Prediction:
        if len(stub.decoders) == count:
            raise Killed
        return predict(radiograph, request)

    stub.predict = predict_or_end  # type: ignore[method-assign]
    return stub


@pytest.fixture
def image_files(tmp_path: Path) -> list[Path]:
    """Six images, of which the second shows no spine."""
    return [gray(tmp_path / f"{name}.png", 0 if name == "b" else 99) for name in "abcdef"]


@pytest.mark.parametrize("torn", [0, 1, 500])
def test_a_killed_run_keeps_what_is_done_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_files: list[Path], torn: int
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(monkeypatch, Stub(bent()), *image_files, "--output", whole) == 1
    with pytest.raises(Killed):
        run(monkeypatch, killed_at(Stub(bent()), 4), *image_files, "--output", out)
    for name in RESULTS:
        assert {row["image"] for row in table(out, name)} == {"a.png", "c.png", "d.png"}, name
    for name in HEADERS:  # as if the kill had come while the rows of the next image were written
        with (out / name).open("ab") as stream:
            stream.write((whole / name).read_bytes()[-torn:] if torn else b"")
    with (out / "predict_run.jsonl").open("ab") as stream:
        stream.write(b'{"name": "e.png", "stem"'[:torn])
    stub = Stub(bent())
    assert run(monkeypatch, stub, *image_files, "--output", out, "--resume") == 1
    assert len(stub.decoders) == 2
    assert contents(out) == contents(whole)
    stub = Stub(bent())
    assert run(monkeypatch, stub, *image_files, "--output", out, "--resume") == 1  # the refusal is remembered
    assert stub.decoders == []
    assert contents(out) == contents(whole)


def test_rows_that_a_power_cut_took_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_files: list[Path]
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    for folder in (whole, out):
        run(monkeypatch, Stub(bent()), *image_files, "--output", folder)
    for name in ("curves.csv", "landmarks.csv"):
        with (out / name).open("r+b") as stream:
            stream.truncate((whole / name).stat().st_size // 2)
    assert run(monkeypatch, Stub(bent()), *image_files, "--output", out, "--resume") == 1
    assert contents(out) == contents(whole)


def test_a_run_does_not_write_beside_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], image_files: list[Path]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    with FileLock(output / script.LOCK_FILE):
        assert run(monkeypatch, Stub(bent()), image_files[0], "--output", output, "--resume") == script.ABANDONED
    assert "another run is writing to" in capsys.readouterr().err
    assert not (output / "landmarks.csv").exists()


def test_a_damaged_journal_takes_no_rows_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], image_files: list[Path]
) -> None:
    output = tmp_path / "out"
    assert run(monkeypatch, Stub(bent()), image_files[0], "--output", output) == 0
    before = (output / "landmarks.csv").read_bytes()
    journal = output / "predict_run.jsonl"
    journal.write_bytes(b"\0" + journal.read_bytes()[1:])
    assert run(monkeypatch, Stub(bent()), image_files[0], "--output", output, "--resume") == script.ABANDONED
    assert "is damaged, but the tables have rows" in capsys.readouterr().err
    assert (output / "landmarks.csv").read_bytes() == before


def test_resuming_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_files: list[Path]) -> None:
    assert run(monkeypatch, Stub(bent()), image_files[0], "--output", tmp_path / "out", "--resume") == 0
    assert len(table(tmp_path / "out")) == 85


def test_another_run_is_neither_replaced_nor_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], image_files: list[Path]
) -> None:
    out, other = tmp_path / "out", tmp_path / "weights.pt"
    assert run(monkeypatch, Stub(bent()), image_files[0], "--output", out) == 0
    before = contents(out)
    other.write_bytes(b"other weights")
    for options, words in (
        ([], "has results of another run (landmarks.csv)"),
        (["--resume", "--decoder", "parallel"], "has decoder 'map', this one 'parallel'"),
        (["--resume", "--weights", other], "has weights '"),
    ):
        assert run(monkeypatch, Stub(bent() + 1), *image_files, "--output", out, *options) == 2
        assert words in capsys.readouterr().err
        assert contents(out) == before
    (out / "curves.csv").write_text("image;curve\n", encoding="utf-8")
    assert run(monkeypatch, Stub(bent()), *image_files, "--output", out, "--resume") == 2
    assert "is not as this command wrote it" in capsys.readouterr().err
    assert run(monkeypatch, Stub(bent()), image_files[0], "--output", out, "--overwrite") == 0
    assert contents(out) == before


def test_an_image_that_has_changed_is_predicted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_files: list[Path]
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, Stub(bent()), *image_files[:3], "--output", out) == 1
    Image.new("L", (400, 900), 98).save(image_files[1])
    stub = Stub(bent())
    assert run(monkeypatch, stub, *image_files[:3], "--output", out, "--resume") == 0
    assert len(stub.decoders) == 1
    assert [row["image"] for row in table(out)] == ["a.png"] * 85 + ["c.png"] * 85 + ["b.png"] * 85
    assert table(out, "refused.csv") == []
    assert run(monkeypatch, Stub(bent()), *image_files[:3], "--output", out, "--resume") == 0


def test_a_resumed_run_does_not_take_the_files_of_another_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], image_files: list[Path]
) -> None:
    assert run(monkeypatch, Stub(bent()), image_files[0], "--output", tmp_path / "out") == 0
    twin = tmp_path / "a.jpg"
    Image.new("L", (400, 900), 9).save(twin)
    assert run(monkeypatch, Stub(bent()), twin, "--output", tmp_path / "out", "--resume") == 2
    assert "the results of a.jpg would replace those of a.png" in capsys.readouterr().err


def test_points_off_the_image_are_marked_and_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = bent() - np.array([0.0, 100.0])  # T1 and T2 are above the image
    assert run(monkeypatch, Stub(points), gray(tmp_path / "a.png"), "--output", tmp_path / "out") == 0
    hidden = [row["vertebra"] for row in table(tmp_path / "out") if row["visible"] == "0"]
    assert hidden[:10] == ["T1"] * 5 + ["T2"] * 5
    assert len(table(tmp_path / "out")) == 85
    row = table(tmp_path / "out", "confidence.csv")[0]
    assert "T1 and T2 lie off the image" in row["warnings"]
    assert row["orientation"] == "upright as stored (not stated)"
    assert {row["upper_end"] for row in table(tmp_path / "out", "curves.csv")}.isdisjoint({"T1", "T2"})


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    """Radiographs with exact landmarks whose seeds training never used (it draws from 0 up)."""
    return [render_phantom(random_spec(1_000_000 + number, 1000, 460)) for number in range(4)]


def test_folder_with_good_and_bad_files(tmp_path: Path, phantoms: list[Phantom]) -> None:
    studies, output = tmp_path / "studies", tmp_path / "studies" / "results"
    (studies / "deep").mkdir(parents=True)
    good = Image.fromarray(phantoms[0].pixels)
    good.save(studies / "a.png")
    good.save(studies / "deep" / "a.PNG")
    good.save(studies / "a.jpg", quality=95)
    truncated = (studies / "a.jpg").read_bytes()
    (studies / "truncated.jpg").write_bytes(truncated[: len(truncated) // 3])
    (studies / "text.png").write_text("not an image")
    Image.new("L", (1, 1)).save(studies / "tiny.png")
    Image.new("L", (400, 900)).save(studies / "black.png")
    noise = np.random.default_rng(0).integers(0, 256, (900, 400)).astype(np.uint8)
    Image.fromarray(noise).save(studies / "noise.png")

    command = [sys.executable, str(SCRIPT), str(studies), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for bad in ("truncated.jpg", "text.png", "tiny.png", "black.png", "noise.png"):
        assert sum(line.startswith(f"{bad}: ") and len(line) > 30 for line in done.stderr.splitlines()) == 1, bad
    counts = Counter(row["image"] for row in table(output))
    assert counts == {"a.png": 85, "a.jpg": 85, "deep/a.PNG": 85}
    assert len(list(output.glob("*.mrk.json"))) == len(list(output.glob("*.overlay.png"))) == 3
    again = predict(studies, "--output", output, "--overwrite")
    assert Counter(row["image"] for row in table(output)) == counts, again.stderr


def test_table_and_markups_agree_and_rows_stand_in_order(tmp_path: Path, phantoms: list[Phantom]) -> None:
    Image.fromarray(phantoms[1].pixels).save(tmp_path / "image.png")
    done = predict(tmp_path / "image.png", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "out")
    assert headers(tmp_path / "out") == HEADERS
    assert [row["point"] for row in rows[:5]] == ["center", "TL", "TR", "BL", "BR"]
    assert [row["vertebra"] for row in rows[::5]][:2] == ["T1", "T2"]
    xy = np.array([(float(row["x_px"]), float(row["y_px"])) for row in rows]).reshape(17, 5, 2)
    assert np.abs(xy - read_markups(tmp_path / "out" / "image.mrk.json").xy).max() < 0.001
    (angles,) = table(tmp_path / "out", "cobb.csv")
    found = [float(angles[f"angle{number}_deg"]) for number in (1, 2, 3)]
    assert found == pytest.approx(challenge_angles(xy[:, 1:], 1000), abs=0.05)  # of points rounded to 0.001 px
    curves = table(tmp_path / "out", "curves.csv")
    assert [row["curve"] for row in curves] == [str(number) for number in range(1, len(curves) + 1)]
    assert curves
    sure = table(tmp_path / "out", "confidence.csv")
    assert [row["curve"] for row in sure] == [row["curve"] for row in curves]
    assert all(0 <= float(row["spine_score"]) <= 1 for row in sure)
    assert all(0 <= float(row["names_right"]) <= 1 for row in sure if row["names_right"])
    assert all(float(row["half_width_deg"]) > 0 for row in sure if row["half_width_deg"])
    errors = table(tmp_path / "out", "errors.csv")
    assert len(errors) in (0, 85)  # as the shipped weights tell them
    assert all(float(row["error_px"]) > 0 for row in errors)
    with Image.open(tmp_path / "out" / "image.overlay.png") as overlay:
        assert overlay.width == 460
        assert overlay.height >= 1000  # sentences stand below the image


def test_phantoms_get_their_17_names_within_a_fraction_of_a_step(tmp_path: Path, phantoms: list[Phantom]) -> None:
    for number, phantom in enumerate(phantoms):
        Image.fromarray(phantom.pixels).save(tmp_path / f"{number}.png")
    done = predict(tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for number, phantom in enumerate(phantoms):
        predicted = read_markups(tmp_path / "out" / f"{number}.mrk.json").xy[:, 0]
        truth = phantom.spine.xy[:, 0]
        assert not is_name_shifted(predicted, truth), number
        assert np.linalg.norm(predicted - truth, axis=-1).mean() <= 0.15 * center_distances(truth).mean(), number


def test_one_bad_path_does_not_stop_the_others_and_leaves_no_old_result(
    tmp_path: Path, phantoms: list[Phantom]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    for stale in ("missing.mrk.json", "missing.overlay.png", "missing.report.pdf"):
        (output / stale).write_text("from an earlier call")
    (output / "blocked.mrk.json").mkdir()
    for name in ("good.png", "blocked.png"):
        Image.fromarray(phantoms[2].pixels).save(tmp_path / name)
    paths = [tmp_path / "missing.png", tmp_path / "blocked.png", tmp_path / "good.png"]
    done = predict(*paths, "--output", output)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["missing.png", "blocked.png"]
    assert Counter(row["image"] for row in table(output)) == {"good.png": 85}
    assert not list(output.glob("missing*"))


def test_reports_are_written_on_request_and_are_part_of_a_run(tmp_path: Path, phantoms: list[Phantom]) -> None:
    Image.fromarray(phantoms[1].pixels).save(tmp_path / "image.png")
    output = tmp_path / "out"
    done = predict(tmp_path / "image.png", "--output", output, "--report", "--page", "letter")
    assert done.returncode == 0, done.stderr
    report = (output / "image.report.pdf").read_bytes()
    assert re.findall(rb"/Count (\d+)", report) == [b"1"]
    assert re.search(rb"/MediaBox \[ ?0 0 612 792", report)
    again = predict(tmp_path / "image.png", "--output", output, "--resume")
    assert again.returncode == 2
    assert "report 'letter'" in again.stderr


def chest_of_drawers(drawers: int) -> Image.Image:
    """A chest in a room, with knobs and shadows."""
    image = Image.new("L", (500, 900), 170)
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 60, 410, 840), fill=110, outline=40, width=6)
    height = 760 / drawers
    for number in range(drawers):
        top = 70 + number * height
        draw.rectangle((105, top + 6, 395, top + height - 6), fill=140, outline=60, width=4)
        for x in (190, 310):
            draw.ellipse((x - 9, top + height / 2 - 9, x + 9, top + height / 2 + 9), fill=220, outline=30)
    return image


def test_chests_of_drawers_get_no_points(tmp_path: Path) -> None:
    for drawers in (3, 5, 8):
        chest_of_drawers(drawers).save(tmp_path / f"chest_{drawers}.png")
    done = predict(tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert table(tmp_path / "out") == []
    assert done.stderr.count("no spine was found") == 3


def test_nearly_all_images_without_a_spine_get_no_points(tmp_path: Path) -> None:
    """Some of the 21 kinds are made to look like a spine: a column of drawers, ribs without vertebrae."""
    for seed in range(1_000_000, 1_000_000 + SPINELESS):
        Image.fromarray(random_spineless(seed, 800, 420)).save(tmp_path / f"{seed}.png")
    done = predict(tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) >= 0.95 * SPINELESS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["missing.png", "--output", "{here}/out"], "no such file", id="missing-path"),
        pytest.param(["{here}", "--output", "{here}/out"], "holds no image", id="empty-folder"),
        pytest.param(["{script}", "--output", "{script}"], "predict:", id="output-is-a-file"),
        pytest.param(["{script}", "--output", "out", "--weights", "{script}"], "not a weight file", id="bad-weights"),
        pytest.param(["{script}", "--output", "out", "--device", "abacus"], "device", id="bad-device"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = predict(*(text.format(here=tmp_path, script=SCRIPT) for text in arguments))
    assert done.returncode == 1
    assert words in done.stderr
