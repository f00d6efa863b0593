"""Files of labels are replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.server.store.label_files import aside_of, write_whole
from lib.spine import atomic_write


@pytest.mark.parametrize(("patience_s", "is_written"), [(60.0, True), (0.0, False)])
def test_a_file_that_somebody_reads_is_tried_again_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience_s: float, is_written: bool
) -> None:
    replace, refusals = Path.replace, []

    def in_use(path: Path, target: Path) -> Path:
        if len(refusals) < 2:
            refusals.append(path)
            raise PermissionError(13, "somebody reads it")
        return replace(path, target)

    monkeypatch.setattr(atomic_write, "REPLACE_TIMEOUT_S", patience_s)
    monkeypatch.setattr(Path, "replace", in_use)
    if is_written:
        write_whole(tmp_path / "a", b"{}")
    else:
        with pytest.raises(PermissionError):
            write_whole(tmp_path / "a", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] * is_written


def test_names_aside_are_new_and_hidden(tmp_path: Path) -> None:
    names = {aside_of(tmp_path / f"{'ä' * 90}.mrk.json").name for _ in range(10)}
    assert len(names) == 10
    assert all(name.startswith(".") and len(name.encode()) < 255 for name in names)
