"""What the server's training leaves out of a study with a plan: patients of held-out images."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lib.server.annotation.readings.plan_file import PlanFile
from lib.server.annotation.readings.study import excluded_from_training
from lib.server.training.dataset import LabelledImages
from lib.study.plan import checked_plan

from .conftest import Open

MADE = ["P12_post", "P13_pre", "x-1"]


def test_no_image_of_a_held_out_patient_is_learnt_from(opened: Open, studies: Path) -> None:
    """Also where the held-out image has no label, and as a pattern tells patients apart."""
    for number, name in enumerate(("P12_pre", *MADE)):
        Image.new("L", (10, 30), number).save(studies / f"{name}.png")
    store = opened(studies)
    for image in MADE:
        store.save_label_content(image, "final", b"{}", {"user": "ada"})
    plan = PlanFile(studies)
    plan.write(checked_plan({"readers": ["ada"], "hold_out": {"images": ["P12_pre"]}}))
    assert excluded_from_training(store, MADE) == {"P12_post"}
    assert excluded_from_training(store, MADE, "P.*(_pre)") == {"P13_pre"}
    assert list(LabelledImages(store)) == ["P13_pre", "x-1"]
    assert set(LabelledImages(store).only(MADE, "P.*(_pre)")) == {"P12_post", "x-1"}
    plan.write(checked_plan({"readers": ["ada"]}))
    assert excluded_from_training(store, MADE) == set()
