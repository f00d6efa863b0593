"""``scripts/plot_results.py``: its figures by hand, and its plots from tables as ``evaluate.py`` writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evaluate
from experiments import plot_results
from experiments.plot_results import Agreement, agreement, cumulative, read_deciles, read_image_errors
from lib.evaluation.calibration import Decile
from lib.evaluation.evaluate import ImageFigures


def rows(name: str, decoder: str, corners: Sequence[float], angles: Sequence[tuple[float, float]]) -> list[Any]:
    """Rows of a set: corner errors, and predicted and reference angles."""
    return [
        {
            **{"image": f"{number}.png", "set": name, "decoder": decoder},
            **asdict(
                ImageFigures(
                    **{"corner_mean_px": corner, "corner_median_px": corner, "center_mean_px": corner},
                    **{"expected_corner_px": None, "expected_center_px": None, "levels_off": 0, "names_right": True},
                    **{"angle1_deg": angle, "angle2_deg": 1.0, "angle3_deg": 1.0},
                    **{"reference1_deg": reference, "reference2_deg": 1.0, "reference3_deg": 1.0},
                    angle1_error_deg=angle - reference,
                    **{"curve_angle_deg": angle, "curve_error_deg": angle - reference},
                    **{"curve_half_width_deg": None, "angle_inside_interval": None},
                )
            ),
            "spine_score": 0.9,
        }
        for number, (corner, (angle, reference)) in enumerate(zip(corners, angles, strict=True))
    ]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two sets of two decoders, written by the writer of ``evaluate.py``."""
    path = tmp_path / "images.csv"
    wanted = [
        *rows("sane", "sequential", [9.0, 9.0], [(1.0, 2.0), (3.0, 3.0)]),
        *rows("sane", "map", [4.0, 2.0, 30.0], [(20.0, 18.0), (31.0, 30.0), (40.0, 43.0)]),
        *rows("clean", "map", [4.0, 2.0], [(20.0, 18.0), (31.0, 30.0)]),
    ]
    evaluate.write_table(path, wanted)
    return path


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    """Deciles as ``evaluate.py`` writes them, for one of two sets."""
    deciles = tuple(Decile(10, 1.0 + number, 1.1 + number) for number in range(10))
    written = evaluate.decile_rows({"all": deciles, "corners": deciles})
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"map": {"sane": {"smape": 1.0, "calibration": written}, "clean": {"smape": 1.0}}}))
    return path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process."""
    monkeypatch.setattr(sys, "argv", ["plot_results.py", *map(str, arguments)])
    return plot_results.main()


def test_agreement_is_bias_and_limits() -> None:
    """Differences 1, 2 and 6: mean 3, standard deviation sqrt(7)."""
    found = agreement(np.array([1.0, 2.0, 6.0]))
    reach = 1.96 * 7**0.5
    assert found == Agreement(3.0, pytest.approx(3 - reach), pytest.approx(3 + reach))
    assert agreement(np.array([1.0])) is None


def test_cumulative_distribution_ends_at_all() -> None:
    x, y = cumulative(np.array([4.0, 1.0, 2.0, 2.0]))
    assert x.tolist() == [1.0, 2.0, 2.0, 4.0]
    assert y.tolist() == [25.0, 50.0, 75.0, 100.0]


def test_images_are_read_by_set_and_decoder(table: Path) -> None:
    decoder, sets = read_image_errors(table)
    assert (decoder, list(sets)) == ("map", ["sane", "clean"])
    assert sets["sane"].corner_px.tolist() == [4.0, 2.0, 30.0]
    assert sets["clean"].angle_deg.tolist() == [20.0, 31.0]
    assert sets["clean"].reference_deg.tolist() == [18.0, 30.0]
    decoder, sets = read_image_errors(table, "sequential")
    assert (decoder, list(sets), len(sets["sane"].corner_px)) == ("sequential", ["sane"], 2)


def test_deciles_are_read_by_set_and_kind_of_points(figures: Path) -> None:
    found = read_deciles(figures, "map")
    assert {name: list(kinds) for name, kinds in found.items()} == {"sane": ["all", "corners"]}
    assert found["sane"]["corners"][0] == (1.0, 1.1)
    assert len(found["sane"]["corners"]) == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("angle1_deg", "angle_deg"), "has no column angle1_deg"),
        (("map,4.0000", "map,far"), "could not convert string to float: 'far'"),
        (("map,4.0000", "map,"), "could not convert string to float: ''"),
        (("map,4.0000", "map,nan"), "a value is not a finite number"),
        ((",map,", ",mab,"), "has no row of decoder map"),
    ],
)
def test_a_table_that_is_none_is_named(table: Path, change: tuple[str, str], words: str) -> None:
    table.write_text(table.read_text().replace(*change))
    with pytest.raises(ValueError, match=words) as caught:
        read_image_errors(table, "map")
    assert str(caught.value).startswith("images.csv")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"map": 3}', '{"map": {"sane": {"calibration": [{}]}}}'])
def test_figures_that_are_none_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(ValueError, match=r"f\.json holds no figures of decoder map as evaluate\.py writes them"):
        read_deciles(tmp_path / "f.json", "map")


def test_plots_are_small_images(
    table: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "plots"
    assert call(monkeypatch, "--images", table, "--calibration", figures, "--output", output) == 0
    names = ["calibration.png", "cobb_bland_altman.png", "corner_errors.png"]
    assert sorted(path.name for path in output.iterdir()) == names
    for path in output.iterdir():
        assert path.stat().st_size < 300_000
        with Image.open(path) as image:
            assert min(image.size) > 400
    assert "wrote corner_errors.png" in capsys.readouterr().out


def test_without_expected_errors_there_is_no_plot_of_them(
    table: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures.write_text(json.dumps({"map": {"sane": {"smape": 1.0}}}))
    assert call(monkeypatch, "--images", table, "--calibration", figures, "--output", tmp_path / "plots") == 0
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "cobb_bland_altman.png",
        "corner_errors.png",
    ]
    assert "figures.json has no expected errors" in capsys.readouterr().err


def test_one_image_and_an_error_of_zero_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate.write_table(tmp_path / "one.csv", rows("strict", "map", [0.0], [(10.0, 10.0)]))
    assert call(monkeypatch, "--images", tmp_path / "one.csv", "--output", tmp_path / "plots") == 0


def test_a_large_table_makes_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four sets of 481 images, as many as the training split has."""
    random = np.random.default_rng(0)
    wanted = []
    for name in "abcd":
        angles = random.uniform(5, 80, 481)
        pairs = list(zip((angles + random.normal(0, 3, 481)).tolist(), angles.tolist(), strict=True))
        wanted += rows(name, "map", random.lognormal(2, 1, 481).tolist(), pairs)
    evaluate.write_table(tmp_path / "many.csv", wanted)
    assert call(monkeypatch, "--images", tmp_path / "many.csv", "--output", tmp_path / "plots") == 0
    assert all(path.stat().st_size < 300_000 for path in (tmp_path / "plots").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--images", "no.csv"], "no.csv"), (["--images", "{table}", "--calibration", "no.json"], "no.json")],
)
def test_a_missing_file_is_named_without_a_traceback(
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    given = [text.format(table=table) for text in arguments]
    assert call(monkeypatch, *given, "--output", tmp_path / "plots") == 1
    said = capsys.readouterr().err
    assert said.startswith("plot_results: ")
    assert words in said
    assert not (tmp_path / "plots").exists()
