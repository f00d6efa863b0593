"""One annotator: asks as the page does, with pauses as a person makes them, and repeats what was not answered."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MODEL = "vertebra_landmarks"
REQUEST_TIMEOUT_S = 150.0
RETRY_INTERVAL_S = 1.0
"""Between two tries, where the answer names no ``Retry-After``: the page asks a lost server every few seconds."""
MAX_TRIES = 60
AGAIN = frozenset({0, 502, 503, 504})
"""Answers that say nothing about the request itself; 0 stands for none."""
LISTED, THUMBNAILS, MEASURED, CORRECTED = 50, 8, 6, 2
"""Per image: rows of the list, thumbnails of it, measurements while points are dragged, and predictions around them."""


class Sample(NamedTuple):
    """One request as its client saw it.

    Attributes:
        kind: what was asked.
        at: when it began, in seconds of the monotonic clock.
        seconds: until the answer was read.
        status: of the answer; 0 where there was none.
        detail: sentence of an error.
        server_ms: the share of the server, where its answer states it.
    """

    kind: str
    at: float
    seconds: float
    status: int
    detail: str
    server_ms: float | None


class Saved(NamedTuple):
    """A label that the server has acknowledged: image, its version, what marks it, and x of its first point."""

    image: str
    version: int
    mark: str
    x: float


@dataclass
class Log:
    """What an annotator has seen.

    Attributes:
        samples: all requests.
        saved: acknowledged labels.
        lent: images that the server has lent, by time.
        given_up: sentences about requests that were never answered.
    """

    samples: list[Sample] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    lent: list[tuple[float, str]] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """What all annotators do.

    Attributes:
        addresses: "host:port" of the balancer, or of the servers, which are then asked in turn.
        strategy: that chooses the next image.
        shared: images that everybody corrects again and again, besides those that are lent.
        points: ``{"T7 TL": (x, y)}`` where a prediction is refused.
        pause_s: mean pause of a person between two requests.
        token: of a login; "" without one.
    """

    addresses: Sequence[str]
    strategy: str
    shared: Sequence[str]
    points: dict[str, tuple[float, float]]
    pause_s: float
    token: str = ""


class Annotator(threading.Thread):
    """Works until it is stopped.

    Args:
        work: what to do.
        number: of this annotator, which also seeds its choices.
        stop: set where the work is to end.
    """

    def __init__(self, work: Work, number: int, stop: threading.Event) -> None:
        super().__init__(name=f"annotator-{number}", daemon=True)
        self.log = Log()
        self._work, self._stop_event, self._random = work, stop, random.Random(number)
        self._user, self._client = f"annotator {number}", str(uuid.UUID(int=self._random.getrandbits(128)))
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self._turn = number

    def run(self) -> None:
        """One image after the other."""
        self._pause()
        while not self._stop_event.is_set():
            if self._random.random() < 0.3:
                self._look_at_list()
            image = self._next()
            if image is not None:
                self._annotate(image)
            if self._random.random() < 0.3:
                self._correct(self._random.choice(self._work.shared))

    def _pause(self) -> None:
        self._stop_event.wait(self._random.expovariate(1 / self._work.pause_s) if self._work.pause_s else 0)

    def _look_at_list(self) -> None:
        query = {"state": self._random.choice(["all", "unlabelled"]), "sort": "name", "limit": LISTED}
        page = self._asked("list", "GET", "/images", query)
        for entry in (page or {}).get("images", [])[:THUMBNAILS]:
            self._asked("thumbnail", "GET", "/images/thumbnail", {"image": entry["id"]})
        self._asked("info", "GET", "/info/")
        self._pause()

    def _next(self) -> str | None:
        answer = self._asked("next", "POST", f"/activelearning/{self._work.strategy}", body={"client_id": self._user})
        if not answer:
            self._pause()
            return None
        self.log.lent.append((time.time(), answer["id"]))
        return str(answer["id"])

    def _annotate(self, image: str) -> None:
        self._asked("pixels", "GET", "/datastore/image/pixels", {"image": image})
        self._present(image, 0)
        base, _ = self._label(image)
        predicted = self._infer(image, {})
        points = {one["name"]: (one["x"], one["y"]) for one in (predicted or {}).get("landmarks", [])}
        points = points or dict(self._work.points)
        for turn in range(MEASURED):
            self._pause()
            self._measure(points)
            if turn < CORRECTED:
                self._infer(image, {"T7": {"center": list(points["T7"])}})
        self._present(image, MEASURED)
        self._save(image, points, base)
        self._asked("presence", "DELETE", "/presence", {"image": image, "client": self._client})
        self._pause()

    def _correct(self, image: str) -> None:
        """Save an image again that others may save at the same time."""
        base, points = self._label(image)
        self._pause()
        self._save(image, points or dict(self._work.points), base)

    def _infer(self, image: str, fixed: dict[str, Any]) -> Any:
        form = urllib.parse.urlencode({"params": json.dumps({"fixed": fixed})}).encode() if fixed else b""
        query = {"image": image, "output": "json"}
        return self._asked("correction" if fixed else "infer", "POST", f"/infer/{MODEL}", query, form=form)

    def _present(self, image: str, edits: int) -> None:
        query = {"image": image, "client": self._client}
        self._asked("presence", "PUT", "/presence", query, {"user": self._user, "edits": edits})

    def _label(self, image: str) -> tuple[int, dict[str, tuple[float, float]]]:
        label = self._asked("label", "GET", "/landmarks", {"image": image, "tag": "final"})
        if not label:
            return 0, {}
        return label["version"], {one["name"]: (one["x"], one["y"]) for one in label["landmarks"]}

    def _measure(self, points: dict[str, tuple[float, float]]) -> None:
        by_vertebra: dict[str, dict[str, tuple[float, float]]] = {}
        for name, xy in points.items():
            vertebra, _, point = name.partition(" ")
            by_vertebra.setdefault(vertebra, {})[point or "center"] = xy
        self._asked("measure", "POST", "/measure", body={"points": by_vertebra, "image": {"width": 440, "height": 960}})

    def _save(self, image: str, points: dict[str, tuple[float, float]], base: int) -> None:
        """Save as the page does: where somebody else was quicker, look at that label and replace it."""
        for _ in range(MAX_TRIES):
            x = round(1 + 100 * self._random.random(), 3)
            mark = f"{self._user} {uuid.UUID(int=self._random.getrandbits(128))}"
            moved = {**points, "T1": (x, points["T1"][1])}
            body = {
                "landmarks": [{"name": name, "x": xy[0], "y": xy[1]} for name, xy in moved.items()],
                "touched": ["T1"],
                "info": {"user": self._user, "seconds": 20.5, "edits": 6, "mark": mark},
            }
            query = {"image": image, "tag": "final", "base_version": base}
            answer = self._asked("save", "PUT", "/landmarks", query, body)
            if answer is not None:
                self.log.saved.append(Saved(image, answer["version"], mark, x))
                return
            if self.log.samples[-1].status != 409:
                return
            base, _ = self._label(image)

    def _asked(
        self,
        kind: str,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        form: bytes | None = None,
    ) -> Any:
        """The answer as JSON, ``None`` where the server refuses; repeated until there is one."""
        address = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        if body is not None:
            headers, form = {"Content-Type": "application/json"}, json.dumps(body).encode()
        if self._work.token:
            headers["Authorization"] = f"Bearer {self._work.token}"
        for _ in range(MAX_TRIES):
            sample, content, wait_s = self._once(kind, method, address, form, headers)
            self.log.samples.append(sample)
            if sample.status not in AGAIN:
                is_json = sample.status == 200 and kind not in ("pixels", "thumbnail")
                return json.loads(content) if is_json else None
            if self._stop_event.wait(wait_s) and kind != "save":
                return None
        self.log.given_up.append(f"{kind} was not answered in {MAX_TRIES} tries: {self.log.samples[-1].detail}")
        return None

    def _once(
        self, kind: str, method: str, address: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[Sample, bytes, float]:
        self._turn += 1
        place = self._work.addresses[self._turn % len(self._work.addresses)]
        connection = self._connections.setdefault(place, http.client.HTTPConnection(place, timeout=REQUEST_TIMEOUT_S))
        begin = time.monotonic()
        try:
            connection.request(method, address, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Sample(kind, begin, time.monotonic() - begin, 0, type(error).__name__, None), b"", RETRY_INTERVAL_S
        seconds, detail = time.monotonic() - begin, ""
        if answer.status >= 400:
            detail = content.decode(errors="replace")[:300]
        timing = answer.headers.get("Server-Timing", "").rpartition("dur=")[2]
        wait_s = float(answer.headers.get("Retry-After", RETRY_INTERVAL_S))
        sample = Sample(kind, begin, seconds, answer.status, detail, float(timing) if timing else None)
        return sample, content, wait_s
