"""Images of a PACS in the store: listed, watched, fetched, and kept while the PACS is away."""

from __future__ import annotations

import datetime
import errno
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.server.overview.patients import siblings
from lib.server.pacs import client as client_module
from lib.server.pacs import image_cache
from lib.server.pacs import watcher as watcher_module
from lib.server.pacs.change_feed import ChangeFeed
from lib.server.pacs.client import PacsClient, PacsError
from lib.server.pacs.image_filter import ImageFilter
from lib.server.pacs.listing import MAX_PROBES, Listing
from lib.server.store.datastore import ImagesFixedError, StudiesDatastore
from lib.server.store.store_context import ImageUnavailableError

from .conftest import Pacs, Site, label, radiograph
from .strict_pacs import StrictPacs, as_file

Open = Callable[..., Site]


def mixed() -> list:
    """Instances of several kinds, of which the first two are frontal radiographs of the spine."""
    return [
        radiograph(0),
        radiograph(1, Modality="CR", ViewPosition="PA"),
        radiograph(2, Modality="CT"),
        radiograph(3, ViewPosition="LL"),
        radiograph(4, BodyPartExamined="CHEST", StudyDescription="Thorax", SeriesDescription="Thorax"),
        radiograph(5, ViewPosition=None, SeriesDescription="Spine lateral"),
        radiograph(6, Modality="MR"),
    ]


def test_only_frontal_radiographs_of_the_spine_are_listed(pacs: Pacs, open_site: Open) -> None:
    instances = mixed()
    pacs.store(*instances)
    site = open_site()
    assert site.store.list_images() == []
    status = site.round()
    assert (status["state"], status["images"]) == ("watching", 2)
    frontal = [site.source.catalogue.id_of(str(one.SOPInstanceUID)) for one in instances[:2]]
    assert site.store.list_images() == sorted(frontal)
    assert status["left_out"] == {
        "another view": 1,
        "neither body part nor description match": 1,
        "a description that is left out": 1,
    }
    assert status["host"] in pacs.proxy.url


def test_an_image_is_fetched_when_its_path_is_asked_for(pacs: Pacs, open_site: Open) -> None:
    stored = radiograph(0)
    pacs.store(stored)
    site = open_site()
    site.round()
    (image,) = site.store.list_images()
    state = site.store.file_state(image)
    path = Path(site.store.get_image_uri(image))
    assert path.read_bytes() == as_file(stored)
    assert path.name == f"{image}.dcm"
    assert site.store.get_image_info(image)["path"] == str(path)
    path.unlink()  # evicted
    assert site.store.has_image(image)
    assert Path(site.store.get_image_uri(image)).read_bytes() == as_file(stored)
    assert site.store.file_state(image) == state != (0, 0)


def test_ids_say_nothing_and_stay(pacs: Pacs, open_site: Open) -> None:
    stored = radiograph(0)
    pacs.store(stored)
    first = open_site()
    first.round()
    images = first.store.list_images()
    assert str(stored.SOPInstanceUID) not in images[0]
    again = open_site()
    assert again.store.list_images() == images  # without asking the PACS
    again.round()
    assert again.store.list_images() == images


def test_images_of_one_patient_are_known_without_fetching_them(pacs: Pacs, open_site: Open) -> None:
    same = {"PatientID": "P1", "StudyDate": "20240305"}
    pacs.store(radiograph(0, **same), radiograph(1, **same), radiograph(2), radiograph(3, PatientID="anonymous"))
    site = open_site()
    site.watcher.compare()
    found = [siblings(site.store, image, timeout_s=0.0) for image in site.store.list_images()]
    assert sorted(len(one.rows) for one in found) == [1, 1, 2, 2]
    assert {row.taken_on for one in found if len(one.rows) == 2 for row in one.rows} == {"2024-03-05"}
    assert {one.unread for one in found} == {0}
    assert site.source.cache.size() == (0, 0)


