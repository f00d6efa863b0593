"""The inference queue: order, timeout, and results that nobody waits for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from lib.server.inference import inference_queue
from lib.server.inference.inference_queue import InferenceQueue


def test_one_inference_runs_at_a_time_in_the_order_of_the_requests() -> None:
    queue, order, running = InferenceQueue(), [], []
    is_released = threading.Event()

    def task(request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        running.append(1)
        assert len(running) == 1
        is_released.wait(60)
        order.append(request["number"])
        running.pop()
        return "", request

    with ThreadPoolExecutor(4) as clients:
        futures = []
        for number in range(4):
            futures.append(clients.submit(queue.run, task, {"number": number}))
            while queue._worker._work_queue.qsize() + len(running) <= number:
                time.sleep(0.001)
        is_released.set()
        assert [future.result(60)[1]["number"] for future in futures] == order == [0, 1, 2, 3]


def test_a_late_result_gets_503_and_is_deleted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inference_queue, "REQUEST_TIMEOUT_S", 0.05)
    queue, is_released = InferenceQueue(), threading.Event()

    def task(_: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        is_released.wait(60)
        (tmp_path / "late.mrk.json").write_text("{}")
        return str(tmp_path / "late.mrk.json"), {}

    for _ in range(2):  # the second one has not even begun, and never will
        with pytest.raises(HTTPException, match="did not finish in time") as caught:
            queue.run(task, {})
        assert (caught.value.status_code, caught.value.headers) == (503, {"Retry-After": "60"})
    is_released.set()
    assert queue.run_background(lambda: "after") == "after"
    assert list(tmp_path.iterdir()) == []
