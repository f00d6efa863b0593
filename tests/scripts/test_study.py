"""The commands of ``scripts/study.py``, their exit statuses and sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

import study
from lib.server.store.datastore import StudiesDatastore


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["study.py", *map(str, arguments)])
    return study.main()


def test_each_command_says_what_it_has_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, backup = tmp_path / "studies", tmp_path / "backup"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no pixels")
    store = StudiesDatastore(str(folder))
    store.save_label_content("a", "final", b"{}", {})
    store.close()
    assert run(monkeypatch, "backup", folder, backup) == study.SOUND
    assert capsys.readouterr().out.startswith("backup of all that was saved until 20")
    assert run(monkeypatch, "restore", backup, tmp_path / "new") == study.SOUND
    assert "the backup has no images: copy them to" in capsys.readouterr().out
    assert run(monkeypatch, "verify", backup) == study.SOUND
    assert capsys.readouterr().out == "2 files, 1 images, 1 label versions: sound\n"
    assert run(monkeypatch, "verify", tmp_path / "new") == study.DAMAGED
    told = capsys.readouterr()
    assert told.err == "image 'a': its file is missing since it was scanned\n"
    assert told.out == "1 images, 1 label versions, 0 model versions: 1 problems\n"
    assert run(monkeypatch, "move", folder, tmp_path / "moved") == study.SOUND
    assert capsys.readouterr().out == f"moved: serve {tmp_path / 'moved'}\n"
    assert run(monkeypatch, "verify", folder) == study.FAILED
    assert capsys.readouterr().err.startswith("study: this study was moved to ")
    assert run(monkeypatch, "restore", backup, tmp_path / "moved") == study.FAILED
    assert capsys.readouterr().err.endswith("is not empty: name a new or an empty folder\n")


def test_a_version_that_is_missing_makes_a_backup_incomplete_but_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"no pixels")
    store = StudiesDatastore(str(tmp_path))
    store.save_label_content("a", "final", b"{}", {})
    store.close()
    next((tmp_path / ".vertebra_landmarks" / "versions").rglob("a.1.mrk.json")).unlink()
    outside = tmp_path.with_name(f"{tmp_path.name}_backup")
    assert run(monkeypatch, "backup", tmp_path, outside) == study.DAMAGED
    assert (
        "a.1.mrk.json is missing or damaged in the studies folder and is not in the backup" in capsys.readouterr().err
    )
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "copy")
    assert ended.value.code == 2