def test_labels_lie_in_the_working_folder_with_their_versions(pacs: Pacs, open_site: Open, tmp_path: Path) -> None:
    pacs.store(radiograph(0), radiograph(1))
    site = open_site()
    site.round()
    image = site.store.pick_first()
    assert image is not None
    site.store.save_label(image, label(tmp_path), "final", {"user": "ann"})
    assert (tmp_path / "work" / "labels" / "final" / f"{image}.mrk.json").exists()
    assert site.store.get_labeled_images() == [image]
    assert len(site.store.label_versions(image, "final")) == 1
    assert site.store.pick_first() != image
    archive = site.store.get_dataset_archive(None)
    assert Path(archive).stat().st_size > 1000
    again = open_site()
    assert again.store.get_labeled_images() == [image]


def test_a_lost_database_comes_back_from_the_pacs_and_the_files_of_the_labels(
    pacs: Pacs, open_site: Open, tmp_path: Path
) -> None:
    pacs.store(radiograph(0), radiograph(1))
    site = open_site()
    site.round()
    images = site.store.list_images()
    for _ in range(2):
        site.store.save_label(images[0], label(tmp_path), "final", {})
    site.store.close()
    for path in (tmp_path / "work" / ".vertebra_landmarks").glob("store.sqlite3*"):
        path.unlink()
    again = open_site()
    assert again.store.list_images() == []
    again.round()
    assert again.store.list_images() == images
    assert again.store.get_labeled_images() == images[:1]
    assert [one["version"] for one in again.store.label_versions(images[0], "final")] == [1, 2]


def test_who_waits_for_a_slow_pacs_holds_up_nobody(pacs: Pacs, open_site: Open) -> None:
    pacs.store(*(radiograph(number) for number in range(2)))
    site = open_site()
    site.watcher.compare()
    cached, other = site.store.list_images()
    site.store.get_image_uri(cached)
    pacs.proxy.gate.clear()
    waiting = threading.Thread(target=site.store.get_image_uri, args=(other,))
    waiting.start()
    for _ in range(5):
        assert site.store.get_image_uri(cached)
        assert site.store.list_images() == [cached, other]
    assert waiting.is_alive()
    pacs.proxy.gate.set()
    waiting.join()
    assert site.source.cache.find(f"{other}.dcm") is not None


def test_new_and_vanished_instances_are_noticed(
    pacs: Pacs, open_site: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "RECENT_INTERVAL_S", 0.0)
    today = f"{datetime.date.today():%Y%m%d}"
    kept, removed = radiograph(0), radiograph(1)
    pacs.store(kept, removed)
    site = open_site()
    site.round()
    gone = site.source.catalogue.id_of(str(removed.SOPInstanceUID))
    site.store.save_label(gone, label(tmp_path), "final", {})
    site.store.get_image_uri(gone)
    pacs.store(radiograph(2, StudyDate=today), radiograph(3, StudyDate=today, ViewPosition="LL"))
    listings = pacs.proxy.paths.count(f"{pacs.proxy.url.rpartition('/')[2]}/instances")
    site.round()
    assert len(site.store.list_images()) == 3
    assert listings == pacs.proxy.paths.count(f"{pacs.proxy.url.rpartition('/')[2]}/instances")
    pacs.remove(removed)
    monkeypatch.setattr(site.watcher, "_compare_at", 0.0)
    site.round()
    assert len(site.store.list_images()) == 2
    assert not site.store.has_image(gone)
    assert not site.source.cache.path(f"{gone}.dcm").exists()
    pacs.store(removed)  # its label wakes up with it
    monkeypatch.setattr(site.watcher, "_compare_at", 0.0)
    site.round()
    assert site.store.get_labeled_images() == [gone]


