"""Commands of experiments refuse images that the weights were trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from experiments import other_views, turned_and_cut
from lib.learning.weights.provenance import AASCE

from ...toy_model import write_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny networks that hold out fold 0 of the crops, and fold 1 of the boxed images."""
    facts = {"data": AASCE, "fold": 0, "boxed_radiographs": 9, "boxes_fold": 1}
    return write_weights(tmp_path_factory.mktemp("weights") / "held_out.pt", facts=facts)


def run(monkeypatch: pytest.MonkeyPatch, script: ModuleType, *arguments: object) -> int:
    """Call a command, without generated images."""
    monkeypatch.setattr(sys, "argv", ["command", "--count", "0", "--device", "cpu", *map(str, arguments)])
    status: int = script.main()
    return status


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (
            turned_and_cut,
            ("--data", "d", "--fold", 1),
            "turned_and_cut: held_out.pt was trained on fold 1 of the AASCE",
        ),
        (other_views, ("--boxed", "d"), "other_views: held_out.pt was trained on fold 0 of the boxed images"),
    ],
    ids=["crops", "boxed"],
)
def test_what_weights_were_trained_on_is_not_measured(
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: ModuleType,
    options: tuple[object, ...],
    message: str,
) -> None:
    assert run(monkeypatch, script, "--weights", weights, *options) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert not said.out


def test_only_the_fold_that_is_held_out_is_asked_for(weights: Path, tmp_path: Path) -> None:
    """Blocks of ten numbers are dealt to the folds in turn."""
    rows = [f"film{number}.png,1,2,10,20,30" for number in (3, 12, 25)]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,order_from_top,x1_px,y1_px,x2_px,y2_px", *rows]), "utf-8")
    last = list(other_views.sources(1, tmp_path, 1))[-2:]
    assert [kind for kind, _ in last] == ["spine from the front (radiograph)", "part of a radiograph without its spine"]
    for _, images in last:
        with pytest.raises(ValueError, match=r"^film12\.png: there is no such file"):
            next(images)
