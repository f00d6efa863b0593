"""Patients whose images are held out by a study plan, and what the plan names that the folder does not have."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lib.image_io import read_radiograph
from lib.server.annotation.readings.plan_file import PlanFile
from lib.server.annotation.readings.study import Study, excluded_from_training
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


def test_what_a_plan_names_in_vain_is_told(opened: Open, studies: Path) -> None:
    """A blind reader is told of images alone."""
    store = opened(studies)
    store.save_label_content("a", "final", b"{}", {"user": "Ada"})
    study = Study(store, read_radiograph, has_login=True)
    plan = checked_plan({"readers": ["ada"], "hold_out": {"images": ["b.png", "d"]}})
    study.change_plan(plan)
    image, reader = study.warnings(plan)
    assert image.startswith("hold_out of the study plan names 'd', and the studies folder has no such image")
    assert reader.startswith(
        "'Ada' has made readings and is no reader of the study plan: the plan spells the name 'ada'"
    )
    assert study.warnings(plan, with_readers=False) == [image]
