"""Work that is not submitted, on the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from VertebraLandmarksLib.spine.imaging.orientation import Orientation
from VertebraLandmarksLib.spine.measurement.image_warnings import SECOND_SPINE, ImageWarning
from VertebraLandmarksLib.spine.measurement.origin import Origin
from VertebraLandmarksLib.workflow import drafts as drafts_module
from VertebraLandmarksLib.workflow.drafts import SUBMITTING, Draft, Drafts, mask_of, names_of, new_key
from VertebraLandmarksLib.workflow.open_image import MAX_DELAY_S, QUIET_INTERVAL_S, RETRY_INTERVAL_S, AutosavePolicy

pytestmark = pytest.mark.slicer

MARKUPS = b'{"markups": [1.0, 2.50],\r\n "\xc3\xa4": "\\u00e4"}\n \x00\xff'


def draft(**changes: object) -> Draft:
    """A draft of an image with a name that no file could have."""
    values = {
        "key": new_key("http://server:8000", 'a/b\\c:*?"<>|'),
        "image_id": 'a/b\\c:*?"<>| ü',
        "server": "http://server:8000",
        "user": "ada",
        "markups": MARKUPS,
        "touched": ("T7", "T7 TL"),
        "seconds": 12.5,
        "edits": 3,
        "saved": 1000.0,
    }
    return Draft(**{**values, **changes})  # type: ignore[arg-type]


def test_a_draft_comes_back_byte_for_byte(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    assert drafts.list() == ()
    warnings = (ImageWarning(SECOND_SPINE, "Two spines.", ()),)
    origin = Origin("7", 0.75, (None, *(1.5,) * 16), Orientation(3, True), warnings)
    written = draft(note=SUBMITTING, source="/images/é.dcm", origin=origin, is_proposal=True, begun_by="ben")
    written = replace(written, image_left_is="right")
    drafts.save(written)
    assert drafts.list() == (written,)
    assert drafts.list()[0].markups == MARKUPS


def test_a_draft_of_an_older_module_is_read(tmp_path: Path) -> None:
    drafts, written = Drafts(tmp_path), draft()
    drafts.save(written)
    path = next(tmp_path.glob("*.draft.json"))
    content = json.loads(path.read_text())
    for name in ("origin", "is_proposal", "begun_by", "image_left_is"):
        del content[name]
    path.write_text(json.dumps(content))
    assert drafts.list() == (written,)


def test_a_draft_that_another_slicer_has_open_is_offered_when_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from VertebraLandmarksLib.workflow.drafts import *\n"
        "from VertebraLandmarksLib.workflow.open_image import AutosavePolicy\n"
        "policy = AutosavePolicy(Drafts(sys.argv[1]), 'k')\n"
        "policy.write(Draft('k', 'i', 's', 'ben', b'1', (), 0.0, 1, 1.0), 1)\n"
        "print('open', flush=True)\n"
        "while command := sys.stdin.readline().strip():\n"
        "    getattr(policy, command)(); print(command, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    for ending in ("release", "kill"):
        with subprocess.Popen(
            command,
            cwd=Path(drafts_module.__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            drafts = Drafts(tmp_path)
            assert drafts.list() == ()
            assert drafts.list() == ()  # having looked does not change it
            if ending == "release":
                process.stdin.write("release\n")
                process.stdin.flush()
                assert process.stdout.readline() == "release\n"
                assert [one.user for one in drafts.list()] == ["ben"]
            process.kill()
        assert [one.user for one in drafts.list()] == ["ben"]
        drafts.remove("k")
        assert list(tmp_path.iterdir()) == []


def test_what_a_process_itself_has_open_is_listed(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    policy = AutosavePolicy(drafts, "key")
    policy.write(draft(), 1)
    assert [one.key for one in drafts.list()] == ["key"]
    assert Drafts(tmp_path).list() == ()
    policy.release()
    assert len(Drafts(tmp_path).list()) == 1
    policy.write(draft(), 2)  # a writing that was on its way does not take it back
    assert len(Drafts(tmp_path).list()) == 1


def test_newest_first_one_per_key(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    old, new = draft(saved=1.0), draft(saved=2.0)
    drafts.save(old)
    drafts.save(new)
    drafts.save(replace(old, edits=9, saved=3.0))
    assert [(one.edits, one.saved) for one in drafts.list()] == [(9, 3.0), (3, 2.0)]
    drafts.remove(old.key)
    drafts.remove(old.key)
    assert drafts.list() == (new,)


def test_keys_are_plain_file_names_and_never_the_same() -> None:
    places = [("http://a", "b"), ("http://a", "B"), ("http://ab", ""), ("", "http://ab"), ("http://a", "../../b"),
              ("http://a", "CON"), ("http://a", "x" * 500), ("http://a", "b")]  # fmt: skip
    keys = [new_key(*place) for place in places]
    assert len({key.lower() for key in keys}) == len(places)
    assert all(key.replace("-", "").isalnum() and len(key) < 50 for key in keys)
    assert keys[0].split("-")[0] == keys[-1].split("-")[0] != keys[1].split("-")[0]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut-short"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[1]", id="no-table"),
        pytest.param(b'{"format": 1}', id="nothing-in-it"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_draft_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    drafts, good = Drafts(tmp_path), draft()
    drafts.save(good)
    (tmp_path / "bad.draft.json").write_bytes(content)
    assert drafts.list() == (good,)
    assert drafts.list() == (good,)
    aside = [path for path in tmp_path.iterdir() if path.name.endswith(".damaged")]
    assert [path.read_bytes() for path in aside] == [content]


def test_a_draft_whose_points_were_changed_on_the_disk_is_not_offered(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.save(draft())
    path = next(tmp_path.glob("*.draft.json"))
    path.write_text(path.read_text().replace("2.50", "2.51"))
    assert drafts.list() == ()
    assert len(list(tmp_path.glob("*.damaged"))) == 1


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts, before = Drafts(tmp_path), draft()
    drafts.save(before)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        drafts.save(replace(before, edits=99))
    assert drafts.list() == (before,)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_killed_while_it_writes_leaves_a_whole_draft(tmp_path: Path) -> None:
    code = (
        "import sys; from VertebraLandmarksLib.workflow.drafts import *\n"
        "d = Drafts(sys.argv[1]); n = 0\n"
        "while True:\n"
        "    n += 1; d.save(Draft('k', 'i', 's', 'u', b'%d ' % n * 20000, (), 0.0, n, float(n)))\n"
        "    print(n, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, cwd=Path(drafts_module.__file__).parents[2], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.kill()
    said = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    (found,) = Drafts(tmp_path).list()
    assert found.markups == b"%d " % found.edits * 20000
    assert found.edits >= int(said[-1] if said else 1)


def test_touched_points_have_names() -> None:
    touched = np.zeros((17, 5), bool)
    touched[0, 0] = touched[6, 1] = touched[16, 4] = True
    assert names_of(touched) == ("T1", "T7 TL", "L5 BR")
    assert np.array_equal(mask_of(names_of(touched)), touched)


class Clock:
    """Time that a test makes pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_is_written_when_it_pauses_and_at_the_latest_after_a_while(tmp_path: Path) -> None:
    clock = Clock()
    policy = AutosavePolicy(Drafts(tmp_path), "key", clock)
    assert not policy.is_due()
    policy.mark_changed()
    clock.now += QUIET_INTERVAL_S / 2
    assert not policy.is_due()
    policy.mark_changed()
    clock.now += QUIET_INTERVAL_S * 0.75
    assert not policy.is_due()
    clock.now += QUIET_INTERVAL_S * 0.5
    assert policy.is_due()
    assert not policy.is_due()
    begin = clock.now
    policy.mark_changed()
    while not policy.is_due():
        clock.now += 0.05
        policy.mark_changed()
    assert clock.now - begin <= MAX_DELAY_S + 0.1
    policy.schedule_retry()
    assert not policy.is_due()
    clock.now += RETRY_INTERVAL_S
    assert policy.is_due()


