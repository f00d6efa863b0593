"""Labels that others write, damage or restore, and lost rows and versions: nothing that was saved is lost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from lib.server.store import label_sync as label_sync
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.label_sync import digest_of, quarantine_path, write_atomically
from lib.server.store.schema import labels
from lib.spine import atomic_write

Open = Callable[..., StudiesDatastore]
Label = Callable[[int], str]
DAY_S = 86_400


def final(studies: Path, image: str) -> Path:
    return studies / "labels" / "final" / f"{image}.mrk.json"


def aside(studies: Path, image: str) -> list[str]:
    return sorted(path.read_text() for path in final(studies, image).parent.glob(f".{image}.*.damaged"))


def versions(studies: Path, image: str) -> list[Path]:
    return sorted((studies / ".vertebra_landmarks" / "versions").rglob(f"{image}.*"))


def kept(store: StudiesDatastore, image: str) -> dict[int, object]:
    numbers = [version["version"] for version in store.label_versions(image, "final")]
    return {number: json.loads(store.label_version(image, "final", number)) for number in numbers}


def write(path: Path, text: str, age_s: float = 0.0) -> None:
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)


def failing(*arguments: object) -> None:
    raise PermissionError(13, "somebody reads it")


def test_versions_of_a_lost_database_are_recovered(
    studies: Path, opened: Open, label: Label, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(studies)
    for number in (1, 2, 3):
        store.save_label("a", label(number), "final", {})
    for number in range(1, 12):
        store.save_label("b", label(number), "original", {})
    store.save_label("c", label(1), "final", {})
    store.remove_label("c", "final")
    store.close()
    torn = store._folder.version("b", "original", 3)
    torn.write_text("{ torn")
    for name in ("x.mrk.json", "b.0.mrk.json", "gone.1.mrk.json"):  # none that the store wrote of an image
        torn.with_name(name).write_text("{}")
    before = {path: path.read_bytes() for path in versions(studies, "a")}
    assert len(before) == 3
    for path in [*(studies / ".vertebra_landmarks").glob("store.*"), studies / ".vertebra_landmarks" / "identity"]:
        path.unlink()
    for _ in range(2):
        store = opened(studies)
        assert kept(store, "a") == {1: {"number": 1}, 2: {"number": 2}, 3: {"number": 3}}
        assert (store.get_labeled_images(), store.status()["label_tags"]) == (["a"], {"final": 1, "original": 1})
    assert caplog.text.count("14 label versions") == 1
    numbers = {version["version"]: version["is_current"] for version in store.label_versions("b", "original")}
    assert numbers == {number: number == 11 for number in (1, 2, *range(4, 12))}
    store.restore_label("c", "final", 1, {})
    assert kept(store, "c") == {1: {"number": 1}, 2: {"number": 1}}
    store.save_label("a", label(9), "final", {})
    assert {path: path.read_bytes() for path in before} == before
    assert kept(store, "a")[4] == {"number": 9}
    store.remove_image("a")
    assert versions(studies, "a") == []


def test_with_a_lost_database_labels_of_absent_images_and_damaged_ones_come_back_too(
    studies: Path, opened: Open, label: Label, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(studies)
    for image in ("a", "b"):
        for number in (1, 2):
            store.save_label(image, label(number), "final", {})
    store.close()
    for path in [*(studies / ".vertebra_landmarks").glob("store.*"), studies / ".vertebra_landmarks" / "identity"]:
        path.unlink()
    write(final(studies, "b"), "{ torn", age_s=DAY_S)
    (studies / "a.png").rename(studies.parent / "a.png")
    store = opened(studies)
    assert (store.list_images(), store.get_labeled_images()) == (["b", "c"], ["b"])
    assert (kept(store, "b"), aside(studies, "b")) == ({1: {"number": 1}, 2: {"number": 2}}, ["{ torn"])
    assert json.loads(final(studies, "b").read_text()) == {"number": 2}
    (studies.parent / "a.png").rename(studies / "a.png")
    store.refresh()
    assert (kept(store, "a"), store.get_labeled_images()) == (kept(store, "b"), ["a", "b"])
    assert "another image" not in caplog.text


def test_a_label_that_is_being_copied_is_left_alone(studies: Path, opened: Open, label: Label) -> None:
    opened(studies).save_label("a", label(1), "final", {})
    with final(studies, "a").open("w") as stream:
        stream.write('{"hand": ')
        stream.flush()
        opened(studies)
        stream.write("1}")
    assert kept(opened(studies), "a") == {1: {"number": 1}, 2: {"hand": 1}}
    assert aside(studies, "a") == []


def test_every_damaged_label_is_preserved_and_reported(
    studies: Path, opened: Open, label: Label, caplog: pytest.LogCaptureFixture
) -> None:
    opened(studies).save_label("a", label(1), "final", {})
    for text in ("{ one", "{ two"):
        write(final(studies, "a"), text, age_s=DAY_S)
        assert kept(opened(studies), "a") == {1: {"number": 1}}
    assert aside(studies, "a") == ["{ one", "{ two"]
    assert caplog.text.count("moved aside as .damaged") == 2


def test_a_save_moves_an_incomplete_label_aside(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    for image in ("a", "b"):
        write(final(studies, image), '{"an hour of work": 1,}')
        store.save_label(image, label(2), "final", {})
        assert aside(studies, image) == ['{"an hour of work": 1,}']
        assert json.loads(final(studies, image).read_text()) == {"number": 2}
    write(final(studies, "a"), "{ again")
    store.remove_label("a", "final")
    assert "{ again" in aside(studies, "a")


def test_a_label_can_be_saved_when_the_version_before_is_unreadable(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    with monkeypatch.context() as patched:
        patched.setattr(label_sync.LabelSync, "write_current", failing)
        store.save_label("a", label(2), "final", {})
    for path in versions(studies, "a"):
        path.write_text("")
    store.save_label("a", label(3), "final", {})
    assert json.loads(final(studies, "a").read_text()) == {"number": 3}


def test_a_saved_label_is_served_even_if_its_current_file_cannot_be_written(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    with monkeypatch.context() as patched:
        patched.setattr(label_sync.LabelSync, "write_current", failing)
        assert store.save_label("a", label(2), "final", {}) == "a"
        assert "is saved, but its current file is not" in caplog.text
        assert store.get_label_uri("a", "final") == str(final(studies, "a"))
    assert json.loads(Path(store.get_label_uri("a", "final")).read_text()) == {"number": 2}
    assert kept(store, "a") == {1: {"number": 1}, 2: {"number": 2}}


def test_a_damaged_label_without_its_version_does_not_prevent_the_start(
    studies: Path, opened: Open, label: Label, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(studies)
    for image in ("a", "b"):
        store.save_label(image, label(1), "final", {})
    versions(studies, "a")[0].unlink()
    write(final(studies, "a"), "{ torn", age_s=DAY_S)
    write(final(studies, "b"), '{"hand": 1}')
    for _ in range(2):
        store = opened(studies)
        assert final(studies, "a").read_text() == "{ torn"
        assert kept(store, "b") == {1: {"number": 1}, 2: {"hand": 1}}
    assert "could not be compared with its file" in caplog.text


def test_an_older_label_put_back_by_hand_counts(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {"user": "ada"})
    store.save_label("a", label(2), "final", {})
    time.sleep(0.05)  # disks count in steps
    write(final(studies, "a"), '{"number": 1}')
    store = opened(studies)
    assert final(studies, "a").read_text() == '{"number": 1}'
    assert kept(store, "a") == {1: {"number": 1}, 2: {"number": 2}, 3: {"number": 1}}
    assert store.get_label_info("a", "final")["user"] == "ada"
    time.sleep(0.05)
    write(final(studies, "a"), '{"number": 2}', age_s=DAY_S)  # a copy that keeps the time
    assert kept(opened(studies), "a")[4] == {"number": 2}
    assert json.loads(final(studies, "a").read_text()) == {"number": 2}


def test_a_file_that_a_power_cut_brought_back_does_not_count(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    for number in (1, 2):
        store.save_label("a", label(number), "final", {})
    write(final(studies, "a"), '{"number": 1}', age_s=DAY_S)
    monkeypatch.setattr(label_sync, "_arrival_ns", lambda path, found: found.mtime_ns)  # it was there before
    opened(studies)
    assert json.loads(final(studies, "a").read_text()) == {"number": 2}
    assert len(kept(store, "a")) == 2


def test_links_among_the_versions_lead_nowhere(studies: Path, opened: Open, label: Label) -> None:
    beyond = studies.parent / "beyond"
    beyond.mkdir()
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    (studies / ".vertebra_landmarks" / "versions" / "extra").symlink_to(beyond)
    (studies / "labels" / "extra").mkdir()
    (studies / "labels" / "extra" / "a.mrk.json").write_text('{"secret": 1}')
    shard = versions(studies, "a")[0].parent
    shard.rename(beyond / "shard")
    shard.symlink_to(beyond / "shard")
    store = opened(studies)
    with pytest.raises(ValueError, match="lie outside the studies folder"):
        store.label_version("a", "final", 1)
    with pytest.raises(ValueError, match="lie outside the studies folder"):
        store.save_label("a", label(2), "final", {})
    assert [path.name for path in beyond.rglob("*") if path.is_file()] == ["a.1.mrk.json"]


def test_tags_that_are_one_folder_on_some_disks_are_refused(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "größe", {})
    for tag in ("FINAL", "Original", "GRÖSSE", "gro\N{LATIN SMALL LETTER SHARP S}e".replace("o", "ö", 1).upper()):
        with pytest.raises(ValueError, match="is the folder of"):
            store.save_label("a", label(1), tag, {})
    store.save_label("b", label(1), "größe", {})


def test_a_disk_that_ignores_case_loses_no_label(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    for place in (studies / "labels", studies / ".vertebra_landmarks" / "versions"):
        (place / "FINAL").symlink_to("final")  # as if the disk ignored it
    for attempt in (
        lambda: store.save_label("a", label(2), "FINAL", {}),
        lambda: store.remove_label("a", "FINAL"),
    ):
        with pytest.raises(ValueError, match="is the folder of 'final'"):
            attempt()
    store.refresh()
    assert kept(store, "a") == {1: {"number": 1}}
    assert json.loads(final(studies, "a").read_text()) == {"number": 1}


def test_of_a_save_that_is_still_committed_and_one_after_it_the_later_counts(
    studies: Path, opened: Open, label: Label
) -> None:
    """The first writer was killed when the database had its commit already, and holds no lock any more."""
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    place = store._folder.version("a", "final", 2)
    place.write_text(json.dumps({"number": 2}))
    with ThreadPoolExecutor(1) as pool:
        with store._database.writing() as connection:
            first = connection.execute(select(labels).order_by(labels.c.key.desc()).limit(1)).one()._asdict()
            connection.execute(labels.update().where(labels.c.key == first.pop("key")).values(is_current=False))
            changed = {"version": 2, "digest": digest_of(place.read_bytes()), "is_placed": False}
            connection.execute(labels.insert().values({**first, **changed}))
            later = pool.submit(store.save_label, "a", label(3), "final", {})
            time.sleep(1.0)
            assert not later.done()
        assert later.result(30) == "a"
    assert [version["version"] for version in store.label_versions("a", "final") if version["is_current"]] == [3]
    assert kept(store, "a") == {number: {"number": number} for number in (1, 2, 3)}
    assert json.loads(Path(store.get_label_uri("a", "final")).read_text()) == {"number": 3}


@pytest.mark.parametrize(("patience_s", "is_written"), [(60.0, True), (0.0, False)])
def test_replacing_a_file_that_is_open_is_retried_on_windows(
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
        write_atomically(tmp_path / "a", b"{}")
    else:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "a", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] * is_written


def test_quarantine_names_are_unique_and_hidden(tmp_path: Path) -> None:
    names = {quarantine_path(tmp_path / f"{'ä' * 90}.mrk.json").name for _ in range(10)}
    assert len(names) == 10
    assert all(name.startswith(".") and len(name.encode()) < 255 for name in names)