def test_an_orthanc_is_asked_for_its_changes_and_others_by_date(pacs: Pacs, open_site: Open) -> None:
    site = open_site()
    site.round()
    is_orthanc = not isinstance(pacs.server, StrictPacs)
    assert (ChangeFeed(site.source.client, pacs.proxy.url).newest() is not None) == is_orthanc
    before = len(pacs.proxy.paths)
    pacs.store(radiograph(0, StudyDate=f"{datetime.date.today():%Y%m%d}"))
    site.watcher._recent_at = 0.0
    site.round()
    assert len(site.store.list_images()) == 1
    asked = pacs.proxy.paths[before:]
    assert any("/changes" in path for path in asked) == is_orthanc
    assert any(path.endswith("/instances") for path in asked) != is_orthanc


def test_a_flood_of_changes_is_listed(pacs: Pacs, open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "MAX_SINGLE", 2)
    monkeypatch.setattr(watcher_module, "RECENT_INTERVAL_S", 0.0)
    site = open_site()
    site.round()
    today = f"{datetime.date.today():%Y%m%d}"
    pacs.store(*(radiograph(number, StudyDate=today) for number in range(5)))
    site.round()
    site.round()
    assert len(site.store.list_images()) == 5


@pytest.mark.parametrize("fault", ["down", "401", "500", "slow"])
def test_a_pacs_that_fails_is_told_what_is_cached_works_and_it_recovers(
    pacs: Pacs, open_site: Open, monkeypatch: pytest.MonkeyPatch, no_waiting: None, fault: str
) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(watcher_module, "PREFETCHED", 0)
    pacs.store(*(radiograph(number) for number in range(3)))
    site = open_site()
    site.round()
    cached, *others = site.store.list_images()
    site.store.get_image_uri(cached)
    for other in others:
        assert site.source.cache.find(f"{other}.dcm") is None
    if fault == "down":
        pacs.proxy.stop()
    elif fault == "slow":
        pacs.proxy.delay_s = 2.0
    else:
        pacs.proxy.status = int(fault)
    status = site.round()
    if status["state"] == "watching":  # this round had nothing to ask
        site.watcher._recent_at = 0.0
        status = site.round()
    assert status["state"] == "unavailable"
    assert status["message"].startswith("the PACS at 127.0.0.1:")
    assert len(site.store.list_images()) == 3
    assert Path(site.store.get_image_uri(cached)).exists()
    with pytest.raises(ImageUnavailableError, match="the PACS at"):
        site.store.get_image_uri(others[0])
    assert {site.store.pick_random() for _ in range(5)} == {cached}
    pacs.proxy.delay_s, pacs.proxy.status = 0.0, 0
    if fault == "down":
        pacs.proxy.start()
    site.watcher._recent_at = 0.0
    assert site.round()["state"] == "watching"
    assert Path(site.store.get_image_uri(others[0])).exists()


def test_without_a_cached_image_the_reason_is_told(pacs: Pacs, open_site: Open, no_waiting: None) -> None:
    pacs.store(radiograph(0))
    site = open_site()
    site.source._prefetcher.stop()
    site.round()
    pacs.proxy.status = 500
    with pytest.raises(PacsError, match="failed"):
        site.source.client.ping()
    with pytest.raises(ImageUnavailableError, match=r"failed \(500\)"):
        site.store.pick_random()


def test_a_pacs_that_is_down_at_the_start_does_not_hinder_it(pacs: Pacs, open_site: Open, no_waiting: None) -> None:
    pacs.store(radiograph(0))
    pacs.proxy.stop()
    site = open_site()
    status = site.round()
    assert (status["state"], site.store.list_images()) == ("unavailable", [])
    pacs.proxy.start()
    assert site.round()["state"] == "watching"
    assert len(site.store.list_images()) == 1


