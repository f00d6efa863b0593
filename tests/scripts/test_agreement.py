"""``scripts/agreement.py`` as a user calls it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import agreement as script
from lib.spine.labels.label_exchange import LabelledImage, landmarks_csv
from lib.spine.schema import Spine

from .study_folder import IMAGES, bent, read_by_two

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit status, output and errors of a call."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["agreement.py", *map(str, arguments)])
        status = script.main()
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def studies(tmp_path: Path, ladder: np.ndarray) -> Path:
    read_by_two(tmp_path / "studies", ladder)
    return tmp_path / "studies"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_studies_folder_becomes_tables_plots_and_methods(studies: Path, tmp_path: Path, call: Call, ladder) -> None:
    pytest.importorskip("matplotlib")
    model, out = tmp_path / "landmarks.csv", tmp_path / "out"
    spines = [Spine.from_arrays(bent(ladder, 20.5 + 10 * number)) for number in range(3)]
    model.write_text(landmarks_csv(LabelledImage(f"{n}.png", one) for n, one in zip(IMAGES, spines, strict=True)))
    status, said, errors = call(studies, "--output", out, "--model", model, "--margin-deg", 1)
    assert (status, errors) == (0, "")
    assert "ada - ben (inter-reader, 3 images): bias -1.0°, limits of agreement -1.0° to -1.0°" in said
    assert "on 3 images (3 independent): too few for a verdict, which needs 20 patients" in said
    assert "3 of 6 readings began with a model's points" in said
    names = {"angles", "overall", "corners", "end_vertebrae", "names", "model", "pairs", "readings"}
    plots = {"bland_altman.png", "corners.png", "model.png"}
    assert {path.name for path in out.iterdir()} == {*(f"{name}.csv" for name in names), *plots, "methods.txt"}
    assert [row["difference_deg"] for row in table(out / "pairs.csv")[:3]] == ["-1.0"] * 3
    assert {row["mean_mm"] for row in table(out / "corners.csv")} == {""}  # dots per inch are no size in the patient

    status, again, errors = call(out / "readings.csv", "--output", tmp_path / "again", "--no-plots")
    assert (status, errors) == (0, "")
    assert again.splitlines()[:4] == said.splitlines()[:4]
    first, second = (table(folder / "model.csv")[0] for folder in (out, tmp_path / "again"))
    assert (first.pop("verdict"), second.pop("verdict")) == ("", "")
    assert (first.pop("margin"), second.pop("margin")) == ("1.0", "")
    assert first == second  # the model's points are in readings.csv, too


def test_what_cannot_be_compared_is_said_in_a_sentence(studies: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "out"
    status, _, errors = call(studies, "--output", out, "--unaided", "--no-plots")
    assert (status, errors.count("\n")) == (1, 1)
    assert "3 of 6 readings began with a model's points and were left out (3 by ada)" in errors
    assert "only 'ben' has read, and no image (3 in all) twice" in errors
    (tmp_path / "other.csv").write_text("image,vertebra,point,x_px,y_px\nelse.png,T1,TL,1,2\n")
    status, _, errors = call(studies, "--output", out, "--model", tmp_path / "other.csv", "--no-plots")
    assert status == 1
    assert "none of its images ('else.png') was read; images that were are called such as 'one'" in errors
    status, _, errors = call(tmp_path / "other.csv", "--output", out, "--no-plots")
    assert (status, errors) == (
        1,
        "the table needs the columns image, reader, reading, vertebra, point, x_px, y_px; reader is missing\n",
    )
    assert (
        call(tmp_path / "nowhere", "--output", out, "--no-plots")[2] == f"there is no folder {tmp_path / 'nowhere'}\n"
    )
    assert not out.exists()
