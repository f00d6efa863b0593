"""Which database and which rows a studies folder belongs to."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.local_postgresql import OwnPostgresql
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.schema import stores

Label = Callable[[int], str]


@pytest.fixture
def url(postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a PostgreSQL database."""
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    return postgresql.url


def test_a_folder_is_not_opened_with_the_other_kind_of_database(studies: Path, label: Label, url: str) -> None:
    with closing(StudiesDatastore(str(studies), url)) as store:
        store.save_label("a", label(1), "final", {})
    with pytest.raises(ValueError, match=r"in PostgreSQL: name it, with --conf database .* --database"):
        StudiesDatastore(str(studies))
    assert not list((studies / ".vertebra_landmarks").glob("store.*"))
    with closing(StudiesDatastore(str(studies), url)) as store:
        assert json.loads(store.label_version("a", "final", 1)) == {"number": 1}


def test_nor_a_folder_of_sqlite_with_postgresql(studies: Path, url: str) -> None:
    StudiesDatastore(str(studies)).close()
    with pytest.raises(ValueError, match="in SQLite in the folder itself: leave out --conf database"):
        StudiesDatastore(str(studies), url)
    (studies / ".vertebra_landmarks" / "database").write_text("oracle")
    with pytest.raises(ValueError, match="must say sqlite or sqlite:/// or postgresql, got 'oracle'"):
        StudiesDatastore(str(studies))
    (studies / ".vertebra_landmarks" / "database").unlink()
    StudiesDatastore(str(studies), url).close()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_database_that_does_not_know_the_folder_is_not_that_of_before(
    studies: Path, label: Label, url: str, kind: str
) -> None:
    named = url if kind == "postgresql" else f"sqlite:///{studies.parent / 'rows.db'}"
    with closing(StudiesDatastore(str(studies), named)) as store:
        store.save_label("a", label(1), "final", {})
        if kind == "postgresql":  # as in another database
            with store._database.writing() as connection:
                identity = (studies / ".vertebra_landmarks" / "identity").read_text()
                changed = stores.update().where(stores.c.identity == identity)
                connection.execute(changed.values(identity=str(uuid.uuid4())))
    (studies.parent / "rows.db").unlink(missing_ok=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="the database does not know this studies folder"):
            StudiesDatastore(str(studies), named)
    (studies / ".vertebra_landmarks" / "database").unlink()
    with closing(StudiesDatastore(str(studies), named)) as store:
        assert json.loads(store.label_version("a", "final", 1)) == {"number": 1}


def test_a_copy_does_not_share_the_rows_of_its_original(studies: Path, label: Label, url: str) -> None:
    copy = studies.with_name("copy")
    with closing(StudiesDatastore(str(studies), url)) as store:
        store.save_label("a", label(1), "final", {})
        shutil.copytree(studies, copy)
        with pytest.raises(ValueError, match=f"is a copy of {studies}, whose labels the database holds"):
            StudiesDatastore(str(copy), url)
        (copy / ".vertebra_landmarks" / "identity").unlink()
        with closing(StudiesDatastore(str(copy), url)) as other:
            other.save_label("a", label(2), "final", {})
            other.remove_label("a", "final")
        assert store.get_label("a", "final").read() == b'{"number": 1}'
        assert len(store.label_versions("a", "final")) == 1


def test_a_copy_replaces_an_original_that_is_missing(studies: Path, label: Label, url: str) -> None:
    with closing(StudiesDatastore(str(studies), url)) as store:
        store.save_label("a", label(1), "final", {"user": "ada"})
    link = studies.with_name("link")
    link.symlink_to(studies)
    StudiesDatastore(str(link), url).close()  # the same folder by another name
    copy = studies.with_name("copy")
    shutil.copytree(studies, copy)
    shutil.rmtree(studies)
    for _ in range(2):
        with closing(StudiesDatastore(str(copy), url)) as store:
            assert store.get_label_info("a", "final")["user"] == "ada"


@pytest.mark.parametrize("text", ["", "no identity", "\u00e4"])
def test_a_damaged_identity_is_said_in_a_sentence(studies: Path, text: str) -> None:
    StudiesDatastore(str(studies)).close()
    (studies / ".vertebra_landmarks" / "identity").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"\.vertebra_landmarks/identity in the studies folder.* is damaged"):
        StudiesDatastore(str(studies))
