"""The load test itself, small: two servers behind the documented nginx, one of them killed, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.load.annotator import Log, Sample, Saved
from experiments.load.deployment import Deployment, deployed
from experiments.load.load_test import run_load, summary
from experiments.load.outcome import failures, figures, lent_twice, losses
from harness.local_balancer import CONFIGURATION, configuration
from harness.local_postgresql import binaries

IMAGES, CLIENTS, SECONDS, PAUSE_S = 60, 4, 6.0, 0.05


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Two servers of one process each."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with deployed(IMAGES, 2, 1, ("fsync=off",), (("scoring", "false"),)) as running:
        yield running


@pytest.mark.integration
def test_nothing_is_lost_where_a_server_is_killed(deployment: Deployment) -> None:
    killing = threading.Timer(SECONDS / 2, deployment.servers.kill, [deployment.servers.ports[0]])
    killing.start()
    logs = run_load(deployment, CLIENTS, SECONDS, PAUSE_S, 0)
    killing.join()
    found = summary(deployment, logs, SECONDS, 0.0)
    assert deployment.servers.kills == 1
    assert found["acknowledged_labels"] >= CLIENTS
    assert (found["losses"], found["lent_twice"], found["given_up"], found["unreasoned"]) == ([], [], [], {})
    saved = next(one for log in logs for one in log.saved)
    wrong = [
        Saved(saved.image, saved.version + 1000, saved.mark, saved.x),
        Saved(saved.image, 1, "nobody", 1.0),
        saved._replace(x=saved.x + 1),
    ]
    for one in wrong:
        assert losses(deployment.folder.path, deployment.database, [Log(saved=[one])]), one


def test_the_outcome_is_summed_up() -> None:
    samples = [
        Sample("save", 0, 0.010, 200, "", 8.0),
        Sample("save", 0, 0.030, 200, "", None),
        Sample("save", 0, 2.0, 503, '{"detail": "wait"}', None),
        Sample("save", 0, 0.1, 0, "ConnectionResetError", None),
    ]
    table = figures(samples)["save"]
    assert (table["requests"], table["ms"]["p50"], table["server_ms"]["p50"]) == (4, 20.0, 8.0)
    assert table["statuses"] == {"200": 2, "503": 1, "0": 1}
    assert failures(samples) == {"503 save: wait": 1, "0 save: ConnectionResetError": 1}
    assert lent_twice([Log(lent=[(0.0, "a"), (1.0, "b")]), Log(lent=[(2.0, "a")])]) == ["a"]


def test_the_documented_nginx_file_names_servers_and_listens(tmp_path: Path) -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    local = configuration(text, [1, 2, 3], 4, tmp_path)
    assert local.count("server 127.0.0.1:2 max_fails") == text.count("\nupstream ") == 2
    assert "10.0.0.1" not in local
    assert "ssl" not in local
    with pytest.raises(ValueError, match="must name servers"):
        configuration(text.replace("server 10", "server x10"), [1], 4, tmp_path)


def test_caddy_accepts_the_documented_file(tmp_path: Path) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("Caddy is not installed: apt install caddy")
    file = CONFIGURATION.with_name("Caddyfile")
    asked = [caddy, "adapt", "--config", str(file), "--adapter", "caddyfile"]
    done = subprocess.run(asked, capture_output=True, text=True, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("10.0.0.12:8000") == 2
