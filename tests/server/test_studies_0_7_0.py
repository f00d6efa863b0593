"""What release 0.7.0 has written opens with the present code, and that release still opens it afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
from VertebraLandmarksLib.spine.labels.markups import from_markups
from VertebraLandmarksLib.workflow.drafts import SUBMITTING, Drafts

from lib.learning.config import DEFAULT_WEIGHTS_FILE, config_from_dict, load_config, model_config_from_dict
from lib.learning.validation import checked
from lib.learning.weights.weight_files import build_corner_net, build_network, load_weights
from lib.server.active_learning.assignments import Assignments
from lib.server.active_learning.descriptor_store import DescriptorStore
from lib.server.active_learning.scored_versions import ScoredVersions
from lib.server.annotation.readings.study import Study, excluded_from_training
from lib.server.models import ModelStore
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.folder_adoption import ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE
from lib.server.training.run_files import read_plan
from lib.server.training.train_request import TrainRequest
from lib.server.training.train_task import RUN
from lib.server.web.session_store import SessionStore
from lib.server.web.uploads import Uploads
from lib.server.worker_registry import WorkerRegistry
from lib.study.plan import checked_plan
from lib.study.visibility import viewer_of

ARCHIVE = Path(__file__).parents[1] / "data" / "studies_0_7_0" / "folder.tar.xz"
SCORED = "0b87ea2f14719104"
"""Digest of the weights that 0.7.0 served."""
SESSION = "82049ec8-4361-452d-9dbc-abd1b6c294e3"
DIGESTS = [
    "6836e04c3aa97cb5e1b59685fb7e5e629445567e4f3199726bb0cb5625ab2d6e",
    "dcbc62664018e0c8dc4720ba425598ac3ac3a744fb940503080c0f7b124c1703",
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder as it was left."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def own(old: Path) -> Path:
    """What the app keeps for itself in the studies folder."""
    return old / "studies" / ".vertebra_landmarks"


@pytest.fixture
def store(old: Path) -> Iterator[StudiesDatastore]:
    opened = StudiesDatastore(str(old / "studies"))
    yield opened
    opened.close()


def test_images_labels_and_versions_are_as_they_were(store: StudiesDatastore) -> None:
    assert store.list_images() == ["phantom_1", "phantom_2", "phantom_3", "phantom_4"]
    status = store.status()
    assert (status["total"], status["completed"], status["not_served"]) == (4, 2, [])
    assert store.get_labels_by_image_id("phantom_1") == {"final": "phantom_1", "second": "phantom_1"}
    versions = store.label_versions("phantom_1", "final")
    assert [(one["version"], one["digest"], one["is_current"]) for one in versions] == [
        (1, DIGESTS[0], False),
        (2, DIGESTS[1], True),
    ]
    facts = versions[1]["info"]
    assert (facts["user"], facts["edits"], facts["seconds"]) == ("reader-1", 2, 61)
    assert store.get_image_info("phantom_3")["note"] == "shoulders are high"
    assert store.restore_label("phantom_1", "final", 1, {}) == 3
    assert store.label_versions("phantom_1", "final")[2]["digest"] == DIGESTS[0]


def test_scores_are_as_they_were(store: StudiesDatastore, own: Path) -> None:
    scores = {row["strategy"]: row["value"] for row in store.score_queries.scores_of("phantom_3")}
    assert scores["uncertainty"] == pytest.approx(0.4654749485, abs=1e-9)
    assert set(scores) == {"anatomy", "diverse", "informative", "uncertainty"}
    assert ScoredVersions(store.context).complete() == [SCORED]
    assert len(DescriptorStore(own / "opinions", SCORED)) == 4


def test_what_was_given_just_before_is_passed_over(
    store: StudiesDatastore, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = json.loads((own / ASSIGNMENTS_FILE).read_text())
    assert set(noted) == {"phantom_3", "phantom_4"}
    monkeypatch.setattr(store.context.database, "now", lambda: max(noted.values()) + 60)
    passed_over: list[object] = []

    def pick(images: object) -> str:
        passed_over.append(images)
        return "phantom_1"

    Assignments(store.context).assign(pick)
    assert passed_over == [["phantom_4", "phantom_3"]]


def test_sessions_of_a_server_that_lives_are_taken_over(store: StudiesDatastore, old: Path) -> None:
    folder = old / "studies" / ".uploads"
    os.utime(folder / "sessions" / SESSION / "session.json")  # it was just used
    uploads = Uploads(WorkerRegistry(old / "own", old / "gate").folder)
    for _ in range(2):
        sessions = SessionStore(store.context, folder / "sessions", uploads, 10**6, 3600)
        session = sessions.get(SESSION, touch=True)
        assert session.path.read_bytes() == (old / "studies" / "phantom_4.png").read_bytes()
        assert (session.bytes, session.expiry) == (19189, 3600)
    sessions.remove(SESSION)
    assert not (folder / "sessions" / SESSION).exists()


def test_sessions_that_nobody_has_used_for_long_are_not(store: StudiesDatastore, old: Path) -> None:
    folder = old / "studies" / ".uploads" / "sessions"
    os.utime(folder / SESSION / "session.json", (10**9, 10**9))
    sessions = SessionStore(store.context, folder, Uploads(old), 10**6, 3600)
    assert sessions.remove_expired() == 0
    assert not (folder / SESSION).exists()


def test_the_version_of_the_model_is_served_and_its_weights_are_read(old: Path) -> None:
    models = ModelStore(old / "studies", DEFAULT_WEIGHTS_FILE)
    assert models.served_number == 1
    version = models.version(1)
    assert version.name.startswith("1 (2026-")
    assert version.facts["settings"]["max_epochs"] == 2
    weights = load_weights(models.served)
    assert build_network(weights, models.served) is not None
    assert weights.refiner is not None
    assert build_corner_net(weights.refiner, models.served) is not None
    stored = json.loads((old / "config.json").read_text())
    assert model_config_from_dict(stored, "config.json") == weights.config


def test_a_training_that_was_interrupted_has_its_settings(own: Path) -> None:
    plan = read_plan(own / RUN)
    assert plan is not None
    request = checked(TrainRequest, plan.settings)
    later = {"processes": 0}  # settings that came after that release, as they are by default
    assert asdict(request) == {**plan.settings, **later}
    assert (request.max_epochs, request.val_split, plan.new) == (3, 0, ("phantom_1",))


def test_a_stored_configuration_reads_and_writes_the_same_values(old: Path) -> None:
    """A run goes on only where its configuration is the one that its checkpoint holds."""
    stored = json.loads((old / "config.json").read_text())
    now = json.loads(json.dumps(load_config().to_dict()))
    gone = {(name, key) for name, values in stored.items() for key in values if key not in now[name]}
    assert gone == {("prediction", "refinement_tilt_prior")}  # no part of a checkpoint
    known = {name: {**now[name], **values} for name, values in stored.items()}
    del known["prediction"]["refinement_tilt_prior"]
    assert json.loads(json.dumps(config_from_dict(known, "config.json").to_dict())) == known
    assert [list(known), list(known["training"])] == [list(now), list(now["training"])]


def test_drafts_of_the_slicer_module_are_listed(old: Path) -> None:
    newer, older = Drafts(old / "drafts").list()
    assert (older.image_id, older.server, older.user) == ("phantom_2", "http://127.0.0.1:8000", "reader-1")
    assert (older.touched, older.note, older.is_proposal) == (("T7", "T7 TL"), SUBMITTING, False)
    assert (older.seconds, older.edits, older.saved) == (75.5, 4, 1796000000.25)
    assert (newer.image_id, newer.source) == ("local", "images/local.png")
    assert (newer.is_proposal, newer.begun_by) == (True, "reader-1")
    assert from_markups(json.loads(older.markups))


def test_labels_are_first_readings_of_a_study(store: StudiesDatastore, own: Path, old: Path) -> None:
    """No file is touched, and the release of before opens the folder afterwards."""
    files = {path: path.read_bytes() for path in (old / "studies").rglob("*.mrk.json")}
    study = Study(store, read_image=lambda _: pytest.fail("no image is needed"), has_login=True)
    plan = {"readers": ["reader-1", "ben"], "adjudicators": ["cleo"], "second_reading": {"share": 1.0}}
    study.change_plan(checked_plan(plan))
    only = study.slots.of("phantom_1").readings
    assert [(one.number, one.reader, one.tag, one.version, one.is_blind) for one in only] == [
        (1, "reader-1", "final", 2, False)
    ]
    assert study.gate("ben").tag("phantom_1", "final") is None
    assert study.gate("reader-1").tag("phantom_1", "final") == "final"
    assert excluded_from_training(store, ["phantom_1"]) == {"phantom_1"}
    plan_now = study.plan()
    assert plan_now is not None
    found = study.queue.next(plan_now, "ben", lambda: None)
    assert found is not None
    assert (found[0], found[1].number, found[1].kind) == ("phantom_1", 2, "second")
    study.slots.submit(plan_now, viewer_of(plan_now, "ben", True), "phantom_1", b"{}", {"user": "ben"})
    store.close()
    assert {path: path.read_bytes() for path in files} == files
    with closing(sqlite3.connect(own / "store.sqlite3")) as connection:
        assert connection.execute("SELECT version FROM vl_schema_version").fetchall() == [(1,)]


def test_the_release_of_before_still_opens_the_folder(store: StudiesDatastore, own: Path, old: Path) -> None:
    """It refuses tables of a version above 1, and reads what it has noted in files."""
    files = {name: (own / name).read_bytes() for name in (ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE)}
    ScoredVersions(store.context).add("another")
    Assignments(store.context).assign(lambda _: "phantom_1")
    store.close()
    with closing(sqlite3.connect(own / "store.sqlite3")) as connection:
        assert connection.execute("SELECT version FROM vl_schema_version").fetchall() == [(1,)]
    assert {name: (own / name).read_bytes() for name in files} == files