def test_a_listing_that_breaks_off_marks_nothing_as_vanished(
    pacs: Pacs, open_site: Open, monkeypatch: pytest.MonkeyPatch, no_waiting: None
) -> None:
    monkeypatch.setattr("lib.server.pacs.client.PAGE", 3)
    pacs.store(*(radiograph(number) for number in range(10)))
    site = open_site()
    site.round()
    original, calls = PacsClient.speaking, []

    def failing(client: PacsClient, is_about_one: bool = False):
        calls.append(1)
        if len(calls) == 4:
            pacs.proxy.status = 500
        return original(client, is_about_one)

    monkeypatch.setattr(PacsClient, "speaking", failing)
    site.watcher._compare_at = 0.0
    assert site.round()["state"] == "unavailable"
    assert len(site.store.list_images()) == 10


def test_an_image_found_missing_when_it_is_asked_for_is_gone(pacs: Pacs, open_site: Open) -> None:
    stored = radiograph(0)
    pacs.store(stored)
    site = open_site()
    site.source._prefetcher.stop()
    site.round()
    (image,) = site.store.list_images()
    pacs.remove(stored)
    assert site.store.get_image_uri(image) == ""
    assert site.store.list_images() == []
    assert site.store.pick_random() is None
    pacs.store(stored)
    site.watcher.compare()
    assert site.store.list_images() == [image]


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
def test_an_image_found_missing_when_it_is_prefetched_is_gone(pacs: Pacs, open_site: Open) -> None:
    stored = radiograph(0)
    pacs.store(stored)
    site = open_site()
    site.watcher.compare()
    pacs.remove(stored)
    site.store.prefetch(site.store.list_images)
    _wait(lambda: site.store.list_images() == [])


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
def test_an_image_that_only_the_store_still_has_is_noticed(pacs: Pacs, open_site: Open) -> None:
    """Such as one whose loss was noted before the server was killed."""
    stored = [radiograph(number) for number in range(2)]
    pacs.store(*stored)
    site = open_site()
    site.watcher.compare()
    gone, kept = (site.source.catalogue.id_of(str(one.SOPInstanceUID)) for one in stored)
    pacs.remove(stored[0])
    site.source.catalogue.note_gone([f"{gone}.dcm"])
    assert site.store.list_images() == sorted([gone, kept])
    site.watcher.compare()
    assert site.store.list_images() == [kept]


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
def test_on_a_full_disk_what_is_cached_is_annotated_and_the_reason_is_told(
    pacs: Pacs, open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs.store(*(radiograph(number) for number in range(3)))
    site = open_site()
    monkeypatch.setattr(watcher_module, "PREFETCHED", 0)
    site.round()
    cached, *others = site.store.list_images()
    site.store.get_image_uri(cached)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(image_cache, "_write", full)
        patched.setattr(image_cache, "_SPARE_BYTES", 10**18)
        with pytest.raises(ImageUnavailableError, match="the disk of the working folder is full"):
            site.store.get_image_uri(others[0])
        assert (site.watcher.status()["state"], site.watcher.status()["message"]) == (
            "unavailable",
            image_cache.DISK_FULL,
        )
        assert {site.store.pick_random() for _ in range(5)} == {cached}
        assert Path(site.store.get_image_uri(cached)).exists()
    assert Path(site.store.get_image_uri(others[0])).exists()
    assert site.round()["message"] is None


def test_the_next_images_are_prefetched(pacs: Pacs, open_site: Open) -> None:
    pacs.store(*(radiograph(number) for number in range(12)))
    site, told = open_site(), []
    site.store.on_prefetched = told.append
    site.round()
    _wait(lambda: len(told) >= 4)
    assert set(told) <= {name.removesuffix(".dcm") for name in site.source.cache.names()}
    for _ in range(3):
        _wait(lambda: site.source.cache.size()[0] >= 4)
        before = set(site.source.cache.names())
        image = site.store.pick_random()
        assert f"{image}.dcm" in before
        _wait(lambda before=before: set(site.source.cache.names()) - before)


def _wait(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "nothing was fetched"
        time.sleep(0.02)


def test_images_can_be_neither_added_nor_removed(pacs: Pacs, open_site: Open, tmp_path: Path) -> None:
    pacs.store(radiograph(0))
    site = open_site()
    site.round()
    file = tmp_path / "x.png"
    file.write_bytes(b"x")
    with pytest.raises(ImagesFixedError, match="the images are those of the PACS at"):
        site.store.add_image("x", str(file), {})
    with pytest.raises(ImagesFixedError, match="remove them there"):
        site.store.remove_image(site.store.list_images()[0])
    assert file.exists()


def test_a_working_folder_is_no_studies_folder(pacs: Pacs, open_site: Open, tmp_path: Path) -> None:
    pacs.store(radiograph(0))
    open_site().round()
    with pytest.raises(ValueError, match="name the address of its DICOMweb service"):
        StudiesDatastore(str(tmp_path / "work"))


def test_a_filter_that_a_site_changes_takes_images_away_and_brings_them_back(pacs: Pacs, open_site: Open) -> None:
    pacs.store(radiograph(0), radiograph(1, ViewPosition="PA"))
    for views, count in ((("AP", "PA"), 2), (("AP",), 1), (("AP", "PA"), 2)):
        site = open_site(image_filter=ImageFilter(view=views))
        site.round()
        assert len(site.store.list_images()) == count


def test_attributes_left_out_of_search_results_are_fetched(strict: StrictPacs, tmp_path: Path) -> None:
    strict.ignores_fields = True
    for dataset in mixed():
        strict.store(as_file(dataset))
    client = PacsClient(Pacs(strict, strict).settings(tmp_path))  # type: ignore[arg-type]
    judged = [one for page in Listing(client, ImageFilter()).pages() for one in page]
    assert sorted(one.reason or "" for one in judged) == sorted(
        ["", "", "another view", "neither body part nor description match", "a description that is left out"]
    )


def test_attributes_that_no_instance_has_are_not_asked_for_forever(strict: StrictPacs, tmp_path: Path) -> None:
    strict.ignores_fields = True
    for number in range(2 * MAX_PROBES):
        strict.store(as_file(radiograph(number, ViewPosition=None)))
    client = PacsClient(Pacs(strict, strict).settings(tmp_path))  # type: ignore[arg-type]
    rules = ImageFilter(body_part=(), description=(), not_description=())
    judged = [one for page in Listing(client, rules).pages() for one in page]
    assert len(judged) == 2 * MAX_PROBES
    assert sum(path.endswith("/metadata") for path in strict.asked) == MAX_PROBES


def test_dates_of_the_filter_are_asked_for(pacs: Pacs, tmp_path: Path) -> None:
    pacs.store(*(radiograph(day, StudyDate=f"202601{day:02d}") for day in range(10, 20)))
    client = PacsClient(pacs.settings(tmp_path))
    rules = ImageFilter(from_date=datetime.date(2026, 1, 12), to_date=datetime.date(2026, 1, 14))
    judged = [one for page in Listing(client, rules).pages() for one in page]
    assert sorted(one.instance.study_date for one in judged) == ["20260112", "20260113", "20260114"]
    assert json.dumps([one.reason for one in judged]) == "[null, null, null]"


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
def test_an_image_that_was_left_out_of_a_list_stays(pacs: Pacs, open_site: Open) -> None:
    """Such as one that slipped to another page while others were removed."""
    stored = [radiograph(number) for number in range(3)]
    pacs.store(*stored)
    site = open_site()
    assert site.round()["images"] == 3
    assert isinstance(pacs.server, StrictPacs)
    pacs.server.hides = str(stored[0].SOPInstanceUID)
    pacs.remove(stored[1])
    site.watcher._compare_at = -float("inf")
    assert site.round()["images"] == 2
    kept = {site.source.catalogue.id_of(str(stored[number].SOPInstanceUID)) for number in (0, 2)}
    listed = {entry.name.removesuffix(".dcm") for entry in site.source.images()}
    assert listed == kept
    assert set(site.store.list_images()) == kept
