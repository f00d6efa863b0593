"""Which images are which instances, on each of the databases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lib.server.pacs.image_catalogue import ImageCatalogue
from lib.server.pacs.instances import InstanceUids
from lib.server.store.datastore import StudiesDatastore

from ..store.conftest import database, postgresql  # noqa: F401

ONE, TWO = InstanceUids("1.2", "1.2.3", "1.2.3.4"), InstanceUids("1.2", "1.2.3", "1.2.3.5")


@pytest.fixture
def catalogue(database: str | None, tmp_path: Path) -> ImageCatalogue:  # noqa: F811
    store = StudiesDatastore(str(tmp_path / "work"), database)
    return ImageCatalogue(store.context, store.context.folder.app_folder)


def test_instances_are_noted_once_marked_gone_and_come_back(catalogue: ImageCatalogue) -> None:
    names = [f"{catalogue.id_of(uids.instance)}.dcm" for uids in (ONE, TWO)]
    assert catalogue.note([ONE, TWO, ONE]) == names
    assert catalogue.note([ONE]) == []
    assert [entry.name for entry in catalogue.entries()] == sorted(names)
    assert catalogue.uids(names[1]) == TWO
    entry = catalogue.entry(names[0])
    assert catalogue.note_gone([names[0], "other.dcm"]) == [names[0]]
    assert catalogue.note_gone([names[0]]) == []
    assert (catalogue.entry(names[0]), catalogue.uids(names[0])) == (None, None)
    assert catalogue.note([ONE, TWO]) == [names[0]]
    assert catalogue.entry(names[0]) == entry


def test_an_instance_may_move_to_another_study(catalogue: ImageCatalogue) -> None:
    (name,) = catalogue.note([ONE])
    moved = ONE._replace(study="1.9", series="1.9.1")
    assert catalogue.note([moved]) == []
    assert catalogue.uids(name) == moved


@pytest.mark.parametrize("name", ["", ".dcm", "x", "a\0.dcm", "\ud800.dcm", "x.png"])
def test_other_names_are_no_images(catalogue: ImageCatalogue, name: str) -> None:
    catalogue.note([ONE])
    assert catalogue.entry(name) is None


def test_ids_depend_on_the_key_of_the_folder(tmp_path: Path) -> None:
    ids = []
    for number in range(2):
        store = StudiesDatastore(str(tmp_path / str(number)))
        folder = store.context.folder.app_folder
        made = [ImageCatalogue(store.context, folder).id_of(ONE.instance) for _ in range(2)]
        assert made[0] == made[1]
        assert len(made[0]) == 20
        assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
        ids.append(made[0])
        store.close()
    assert ids[0] != ids[1]


def test_a_damaged_key_is_said_and_not_replaced(tmp_path: Path) -> None:
    store = StudiesDatastore(str(tmp_path))
    (store.context.folder.app_folder / "key").write_text("short")
    with pytest.raises(ValueError, match="is damaged: restore it from a backup"):
        ImageCatalogue(store.context, store.context.folder.app_folder)
    assert (store.context.folder.app_folder / "key").read_text() == "short"
    store.close()
