"""Bad requests, damaged images, and fifty clients at once: the server answers all of them and runs on.

The environment variable ``BAD_REQUESTS`` sets how many requests there are, 300 by default.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import string
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from lib.image_io import UnreadableImageError, read_radiograph
from lib.phantoms import random_spec, render_phantom

if TYPE_CHECKING:
    from ..serving import Server, Start

SEED = 20261122
REQUESTS = int(os.environ.get("BAD_REQUESTS", "300"))
CLIENTS = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A folder with a small, a large and a damaged image."""
    studies = tmp_path_factory.mktemp("place") / "studies"
    studies.mkdir()
    for name, height in (("small", 300), ("large", 2400)):
        Image.fromarray(render_phantom(random_spec(4, height, height // 2)).pixels).save(studies / f"{name}.png")
    (studies / "damaged.png").write_bytes((studies / "small.png").read_bytes()[:2000])
    with start(studies) as running:
        yield running


def around(server: Server) -> set[str]:
    """Files beside the studies folder and among the server's temporary files, with their sizes."""
    files = [*server.studies.parent.rglob("*"), *server.temporary.rglob("*")]
    pwned = [path for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith("pwned")]
    return {f"{path} {path.stat().st_size}" for path in [*files, *pwned] if server.studies not in path.parents}


class Attacker:
    """Makes requests from the server's own description of its routes, with values that nobody should send."""

    def __init__(self, routes: dict[str, Any], seed: int) -> None:
        self._random = random.Random(seed)
        self._routes = [
            (path, method.upper(), operation) for path, ways in routes.items() for method, operation in ways.items()
        ]
        self._routes += [
            (path, method, {})
            for path in ("/datastore/", "/proxy/dicom/x", "/ohif/x", "/reload", "/nowhere", "/static/x", "/train/")
            for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE")
        ]

    def name(self) -> str:
        """A name, mostly bad."""
        alphabet = string.printable + "äß脊\u202e\0\x7f\u2028😀%/\\.."
        bad = ["../" * self._random.randint(1, 8) + "tmp/pwned", "/tmp/pwned", "..", ".", "", " ", "~", "%2e%2e%2fx"]
        bad += [
            "..\\x",
            "C:\\pwned",
            "\\\\host\\share",
            "nul",
            "con.png",
            ".lock",
            "labels/final/x",
            "datastore_v2.json",
        ]
        bad += ["file:///etc/passwd", "http://127.0.0.1:1/", "x" * self._random.choice([100, 300, 4000]), "small\0.png"]
        bad += ["$(touch pwned)", "'; drop table x; --", "{{7*7}}", "%00", "null", "NaN", "-1", "1e999", "true"]
        bad += ["datastore_v2.json", "small", "small.png", "damaged", "large"]
        choices = [*bad, "".join(self._random.choices(alphabet, k=self._random.randint(1, 40)))]
        return self._random.choice(choices)

    def json(self, depth: int = 3) -> Any:
        """A value of any kind."""
        plain: list[Any] = [None, True, 0, -1, 2**63, 1.5, float("nan"), float("inf"), self.name(), "\ud800", ""]
        if depth and self._random.random() < 0.5:
            keys = ["image", "label_tag", "save_label", "strategy", "model", "timeout", "labels", "max_workers", "gpus"]
            many = range(self._random.randint(0, 4))
            if self._random.random() < 0.2:
                return [self.json(depth - 1) for _ in many]
            return {self._random.choice([*keys, self.name()]): self.json(depth - 1) for _ in many}
        return self._random.choice(plain)

    def body(self) -> tuple[bytes, str]:
        """A body and its kind, which need not agree."""
        text = json.dumps(self.json())
        broken = text[: self._random.randint(0, len(text))]
        edge = "multipart/form-data; boundary=edge"
        parts = b""
        for field in self._random.sample(["file", "files", "label", "params", "info", "image"], 3):
            file = self._random.choice(["", f'; filename="{self.name()}.png"', f'; filename="{self.name()}"'])
            content = self._random.choice([text.encode(), b"\x89PNG\r\n\x1a\n" + self._random.randbytes(50), b""])
            head = f'--edge\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'
            parts += head.encode("utf-8", "replace") + content + b"\r\n"
        return self._random.choice(
            [
                (text.encode(), "application/json"),
                (broken.encode(), "application/json"),
                (b"[" * 50_000, "application/json"),
                (b'{"a":' * 20_000, "application/json"),
                (b"\xff\xfe\x00", "application/json"),
                (text.encode(), "text/plain"),
                (f"params={quote(text)}&info={quote(text)}".encode(), "application/x-www-form-urlencoded"),
                (parts + b"--edge--\r\n", edge),
                (parts + b"--edge--\r\n", edge),
                (parts + b"--edge--\r\n", edge),
                (parts[: len(parts) // 2], edge),
                (parts, "multipart/form-data"),
                (parts, "multipart/form-data; boundary="),
                (self._random.randbytes(200), edge),
                (b"", ""),
            ]
        )

    def request(self) -> tuple[str, str, bytes | None, str]:
        """Path with query, method, body and its kind."""
        path, method, operation = self._random.choice(self._routes)
        if (method, path) == ("DELETE", "/datastore/image"):  # else nothing would be left to attack
            method = "HEAD"
        pairs = []
        for parameter in operation.get("parameters", []):
            value = quote(self.name(), safe="", errors="replace")
            if parameter["in"] == "path":
                real = {"model": "vertebra_landmarks", "strategy": "random"}.get(parameter["name"], "x")
                path = path.replace(f"{{{parameter['name']}}}", self._random.choice([value or "%20", real, real]))
            elif self._random.random() < 0.8:
                pairs.append(f"{parameter['name']}={self._random.choice([value, value, 'small'])}")
        if path.startswith(("/train/", "/batch/")) and method == "POST":
            pairs.append("run_sync=maybe")  # whatever else they say: a thousand trainings would take long
        body, kind = self.body() if method != "GET" else (None, "")
        return path + ("?" + "&".join(pairs) if pairs else ""), method, body, kind


@pytest.mark.integration
def test_bad_requests_are_answered_with_a_reason(server: Server) -> None:
    attacker = Attacker(json.loads(server.ask("/openapi.json")[1])["paths"], SEED)
    before, images = around(server), {path.name for path in server.studies.glob("*.*")}
    counts: Counter[int] = Counter()
    for number in range(REQUESTS):
        path, method, body, kind = attacker.request()
        begin = time.monotonic()
        status, answer = server.ask(path, method, body, kind)
        counts[status] += 1
        assert status < 500, (number, method, path, body, answer)
        assert time.monotonic() - begin < 30, (number, method, path)
        if status >= 400 and method != "HEAD":
            assert set(json.loads(answer)) == {"detail"}, (number, method, path, answer)
    assert around(server) == before
    assert counts[400] > REQUESTS / 10, counts
    assert counts[404] > REQUESTS / 10, counts
    new = {path.name for path in server.studies.glob("*.*")} - images
    assert all(name.endswith(".png") or name == ".uploads" for name in new), new
    left = [path.name for path in (server.studies / ".uploads").rglob("*") if path.is_file()]
    assert sorted(left) == ["alive.lock"]
    assert server.infer("small")[0] == 200
    assert server.process.poll() is None


def damaged_images(seed: int) -> Iterator[tuple[str, bytes]]:
    """Images of every format with changed, missing or added bytes, and small files that claim to be huge."""
    pixels = render_phantom(random_spec(5, 96, 48)).pixels
    wide = pixels.astype(np.uint16) * 200
    originals = {}
    for suffix, image in ((".png", wide), (".jpg", pixels), (".tif", wide), (".bmp", pixels)):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()))
        originals[suffix] = stream.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".nrrd", ".nii", ".nii.gz", ".dcm"):
            path = Path(folder) / f"x{suffix}"
            sitk.WriteImage(sitk.GetImageFromArray(wide), str(path))
            originals[suffix] = path.read_bytes()
    chance = random.Random(seed)
    for suffix, content in originals.items():
        for _ in range(40):
            changed = bytearray(content)
            for _ in range(chance.choice([1, 3, 20])):
                changed[chance.randrange(min(len(changed), chance.choice([64, 512, 10**9])))] = chance.randrange(256)
            yield suffix, bytes(changed[: chance.choice([len(changed), len(changed), chance.randrange(len(changed))])])
    head = "NRRD0004\ntype: double\ndimension: 3\nsizes: 1000 1000 100000\nencoding: gzip\n\n"
    yield ".nrrd", head.encode() + gzip.compress(bytes(1_000_000))
    yield ".png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"


def test_damaged_images_are_read_or_refused_but_never_fail(tmp_path: Path) -> None:
    refused = 0
    for suffix, content in damaged_images(SEED):
        path = tmp_path / f"image{suffix}"
        path.write_bytes(content)
        try:
            read_radiograph(path)
        except UnreadableImageError:
            refused += 1
    assert refused > 50


@pytest.mark.integration
def test_fifty_clients_at_once_are_all_answered(server: Server) -> None:
    before = around(server)
    image = (server.studies / "small.png").read_bytes()

    def client(number: int) -> list[tuple[int, int]]:
        seen = []
        for step in range(4):
            kind = (number + step) % 5
            if kind == 0:
                answer = server.infer("small")[0]
            elif kind == 1:
                answer = server.ask("/info/")[0]
            elif kind == 2:
                answer = server.send("/datastore/image/info?image=small", "PUT", info=f'{{"c{number}": {step}}}')[0]
            elif kind == 3:
                answer = server.send("/infer/vertebra_landmarks?output=json", "POST", file=("a.png", image))[0]
            else:
                answer = server.send(f"/datastore/image?image=c{number}_{step}", "PUT", file=("a.png", image))[0]
            seen.append((kind, answer))
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        seen = [pair for pairs in pool.map(client, range(CLIENTS)) for pair in pairs]
    wrong = Counter(pair for pair in seen if pair[1] != 200)
    assert set(wrong) <= {(0, 503), (3, 503)}, wrong  # where one inference takes seconds, the last wait in vain
    assert (0, 200) in seen
    facts = json.loads(server.ask("/datastore/image/info?image=small")[1])
    assert {f"c{n}" for n in range(CLIENTS) for s in range(4) if (n + s) % 5 == 2} <= set(facts)  # none was lost
    listed = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
    assert sum(name.startswith("c") for name in listed) == sum(kind == 4 for kind, _ in seen)
    assert around(server) == before


@pytest.mark.integration
def test_info_answers_while_landmarks_are_found(server: Server) -> None:
    server.infer("large")
    ended, inferences = threading.Event(), []

    def keep_busy() -> None:
        while not ended.is_set():
            begin = time.monotonic()
            assert server.infer("large")[0] == 200
            inferences.append(time.monotonic() - begin)

    times = []
    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(keep_busy) for _ in range(4)]
        for _ in range(40):
            begin = time.monotonic()
            assert server.ask("/info/")[0] == 200
            times.append(time.monotonic() - begin)
            time.sleep(0.05)
        ended.set()
        for one in busy:
            one.result()
    print(f"/info/ during inference: median {np.median(times):.3f} s, longest {max(times):.3f} s")
    assert np.median(times) < np.median(inferences), inferences  # they have a queue, however busy the machine is
