"""``scripts/predict.py`` as a user calls it."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lib.spine.geometry import steps
from lib.spine.markups import read_markups
from lib.spine.metrics import is_name_shifted
from lib.spine.phantoms import Phantom, random_spec, random_spineless, render_phantom

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "predict.py"


def predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "landmarks.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


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

    done = predict(studies, "--output", output)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for bad in ("truncated.jpg", "text.png", "tiny.png", "black.png", "noise.png"):
        assert sum(line.startswith(f"{bad}: ") and len(line) > 30 for line in done.stderr.splitlines()) == 1, bad
    counts = Counter(row["image"] for row in table(output))
    assert counts == {"a.png": 85, "a.jpg": 85, "deep/a.PNG": 85}
    assert len(list(output.glob("*.mrk.json"))) == len(list(output.glob("*.overlay.png"))) == 3
    again = predict(studies, "--output", output)
    assert Counter(row["image"] for row in table(output)) == counts, again.stderr


def test_table_and_markups_agree_and_rows_stand_in_order(tmp_path: Path, phantoms: list[Phantom]) -> None:
    Image.fromarray(phantoms[1].pixels).save(tmp_path / "film.png")
    done = predict(tmp_path / "film.png", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "out")
    assert list(rows[0]) == ["image", "vertebra", "point", "x_px", "y_px", "score"]
    assert [row["point"] for row in rows[:5]] == ["center", "TL", "TR", "BL", "BR"]
    assert [row["vertebra"] for row in rows[::5]][:2] == ["T1", "T2"]
    xy = np.array([(float(row["x_px"]), float(row["y_px"])) for row in rows]).reshape(17, 5, 2)
    assert np.abs(xy - read_markups(tmp_path / "out" / "film.mrk.json").xy).max() < 0.001
    with Image.open(tmp_path / "out" / "film.overlay.png") as overlay:
        assert overlay.size == (460, 1000)


def test_phantoms_get_their_17_names_within_a_fraction_of_a_step(tmp_path: Path, phantoms: list[Phantom]) -> None:
    for number, phantom in enumerate(phantoms):
        Image.fromarray(phantom.pixels).save(tmp_path / f"{number}.png")
    done = predict(tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for number, phantom in enumerate(phantoms):
        predicted = read_markups(tmp_path / "out" / f"{number}.mrk.json").xy[:, 0]
        truth = phantom.spine.xy[:, 0]
        assert not is_name_shifted(predicted, truth), number
        assert np.linalg.norm(predicted - truth, axis=-1).mean() <= 0.15 * steps(truth).mean(), number


def test_one_bad_path_does_not_stop_the_others_and_leaves_no_old_result(
    tmp_path: Path, phantoms: list[Phantom]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    for stale in ("missing.mrk.json", "missing.overlay.png"):
        (output / stale).write_text("from an earlier call")
    (output / "blocked.mrk.json").mkdir()
    for name in ("good.png", "blocked.png"):
        Image.fromarray(phantoms[2].pixels).save(tmp_path / name)
    paths = [tmp_path / "missing.png", tmp_path / "blocked.png", tmp_path / "good.png"]
    done = predict(*paths, "--output", output)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["missing.png", "blocked.png"]
    assert Counter(row["image"] for row in table(output)) == {"good.png": 85}
    assert not list(output.glob("missing*"))


def chest_of_drawers(drawers: int) -> Image.Image:
    """A chest in a room, with knobs and shadows."""
    picture = Image.new("L", (500, 900), 170)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((90, 60, 410, 840), fill=110, outline=40, width=6)
    height = 760 / drawers
    for number in range(drawers):
        top = 70 + number * height
        draw.rectangle((105, top + 6, 395, top + height - 6), fill=140, outline=60, width=4)
        for x in (190, 310):
            draw.ellipse((x - 9, top + height / 2 - 9, x + 9, top + height / 2 + 9), fill=220, outline=30)
    return picture


def test_chests_of_drawers_get_no_points(tmp_path: Path) -> None:
    for drawers in (3, 5, 8):
        chest_of_drawers(drawers).save(tmp_path / f"chest_{drawers}.png")
    done = predict(tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert table(tmp_path / "out") == []
    assert done.stderr.count("no spine was found") == 3


def test_nearly_all_images_without_a_spine_get_no_points(tmp_path: Path) -> None:
    """Some of the 21 kinds are made to look like a spine: a column of drawers, ribs without vertebrae."""
    count = 40
    for seed in range(1_000_000, 1_000_000 + count):
        Image.fromarray(random_spineless(seed, 800, 420)).save(tmp_path / f"{seed}.png")
    done = predict(tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) >= 0.95 * count


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
def test_bad_arguments_are_refused_with_a_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    filled = [text.format(here=tmp_path, script=SCRIPT) for text in arguments]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *filled], capture_output=True, text=True, cwd=tmp_path.parent, check=False
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