def test_an_older_writing_never_replaces_a_newer_one(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    policy = AutosavePolicy(drafts, "key")
    policy.write(draft(edits=2), 2)
    policy.write(draft(edits=1), 1)
    assert [one.edits for one in drafts.list()] == [2]
    assert drafts.list()[0].key == "key"


def test_what_was_submitted_is_forgotten_and_newer_work_is_not(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    policy = AutosavePolicy(drafts, "key")
    policy.write(draft(), 1)
    policy.delete_if_older(1)
    assert drafts.list() == ()
    policy.write(draft(), 1)  # a writing that was on its way
    assert drafts.list() == ()
    policy.write(draft(edits=7), 2)
    policy.delete_if_older(1)
    assert [one.edits for one in drafts.list()] == [7]


def test_a_draft_that_is_taken_up_stays_until_its_successor_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = Drafts(tmp_path)
    old = draft(key="old")
    drafts.save(old)
    policy = AutosavePolicy(drafts, "new", resumed_key="old")
    assert policy.is_saved
    assert policy.is_unsaved

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(drafts, "save", full)
        with pytest.raises(OSError, match="No space"):
            policy.write(old, 1)
    assert [one.key for one in drafts.list()] == ["old"]
    policy.write(replace(old, edits=4), 2)
    assert [(one.key, one.edits) for one in drafts.list()] == [("new", 4)]
    policy.write(old, 1)
    assert [(one.key, one.edits) for one in drafts.list()] == [("new", 4)]


def test_a_draft_that_is_taken_up_and_submitted_at_once_is_gone(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.save(draft(key="old"))
    AutosavePolicy(drafts, "new", resumed_key="old").delete_if_older(2)
    assert drafts.list() == ()


def test_kept_and_unsaved_are_told_apart(tmp_path: Path) -> None:
    policy = AutosavePolicy(Drafts(tmp_path), "key")
    assert policy.is_saved
    assert not policy.is_unsaved
    policy.mark_changed()
    assert not policy.is_saved
    assert policy.is_unsaved
    policy.saved_revision = 1
    assert policy.is_saved
    assert policy.is_unsaved
    policy.submitted_revision = 1
    assert not policy.is_unsaved
