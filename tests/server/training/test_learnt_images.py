"""What versions say of the images that they were trained on, and what is refused for it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import calibrate
import evaluate
import train
from lib.learning.config import load_config
from lib.learning.data import IMAGE
from lib.learning.data.formats.data_set import DataOptions
from lib.learning.data.formats.registry import read_data_set
from lib.learning.data.transforms import FetchedImage
from lib.learning.models.corner_net import CornerNet
from lib.learning.weights.provenance import AASCE, IMAGES, file_trained_on, public_facts, trained_on
from lib.learning.weights.weight_files import CornerWeights, Weights, file_digest, load_weights, save_weights
from lib.phantoms import random_spec, render_phantom
from lib.server.models import TRAINED_ON, ModelStore, Version, write_version
from lib.server.training.dataset import split_dataset
from lib.server.training.learnt_images import LearntImages, data_set_of, facts_before
from lib.server.training.run_files import PLAN
from lib.server.training.train_task import RUN, VertebraLandmarksTrain
from lib.spine.labels.markups import write_markups
from models import folds_table

from ...toy_model import write_weights
from .rounds import UNCHECKED, Folder, make_studies

pytestmark = pytest.mark.usefixtures("torch_as_before")

FORMER = {"data": "labels of the studies folder", "radiographs": 2, "held_out": 0, "pretrained": True}
AASCE_FACTS = {"data": AASCE, "fold": 0, "radiographs": 9}


def digest(studies: Path, number: int) -> str:
    """Of the image of a phantom."""
    return file_digest(studies / f"phantom_{number}.png", 16)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Two labelled phantoms and a damaged label."""
    folder = tmp_path / "spines"
    make_studies(folder, 2)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both networks of the toy model; what they were trained on is stated."""
    return write_weights(tmp_path_factory.mktemp("weights") / "toy.pt", facts=AASCE_FACTS)


def add_label(studies: Path, number: int) -> None:
    """One more phantom."""
    phantom = render_phantom(random_spec(number, 480, 220))
    Image.fromarray(phantom.pixels).save(studies / f"phantom_{number}.png")
    write_markups(studies / "labels" / "final" / f"phantom_{number}.mrk.json", phantom.spine)


def run(monkeypatch: pytest.MonkeyPatch, command: Any, *arguments: object) -> int:
    """Exit status of a command."""
    monkeypatch.setattr(sys, "argv", [f"{command.__name__}.py", *map(str, arguments)])
    status: int = command.main()
    return status


def test_versions_name_their_images_and_are_not_measured_on_them(
    studies: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each those that it or the versions before it have learnt from, and not those of one that was taken back."""
    models = ModelStore(studies, weights)
    task = VertebraLandmarksTrain(models, "cpu")
    task(UNCHECKED, Folder(studies))
    (studies / "labels" / "final" / "phantom_0.mrk.json").unlink()
    add_label(studies, 2)
    task(UNCHECKED, Folder(studies))
    models.roll_back(1)
    add_label(studies, 3)
    (studies / "labels" / "final" / "phantom_2.mrk.json").unlink()
    task(UNCHECKED, Folder(studies))
    learnt = {number: {digest(studies, n) for n in images} for number, images in {1: "01", 2: "012", 3: "013"}.items()}
    for number, digests in learnt.items():
        content = load_weights(models.path_of(number))
        assert content.refiner is not None
        for facts in (content.facts, content.refiner.facts):
            seen = trained_on(facts)
            assert (seen.images, seen.data_sets, seen.is_known) == (digests, {"spines"}, True)
            assert seen.folds == {1, 2, 3, 4}  # of what the weights of the server had learnt from
        assert "phantom" not in json.dumps(public_facts(content.facts))
        assert not any(one in json.dumps(public_facts(content.facts)) for one in digests)

    version = tmp_path / "taken home.pt"  # away from its studies, as a restored copy is
    shutil.copy(models.path_of(3), version)
    monkeypatch.chdir(tmp_path)
    Path("folds.csv").write_text("image,fold\nphantom_1.png,0\nphantom_3.png,1\n")
    data = ("--data", studies, "--folds", "folds.csv", "--fold", 0)
    words = "taken home.pt was trained on your data spines: it knows 1 of the 1 images in fold 0 of spines"
    assert run(monkeypatch, calibrate, *data, "--weights", version, "--output", "new.pt", "--device", "cpu") == 1
    assert words in capsys.readouterr().err
    assert run(monkeypatch, train, *data, "--init", version, "--output", "run", "--device", "cpu") == 1
    assert words in capsys.readouterr().err
    assert run(monkeypatch, evaluate, *data, "--weights", version, "--device", "cpu") == 1
    assert "taken home.pt was trained on your data spines: it knows 1 of these 1 images" in capsys.readouterr().err

    add_label(studies, 4)
    Path("folds.csv").write_text(folds_table(models.version(3)))
    assert run(monkeypatch, evaluate, *data, "--weights", version, "--device", "cpu") == 0
    figures = json.loads(Path("evaluation.json").read_text())["map"]["complete"]
    assert (figures["images"], figures["trained_on"]) == (1, False)


