"""Which images no model may learn from."""

from __future__ import annotations

from pathlib import Path

from lib.study.plan import checked_plan
from lib.study.withheld import held_out_images, is_open_by_files

PEOPLE = {"readers": ["ada", "ben"], "adjudicators": ["cleo"]}


def test_all_images_of_a_held_out_patient_are_held_out() -> None:
    plan = checked_plan({**PEOPLE, "hold_out": {"images": ["a1", "u1"]}})
    patients = {"a1": "a", "a2": "a", "b1": "b", "u1": "", "u2": ""}
    assert held_out_images(plan, patients) == {"a1", "a2", "u1"}


def test_files_show_whether_two_readings_were_adjudicated(tmp_path: Path) -> None:
    twice = checked_plan({**PEOPLE, "second_reading": {"share": 1.0}})
    labels = {
        "final": ("both", "single", "shrunk"),
        "reading-1": ("both", "waiting", "shrunk"),
        "reading-2": ("both", "waiting", "single"),
    }
    for tag, names in labels.items():
        folder = tmp_path / "labels" / tag
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.mrk.json").touch()
    opened = ["single", "waiting", "shrunk", "nowhere"]  # shrunk: final while the plan wanted one reading, for a time
    names = ["both", *opened]
    assert [name for name in names if is_open_by_files(twice, tmp_path, name)] == opened
    assert not any(is_open_by_files(checked_plan(PEOPLE), tmp_path, name) for name in names)
