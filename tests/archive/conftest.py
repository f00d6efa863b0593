"""A network of a moment, tiny images, an S3 server, and the commands called in this process."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import collect
import predict
import predict_archive
from experiments.archive.toy_network import save_toy_network
from lib.phantoms import random_spec, render_phantom

Run = Callable[..., int]
SIZE = (400, 200)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network that sees a spine in every image, where it sees it depending on the image."""
    return save_toy_network(tmp_path_factory.mktemp("weights") / "toy.pt")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms ``0.png`` ... ``4.png``, one of them again as ``deep/0.png``, and two files that are no radiographs."""
    folder = tmp_path_factory.mktemp("images") / "archive"
    (folder / "deep").mkdir(parents=True)
    for number in range(5):
        image = Image.fromarray(render_phantom(random_spec(2_000_000 + number, *SIZE)).pixels)
        image.save(folder / f"{number}.png")
    image.save(folder / "deep" / "0.png")
    (folder / "text.png").write_text("no image")
    Image.new("L", (400, 900)).save(folder / "black.png")
    return folder


@pytest.fixture
def run(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call ``predict_archive.py`` in this process, with the toy network; returns the exit status."""

    def call(*arguments: object) -> int:
        fixed = ["--weights", str(weights), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["predict_archive.py", *map(str, arguments), *fixed])
        return predict_archive.main()

    return call


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[object], Path]:
    """Call ``collect.py`` on an output; returns the folder of the tables."""

    def call(output: object) -> Path:
        folder = tmp_path / "collected"
        monkeypatch.setattr(sys, "argv", ["collect.py", str(output), "--tables", str(folder)])
        assert collect.main() == 0
        return folder

    return call


@pytest.fixture(scope="session")
def predicted(images: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``predict.py`` writes for the images."""
    output = tmp_path_factory.mktemp("predicted")
    command = [sys.executable, predict.__file__, str(images), "--output", str(output), "--weights", str(weights)]
    assert subprocess.run([*command, "--device", "cpu"], check=False).returncode == 1
    return output


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server; the environment tells clients of it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
        }.items():
            patch.setenv(name, value)
        yield url
    server.stop()


@pytest.fixture
def bucket(s3_server: str, request: pytest.FixtureRequest) -> str:
    """A URL in a new bucket."""
    import s3fs

    name = f"archive-{abs(hash(request.node.nodeid)):x}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}/results"