def test_the_folder_is_the_same_data_for_the_server_and_for_the_commands(studies: Path) -> None:
    sources = {
        name: (studies / f"{name}.png", studies / "labels" / "final" / f"{name}.mrk.json")
        for name in ("phantom_0", "phantom_1")
    }
    ours = data_set_of(split_dataset(sources, 0.0, "", {}), "spines")
    theirs = read_data_set(studies, "studies", DataOptions())
    assert (ours.name, ours.digest, len(ours.images)) == (theirs.name, theirs.digest, len(theirs.images))
    learnt = LearntImages(ours, {"landmarks": {"digest": "d"}})
    fetched = FetchedImage(studies / "phantom_1.png", lambda: studies)
    facts = learnt.facts("landmarks", [{IMAGE: fetched}, {IMAGE: np.zeros((2, 2))}], goes_on=True)
    assert (facts["radiographs"], facts[IMAGES], facts["init"]) == (1, digest(studies, 1), {"digest": "d"})
    assert "init" not in learnt.facts("landmarks", [], goes_on=False)


def test_a_training_that_release_0_11_0_began_goes_on_with_what_it_said(
    studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its versions tell nothing, but the version after them tells of their images, by the metadata of all."""
    models = ModelStore(studies, weights)
    task = VertebraLandmarksTrain(models, "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(ModelStore, "studies_name", "")
        patch.setattr(ModelStore, "add", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            task(UNCHECKED, Folder(studies))
    plan = models.folder / RUN / PLAN
    plan.write_text(json.dumps({k: v for k, v in json.loads(plan.read_text()).items() if k != "data_set"}))
    task({"resume": True}, Folder(studies))
    facts = load_weights(models.path_of(1)).facts
    assert {name: facts[name] for name in FORMER} == FORMER
    assert not trained_on(facts).is_known
    (before, _) = facts_before(models, 1, load_weights(models.path_of(1)), "spines")
    seen = trained_on({**AASCE_FACTS, "init": before})
    assert (seen.images, seen.is_known) == ({digest(studies, n) for n in (0, 1)}, True)


def former(path: Path, facts: dict[str, Any], refiner: dict[str, Any]) -> Weights:
    """A weight file with a network of one number and one of the corners."""
    config = load_config()
    save_weights(
        path,
        {"a": torch.ones(1)},
        config,
        facts,
        refiner=CornerWeights(CornerNet(config.refiner).state_dict(), config.refiner, refiner),
    )
    return load_weights(path)


@pytest.mark.parametrize(
    ("parent_facts", "initial", "is_known", "images"),
    [
        pytest.param({TRAINED_ON: {"p": {"image": "aa"}}}, "", True, {"aa", "bb"}, id="metadata of all"),
        pytest.param({}, "", False, {"bb"}, id="one without"),
        pytest.param({TRAINED_ON: {"p": {"image": "aa"}}}, "other", False, {"aa", "bb"}, id="other first weights"),
    ],
)
def test_versions_of_former_releases_are_known_by_their_metadata(
    tmp_path: Path, parent_facts: dict[str, Any], initial: str, is_known: bool, images: set[str]
) -> None:
    former(tmp_path / "first.pt", AASCE_FACTS, AASCE_FACTS)
    models = ModelStore(tmp_path, tmp_path / "first.pt")
    models.versions_folder.mkdir(parents=True)
    first = models.version(0).digest
    write_version(Version(1, "", 0, initial or first, "", parent_facts), models.versions_folder)
    child = {TRAINED_ON: {"q": {"image": "bb"}}}
    write_version(Version(2, "", 1, first, "", child), models.versions_folder)
    now = former(models.path_of(2), FORMER, AASCE_FACTS)  # its corner network is that of the server's first weights
    landmarks, corners = (
        trained_on({**AASCE_FACTS, "fold": None, "init": one}) for one in facts_before(models, 2, now, "spines")
    )
    assert (landmarks.images, landmarks.is_known) == (images, is_known)
    assert (corners.images, corners.is_known) == (set(), True)
    assert file_trained_on(now).is_known is False
