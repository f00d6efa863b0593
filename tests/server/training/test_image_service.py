"""Images that one process of a training fetches for the others, such as from a PACS, whenever they read them."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data import IMAGE
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.data.transforms import FetchedImage, file_of
from lib.learning.weights.weight_files import load_weights
from lib.server.store.store_context import SourceUnavailableError
from lib.server.training import shared_stage
from lib.server.training.image_service import handed_over, image_service
from lib.server.training.train_request import TrainRequest
from lib.server.training.training_stages import LandmarkStage

AWAY = "the PACS at pacs.example cannot be reached"


def in_a_cache(folder: Path, number: int, fetched: list[int]) -> dict[str, Any]:
    """An item whose image leaves the cache as soon as it has been read."""
    path = folder / f"{number}.dcm"

    def fetch() -> Path:
        if number == 2:
            raise SourceUnavailableError(AWAY)
        fetched.append(number)
        path.write_bytes(bytes([number]))
        return path

    return {IMAGE: FetchedImage(path, fetch), "label": np.zeros((17, 5, 3))}


def test_another_process_has_images_fetched_whenever_it_reads_them(tmp_path: Path) -> None:
    fetched: list[int] = []
    items = [in_a_cache(tmp_path, number, fetched) for number in range(3)]
    items.append({IMAGE: "plain.png"})
    with image_service(items) as service:
        taken = pickle.loads(pickle.dumps(handed_over(items, service)))
        assert (fetched, taken[-1]) == ([], {IMAGE: "plain.png"})
        for one in taken[:2] * 2:
            path = file_of(one[IMAGE])
            assert path.read_bytes() == bytes([int(path.stem)])
            path.unlink()
        assert fetched == [0, 1] * 2
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: file_of(one[IMAGE]), taken[:2] * 16))
        assert len(fetched) == 36
        with pytest.raises(ConnectionError, match=f"^{AWAY}$"):
            file_of(taken[2][IMAGE])
        with pytest.raises((AuthenticationError, EOFError, OSError)):
            Client(service.address, authkey=b"another")
        assert file_of(taken[0][IMAGE]).exists()  # it still answers
    with pytest.raises(ConnectionError, match="has ended"):
        file_of(taken[0][IMAGE])


def test_the_work_of_another_process_says_how_to_fetch_its_images(tmp_path: Path) -> None:
    fetched: list[int] = []
    items = [in_a_cache(tmp_path, number, fetched) for number in range(2)]
    stage = LandmarkStage(load_weights(DEFAULT_WEIGHTS_FILE), items, Rehearsal(items, 0.5), items)
    with image_service(items) as service:
        shared_stage._write_work(tmp_path, stage, TrainRequest(), tmp_path, 0, 2, service)
        work = pickle.loads((tmp_path / shared_stage._WORK).read_bytes())
        assert fetched == []
        for items_ in (work["items"], work["held_out"], work["rehearsal"]["items"]):
            assert [file_of(one[IMAGE]).name for one in items_] == ["0.dcm", "1.dcm"]
