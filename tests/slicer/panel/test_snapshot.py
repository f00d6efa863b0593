"""The image of the module that a maintainer without the desktop looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import slicer_snapshot
from harness.local_server import OwnServer

pytestmark = [pytest.mark.slicer, pytest.mark.integration]


def test_a_picture_of_a_running_server(server: OwnServer, phantoms: Path, tmp_path: Path) -> None:
    output = tmp_path / "pictures" / "normal.png"
    arguments = [str(phantoms / "phantom_000.png"), "--output", str(output), "--server", server.url]
    assert slicer_snapshot.main(arguments) == 0
    pixels = np.array(Image.open(output).convert("RGB")).astype(int)
    width, height = slicer_snapshot.VIEW
    assert pixels.shape[0] >= height
    assert pixels.shape[1] > width + 400
    view, panel = pixels[:, :width], pixels[:, width:]
    is_green = (view[..., 1] > view[..., 0] + 40) & (view[..., 1] > view[..., 2] + 40)
    assert is_green.sum() > 200, "outlines of vertebrae that the model is sure of"
    assert panel.mean() > 180, "a light panel"
    assert len(list(server.studies.glob("*.png"))) == 4, "nothing is stored at a server that is only looked at"


def test_a_picture_with_a_server_of_its_own(phantoms: Path, tmp_path: Path) -> None:
    output = tmp_path / "error.png"
    assert slicer_snapshot.main([str(phantoms / "phantom_000.png"), "--output", str(output), "--state", "error"]) == 0
    banner = np.array(Image.open(output).convert("RGB"))[:90, slicer_snapshot.VIEW[0] :].astype(int)
    assert (banner[..., 0] > banner[..., 2] + 25).sum() > 5000, "the red banner on top of the panel"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["no/such.png", "--output", "x.png"], "there is no file no/such.png", id="no image"),
        pytest.param([__file__, "--output", "x.png", "--state", "sad"], "invalid choice: 'sad'", id="unknown state"),
        pytest.param(
            [__file__, "--output", "x.png", "--state", "error", "--server", "http://x"],
            "needs a server of its own",
            id="a server that would be killed",
        ),
    ],
)
def test_a_wrong_command_line_ends_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        slicer_snapshot.main(arguments)
    assert sentence in capsys.readouterr().err


def test_a_server_that_is_not_there_ends_in_a_sentence(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(phantoms / "phantom_000.png"), "--output", str(tmp_path / "x.png"), "--server", "http://127.0.0.1:9"]
    assert slicer_snapshot.main(command) == 1
    assert "No server answers at 127.0.0.1:9" in capsys.readouterr().err
