"""The outbox in both databases, with two sites in one of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.server.pacs.pacs_images import open_pacs_store
from lib.server.pacs.reports.report_worker import ReportWorker
from lib.server.pacs.watcher import PacsWatcher
from lib.spine.labels.markups import to_markups

from ....structured_report.subjects import phantom, varied
from ...store.conftest import database, postgresql  # noqa: F401
from ..conftest import Pacs
from ..fault_proxy import fault_proxy
from ..strict_pacs import StrictPacs
from .conftest import examined

pytestmark = pytest.mark.usefixtures("no_delay")


def test_labels_are_sent_and_come_back(
    strict: StrictPacs,
    database: str | None,  # noqa: F811
    tmp_path: Path,
    no_waiting: None,
) -> None:
    with fault_proxy(strict.url) as proxy:
        pacs, header, spine = Pacs(strict, proxy), examined(2), phantom(2)[1]
        pacs.store(header)
        sites = []
        for name in ("first", "second"):
            settings = pacs.settings(tmp_path / name)
            store, source = open_pacs_store(settings, database)
            PacsWatcher(source, store, settings).catch_up()
            sites.append((store, ReportWorker(source, store, settings), source.catalogue.id_of(header.SOPInstanceUID)))
        for number, (store, _, image) in enumerate(sites):
            content = json.dumps(to_markups(varied(spine, number))).encode()
            store.save_label_content(image, "final", content, {"user": f"reader {number}"})
        proxy.store_status = 500
        assert sites[0][1].work_once()
        assert sites[0][1].status()["waiting"] == 2
        proxy.store_status = 413
        assert sites[1][1].work_once()
        assert sites[1][1].status()["refused"] == 2
        assert sites[1][1].outbox.retry_refused() == 2
        proxy.store_status = 0
        for _ in range(2):
            for _, worker, _ in sites:
                worker._delivery._resume_at = 0.0
                worker.outbox.retry_refused()
                worker.hurry()
                assert worker.work_once()
        for store, worker, image in sites:
            users = {one["info"]["user"] for one in store.label_versions(image, "final")}
            assert users == {"reader 0", "reader 1"}
            assert worker.status()["refused"] == 0
            store.close()
