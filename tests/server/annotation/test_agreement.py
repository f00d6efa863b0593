"""Agreement of a studies folder, as its page asks for it: calculated anew only where a reading has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.agreement.study_agreement import agreement
from lib.agreement.tables import TABLES
from lib.image_io import Radiograph
from lib.server.annotation.readings import agreement_input
from lib.server.annotation.readings.agreement import StudyAgreement
from lib.server.annotation.readings.agreement_input import readings_of_folder
from lib.server.annotation.readings.study import Study
from lib.server.store.datastore import StudiesDatastore
from lib.study.visibility import viewer_of

from ...scripts.study_folder import IMAGES, read_by_two


@pytest.fixture
def store(tmp_path: Path, ladder: np.ndarray) -> Iterator[StudiesDatastore]:
    """Three images, each read by ada and ben, who is a degree above her."""
    read_by_two(tmp_path / "studies", ladder)
    opened = StudiesDatastore(str(tmp_path / "studies"))
    yield opened
    opened.close()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the image files that were read."""
    read = agreement_input.read_radiograph
    names: list[str] = []

    def counted(path: Path) -> Any:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(agreement_input, "read_radiograph", counted)
    return names


def submit_again(store: StudiesDatastore, image: str, spaces: int) -> None:
    """Let ben submit the reading of an image again, with the same points."""
    study, label = Study(store, no_image, has_login=False), store.read_label(image, "reading-2")
    plan = study.plan()
    assert plan is not None
    content = label.content + b" " * spaces
    study.slots.submit(plan, viewer_of(plan, "ben", False), image, content, {"user": "ben"})


def no_image(image: str) -> Radiograph:
    raise AssertionError(f"{image} was read")


def test_the_page_gets_the_tables_of_the_script(store: StudiesDatastore) -> None:
    found = StudyAgreement(store, "1.2.3").of()
    script = agreement(readings_of_folder(store, [])[0])
    assert found["tables"] == {name: list(rows_of(script)) for name, rows_of in TABLES.items()}
    assert (found["sentence"], found["readers"], found["images"], found["left_out"]) == ("", ["ada", "ben"], 3, 0)
    assert "Vertebra Landmarks 1.2.3" in found["methods"]
    largest = next(plot for plot in found["plots"] if plot["angle"] == "largest")
    assert (largest["title"], [image for image, _, _ in largest["points"]]) == ("ada - ben", sorted(IMAGES))
    assert [first - second for _, first, second in largest["points"]] == pytest.approx([-1, -1, -1], abs=0.01)


def test_nothing_is_calculated_again_before_a_reading_changes(store: StudiesDatastore, decoded: list[str]) -> None:
    study = StudyAgreement(store, "1")
    first = study.of()
    assert sorted(decoded) == sorted(f"{name}.png" for name in IMAGES)
    assert study.of() is first
    submit_again(store, "two", 1)
    again = study.of()
    assert again is not first
    assert again == first
    assert len(decoded) == len(IMAGES)  # the images are as they were
    Path(store.get_image_uri("two")).touch()
    submit_again(store, "two", 2)
    study.of()
    assert decoded[len(IMAGES) :] == ["two.png"]


def test_what_a_server_has_noted_of_an_image_is_not_read_again(store: StudiesDatastore, decoded: list[str]) -> None:
    first = StudyAgreement(store, "1").of()
    assert len(decoded) == len(IMAGES)
    assert StudyAgreement(store, "1").of() == first  # another server, or this one started again
    assert len(decoded) == len(IMAGES)


def test_readings_that_began_with_a_model_can_be_left_out(store: StudiesDatastore) -> None:
    study = StudyAgreement(store, "1")
    assert "only 'ben' has read" in study.of(is_unaided=True)["sentence"]
    assert study.of()["sentence"] == ""


def test_damaged_images_are_named(store: StudiesDatastore) -> None:
    Path(store.get_image_uri("three")).write_bytes(b"no image")
    found = StudyAgreement(store, "1").of()
    assert found["images"] == 2
    assert found["left_out"] == 1
    assert found["problems"][0].startswith("image 'three'")
