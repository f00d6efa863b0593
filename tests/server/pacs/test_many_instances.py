"""A server on an Orthanc with instances of many kinds: how soon images are offered, and that no others are.

The environment variable ``PACS_INSTANCES`` sets their number, 40 by default; ``-rP`` shows the figures.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.local_orthanc import LocalOrthanc

from .conftest import radiograph
from .strict_pacs import as_file

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

COUNT = int(os.environ.get("PACS_INSTANCES", "40"))
MODALITIES = ("DX", "CR", "CT", "MR")
LATERAL = 8
"""Of this many radiographs one is lateral."""
PICKS, TIMEOUT_S = min(30, COUNT // 4), 300


def kinds() -> list[dict[str, Any]]:
    """Modality and view of each instance, equal parts of each modality."""
    return [
        {"Modality": MODALITIES[number % 4], "ViewPosition": "LL" if number // 4 % LATERAL == 0 else "AP"}
        for number in range(COUNT)
    ]


def info(server: Server) -> Any:
    status, answer = server.ask("/info/")
    assert status == 200, answer
    return json.loads(answer)


def waited(server: Server, total: int, began: float) -> float:
    """Seconds until so many images are offered."""
    while info(server)["datastore"]["total"] < total:
        assert time.monotonic() - began < TIMEOUT_S
        time.sleep(0.05)
    return time.monotonic() - began


def picked(server: Server, strategy: str) -> tuple[set[str], list[float]]:
    """Images that a reader who looks at each for a moment gets, and milliseconds until each was there."""
    images, took = set(), []
    for _ in range(PICKS):
        began = time.monotonic()
        image = json.loads(server.ask(f"/activelearning/{strategy}", "POST", b"")[1])["id"]
        status, answer = server.ask(f"/datastore/image?image={image}")
        took.append(1000 * (time.monotonic() - began))
        assert status == 200, answer
        images.add(image)
        time.sleep(0.3)
    return images, took


def test_only_frontal_radiographs_of_many_instances_are_offered(
    orthanc: LocalOrthanc, start: Start, tmp_path: Path
) -> None:
    frontal = 0
    for number, kind in enumerate(kinds()):
        orthanc.store(as_file(radiograph(number, **kind)))
        frontal += kind["Modality"] in ("DX", "CR") and kind["ViewPosition"] == "AP"
    env = {"VERTEBRA_DICOMWEB_USER": orthanc.user, "VERTEBRA_DICOMWEB_PASSWORD": orthanc.password}
    conf = ("--conf", "dicomweb_folder", str(tmp_path / "work"))
    with start(orthanc.url, *conf, env=env) as server:
        process, began = psutil.Process(server.process.pid), time.monotonic()
        before = process.memory_info().rss
        first = waited(server, 1, began)
        every = waited(server, frontal, began)
        while info(server)["pacs"]["state"] != "watching":
            time.sleep(0.05)
        for strategy in ("random", "first"):
            images, took = picked(server, strategy)
            print(f"next image by {strategy}: median {statistics.median(took[1:]):.0f} ms, longest {max(took):.0f} ms")
            assert images
        known = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
        assert (len(known), info(server)["pacs"]["images"]) == (frontal, frontal)
        print(f"{COUNT} instances, {frontal} pass; first after {first:.1f} s, all after {every:.1f} s")
        after, load = process.memory_info().rss, os.getloadavg()[0]
        print(f"memory {before / 1e6:.0f} MB, then {after / 1e6:.0f} MB; load {load:.0f}")
