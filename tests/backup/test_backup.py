"""Backup, restore and verification of a study, on either database."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.local_postgresql import OwnPostgresql
from lib.backup import backup as backup_module
from lib.backup import restore as restore_module
from lib.backup import study_files
from lib.backup.backup import back_up
from lib.backup.manifest import MANIFEST_FILE, Manifest, object_path, read_manifest
from lib.backup.restore import restore
from lib.backup.study_source import open_source
from lib.backup.verify import Findings, verify_backup, verify_folder
from lib.server.store.datastore import StudiesDatastore

from .conftest import Make, contents, facts


class Killed(BaseException):
    """Nothing catches it."""


def make_backup(folder: Path, target: Path, url: str | None = None, images: bool = False) -> Manifest:
    with open_source(folder, url) as source:
        return back_up(source, target, images)


def verified(folder: Path, url: str | None = None) -> Findings:
    with open_source(folder, url) as source:
        return verify_folder(source)


def facts_of(folder: Path, url: str | None = None) -> dict[str, Any]:
    store = StudiesDatastore(str(folder), url, read_only=True)
    try:
        return facts(store)
    finally:
        store.close()


def kill_after(monkeypatch: pytest.MonkeyPatch, module: Any, count: int, error: BaseException) -> None:
    """Let the copy of a file raise after some."""
    real, copied = study_files.copy_file, []

    def copy(*arguments: Any) -> str:
        copied.append(arguments)
        if len(copied) > count:
            raise error
        return real(*arguments)

    monkeypatch.setattr(module, "copy_file", copy)


def test_a_restored_study_is_the_same(database: str | None, study: Make, tmp_path: Path) -> None:
    folder, target = study(database), tmp_path / "restored"
    before, expected = contents(folder), facts_of(folder, database)
    manifest = make_backup(folder, tmp_path / "backup", database, images=True)
    assert contents(folder) == before
    assert verify_backup(tmp_path / "backup") == Findings({"files": 11, "images": 3, "label versions": 4}, [])
    assert manifest.damaged == []
    restore(tmp_path / "backup", target, None)
    assert verified(target) == Findings({"images": 3, "label versions": 4, "model versions": 1}, [])
    assert facts_of(target) == expected
    own = "study.yaml", ".vertebra_landmarks/models/1.pt", ".vertebra_landmarks/models/served.json"
    assert {name: contents(target)[name] for name in own} == {name: before[name] for name in own}
    assert not (target / "labels" / "final" / "c.mrk.json").exists()


def test_a_study_is_restored_into_postgresql_beside_another_one(
    postgresql: OwnPostgresql,
    monkeypatch: pytest.MonkeyPatch,
    study: Make,
    tmp_path: Path,
    label: Callable[[int], str],
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.png").write_bytes(b"x")
    other = StudiesDatastore(str(tmp_path / "other"), postgresql.url)
    folder, target = study(None), tmp_path / "restored"
    make_backup(folder, tmp_path / "backup", images=True)
    restore(tmp_path / "backup", target, postgresql.url)
    assert verified(target, postgresql.url).problems == []
    assert facts_of(target, postgresql.url) == facts_of(folder)
    other.save_label("z", label(9), "final", {})
    store = StudiesDatastore(str(target), postgresql.url)
    assert store.save_label_content("a", "final", b'{"number": 5}', {}) == 3
    assert other.read_label("z", "final").version == 1
    store.close()
    other.close()
    with pytest.raises(ValueError, match=r"has its rows already, of the folder .*restored"):
        restore(tmp_path / "backup", tmp_path / "again", postgresql.url)
    with pytest.raises(ValueError, match="incomplete copy, which was interrupted"):
        StudiesDatastore(str(tmp_path / "again"), postgresql.url)


def test_a_wrong_password_is_told_before_anything_is_copied(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, study: Make, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    make_backup(study(None), tmp_path / "backup")
    with pytest.raises(ConnectionError, match=r"cannot be used: .*password authentication failed"):
        restore(tmp_path / "backup", tmp_path / "restored", postgresql.url)
    assert [*contents(tmp_path / "restored")] == [".vertebra_landmarks/closed"]


def test_a_second_backup_copies_only_what_is_new(
    study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: Callable[[int], str]
) -> None:
    folder = study(None)
    first = make_backup(folder, tmp_path / "backup", images=True)
    store = StudiesDatastore(str(folder))
    store.save_label("b", label(5), "final", {})
    store.remove_image("a")
    store.close()
    read: list[Path] = []
    digest = backup_module.digest_file
    monkeypatch.setattr(backup_module, "digest_file", lambda path: (read.append(path), digest(path))[1])
    second = make_backup(folder, tmp_path / "backup", images=True)
    assert [path.name for path in read] == ["rows.sqlite3"]
    assert second.objects().keys() - first.objects().keys() == {
        second.database.digest,
        *(entry.digest for path, entry in second.files.items() if path.endswith("/b.1.mrk.json") and "final" in path),
    }
    assert not object_path(tmp_path / "backup", first.database.digest).exists()
    assert not [path for path in second.files if path.rpartition("/")[2].startswith("a.")]
    assert verify_backup(tmp_path / "backup").problems == []


def test_an_image_that_is_removed_during_the_backup_is_left_out(
    study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, own_files = study(None), backup_module.own_files

    def remove_first(files: Any) -> Any:
        store = StudiesDatastore(str(folder))
        store.remove_image("a")
        store.close()
        return own_files(files)

    monkeypatch.setattr(backup_module, "own_files", remove_first)
    manifest = make_backup(folder, tmp_path / "backup", images=True)
    assert (manifest.damaged, manifest.counts["vl_images"], manifest.counts["vl_labels"]) == ([], 2, 2)
    assert verify_backup(tmp_path / "backup").problems == []


def test_a_killed_backup_leaves_the_earlier_one_whole(
    study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = study(None), tmp_path / "backup"
    before = contents(folder)
    with monkeypatch.context() as patch:
        kill_after(patch, backup_module, 2, Killed())
        with pytest.raises(Killed):
            make_backup(folder, target)
    with pytest.raises(ValueError, match="is an incomplete backup, which was interrupted"):
        restore(target, tmp_path / "restored", None)
    first = make_backup(folder, target)
    with monkeypatch.context() as patch:
        kill_after(patch, backup_module, 0, Killed())
        with pytest.raises(Killed):
            make_backup(folder, target, images=True)
    assert verify_backup(target).problems == [
        "a later backup in this folder was interrupted: what is listed is the backup before it"
    ]
    assert read_manifest(target) == first
    make_backup(folder, target, images=True)
    assert verify_backup(target).problems == []
    assert contents(folder) == before


def test_a_killed_restore_is_no_study(study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_backup(study(None), tmp_path / "backup")
    before, target = contents(tmp_path / "backup"), tmp_path / "restored"
    kill_after(monkeypatch, restore_module, 3, Killed())
    with pytest.raises(Killed):
        restore(tmp_path / "backup", target, None)
    with pytest.raises(ValueError, match="incomplete copy, which was interrupted"):
        StudiesDatastore(str(target))
    with pytest.raises(ValueError, match="incomplete copy, which was interrupted"):
        restore(tmp_path / "backup", target, None)
    assert contents(tmp_path / "backup") == before


def test_a_full_disk_is_told(study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, full = study(None), OSError(errno.ENOSPC, "No space left on device", "x")
    make_backup(folder, tmp_path / "backup")
    kill_after(monkeypatch, restore_module, 1, full)
    with pytest.raises(OSError, match=r"the disk is full; .*restored is incomplete: remove it"):
        restore(tmp_path / "backup", tmp_path / "restored", None)
    kill_after(monkeypatch, backup_module, 0, full)
    with pytest.raises(
        OSError, match=r"the disk is full; .*stays marked as incomplete, and an earlier backup in it whole"
    ):
        make_backup(folder, tmp_path / "backup", images=True)
    monkeypatch.setattr(study_files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3_000_000}))
    with pytest.raises(OSError, match="is too full: 0 MB are needed and 3 MB are free"):
        restore(tmp_path / "backup", tmp_path / "third", None)


def test_what_is_missing_or_damaged_is_named(study: Make, tmp_path: Path) -> None:
    folder = study(None)
    version = next((folder / ".vertebra_landmarks" / "versions").rglob("a.1.mrk.json"))
    version.write_text("{}")
    (folder / "b.png").unlink()
    (folder / "labels" / "second" / "b.mrk.json").unlink()
    (folder / "study.yaml").write_text("readers: 7\n")
    problems = verified(folder).problems
    assert len(problems) == 4
    assert problems[0] == "image 'a': version 1 of its label 'final' is damaged or was changed"
    assert problems[1].startswith("image 'b': the file of its label 'second' is missing")
    assert problems[2] == "image 'b': its file is missing since it was scanned"
    assert problems[3].startswith("study.yaml is no study plan: ")
    manifest = make_backup(folder, tmp_path / "backup", images=True)
    assert [path.rpartition("/")[2] for path in manifest.damaged] == ["a.1.mrk.json", "b.png"]
    assert len(verify_backup(tmp_path / "backup").problems) == 2


def test_a_damaged_backup_is_not_restored(study: Make, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    manifest = make_backup(study(None), target)
    path, entry = next((path, entry) for path, entry in manifest.files.items() if path.endswith("a.2.mrk.json"))
    object_path(target, entry.digest).write_bytes(b"[]")
    assert verify_backup(target).problems == [
        f"{path} is damaged or was changed ({object_path(target, entry.digest).relative_to(target)}: remove that file, "
        "and make the backup again)"
    ]
    with pytest.raises(ValueError, match=r"is damaged: .*a\.2\.mrk\.json is not as it was written"):
        restore(target, tmp_path / "restored", None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda whole: whole["content"]["files"].popitem(), "its SHA-256 is another one than when it was written"),
        (lambda whole: whole["content"].update(migrations=99), "its SHA-256 is another one"),
        (lambda whole: whole.pop("content"), "it is no list of the files of a backup"),
    ],
)
def test_a_changed_manifest_is_refused(
    study: Make, tmp_path: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    make_backup(study(None), tmp_path / "backup")
    file = tmp_path / "backup" / MANIFEST_FILE
    whole = json.loads(file.read_text())
    change(whole)
    file.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=sentence):
        verify_backup(tmp_path / "backup")


def test_what_a_newer_release_has_written_is_refused(
    study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(None)
    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "MIGRATIONS", (None,) * 99)
        make_backup(folder, tmp_path / "backup")
    with pytest.raises(ValueError, match=r"was made by the newer release .* update the app"):
        restore(tmp_path / "backup", tmp_path / "restored", None)
    with closing(sqlite3.connect(folder / ".vertebra_landmarks" / "store.sqlite3")) as connection:
        connection.execute("UPDATE vl_schema_version SET migrations = 99")
        connection.commit()
    with pytest.raises(ValueError, match="a newer release of the app has added to the tables"):
        make_backup(folder, tmp_path / "other")


def test_an_edit_from_outside_that_no_server_has_seen_is_kept(study: Make, tmp_path: Path) -> None:
    folder = study(None)
    (folder / "labels" / "final" / "a.mrk.json").write_text('{"number": 77}')
    make_backup(folder, tmp_path / "backup", images=True)
    restore(tmp_path / "backup", tmp_path / "restored", None)
    store = StudiesDatastore(str(tmp_path / "restored"))
    assert (store.read_label("a", "final").version, store.read_label("a", "final").content) == (3, b'{"number": 77}')
    store.close()


def test_places_that_cannot_be_meant_are_refused(study: Make, tmp_path: Path) -> None:
    folder = study(None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").touch()
    for target, sentence in (
        (folder / "b", "lies in the studies folder"),
        (tmp_path / "full", "which is of no backup"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make_backup(folder, target)
    make_backup(folder, tmp_path / "backup")
    with pytest.raises(ValueError, match="is not empty: name a new or an empty folder"):
        restore(tmp_path / "backup", tmp_path / "full", None)
    with pytest.raises(ValueError, match="is no studies folder that a server has served"):
        make_backup(tmp_path / "full", tmp_path / "other")
    other = f"sqlite:///{tmp_path}/none.db"
    (folder / ".vertebra_landmarks" / "database").unlink()
    with pytest.raises(ValueError, match=r"there is no database .*none\.db: name that of the server"):
        make_backup(folder, tmp_path / "other", other)
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(ValueError, match=r"is no backup: it has no manifest\.json"):
        verify_backup(tmp_path / "full")


def test_the_working_folder_of_a_pacs_keeps_its_key_and_not_its_cache(study: Make, tmp_path: Path) -> None:
    folder = study(None)
    own = folder / ".vertebra_landmarks" / "pacs"
    (own / "cache").mkdir(parents=True)
    (own / "cache" / "x.dcm").write_bytes(b"pixels")
    (own / "key").write_bytes(b"k" * 32)
    manifest = make_backup(folder, tmp_path / "backup", images=True)
    assert (manifest.is_pacs, manifest.has_images) == (True, False)
    restore(tmp_path / "backup", tmp_path / "restored", None)
    restored = contents(tmp_path / "restored")
    assert [name for name in restored if "/pacs/" in name] == [".vertebra_landmarks/pacs/key"]
    assert verified(tmp_path / "restored").problems == []
    assert (tmp_path / "restored").stat().st_mode & 0o077 == 0
