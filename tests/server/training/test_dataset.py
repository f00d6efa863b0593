"""Training set and held-out set of a training, and labels that cannot be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib.learning.data import labelled_items
from lib.learning.weights.weight_files import file_digest
from lib.server.training import dataset
from lib.server.training.dataset import split_dataset
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine


def labelled(folder: Path, name: str, ladder: np.ndarray, gray: int) -> tuple[Path, Path]:
    """An image and its label."""
    image, label = folder / f"{name}.png", folder / f"{name}.mrk.json"
    pixels = np.full((400, 200), gray, np.uint8)
    pixels[0, 0] = 255 - gray
    Image.fromarray(pixels).save(image)
    write_markups(label, Spine.from_arrays(ladder))
    return image, label


def test_labels_that_cannot_be_used_are_named_with_the_reason(ladder: np.ndarray, tmp_path: Path) -> None:
    sources = {name: labelled(tmp_path, name, ladder, gray) for gray, name in enumerate(("good", "fine"))}
    image, label = sources["good"]
    text, broken, wrong = tmp_path / "text.png", tmp_path / "broken.mrk.json", tmp_path / "wrong.mrk.json"
    text.write_text("I have no pixels")
    broken.write_text('{"markups": [')
    wrong.write_text(json.dumps({"markups": [{"controlPoints": [{"label": "L6"}]}]}))
    sources |= {"text": (text, label), "broken": (image, broken), "wrong": (image, wrong)}
    split = split_dataset({**sources, "gone": (image, tmp_path / "gone.mrk.json")}, 0.0, "", {})
    assert sorted(split.items) == ["fine", "good"]
    assert set(split.skipped) == {"text", "broken", "wrong", "gone"}
    assert "not an image" in split.skipped["text"]
    assert "expected JSON" in split.skipped["broken"]
    assert "'L6' is neither a vertebra" in split.skipped["wrong"]
    assert "gone.mrk.json" in split.skipped["gone"]


def test_copies_of_an_image_are_of_one_patient(ladder: np.ndarray, tmp_path: Path) -> None:
    sources = {"image1": labelled(tmp_path, "image1", ladder, 10)}
    for number in range(2, 12):
        copies = tmp_path / f"image{number}.png", tmp_path / f"image{number}.mrk.json"
        for source, copy in zip(sources["image1"], copies, strict=True):
            shutil.copy(source, copy)
        sources[f"image{number}"] = copies
    sources["other7"] = labelled(tmp_path, "other7", ladder, 20)
    split = split_dataset(sources, 0.0, "", {})
    assert split.patients == 2
    assert len(sources) == 12


def test_a_label_that_changes_while_it_is_read_is_read_again(
    ladder: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {name: labelled(tmp_path, name, ladder, gray) for gray, name in enumerate("ab")}
    read, corrected = labelled_items.read_item, Spine.from_arrays(ladder + 1.0)
    readings = []

    def slow(image: Path, label: Path) -> dict[str, Any]:
        item = read(image, label)
        readings.append(image.stem)
        if readings == ["a"]:
            write_markups(label, corrected)  # somebody saves a correction
        return item

    monkeypatch.setattr(dataset, "read_item", slow)
    split = split_dataset(sources, 0.0, "", {})
    assert readings == ["a", "a", "b"]
    assert split.digests["a"]["label"] == file_digest(sources["a"][1], 16)
    np.testing.assert_allclose(split.items["a"]["label"][0, 0, :2], ladder[0, 0] + 1.0, atol=1e-3)
