"""The scripts that set up, start and test, without installing anything; and one real start of the server."""

from __future__ import annotations

import argparse
import ast
import http.server
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image

import make_phantoms
import setup_environment
import start
from lib.spine.labels.markups import read_markups
from setup_environment import CLUSTER, DEVELOPMENT, RUNTIME, TORCH, Environment, SetupError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX")


class Copy:
    """A copy of the repository whose installations are only written down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = Environment(root)
        self.commands: list[str] = []
        self.fail_at = ""
        self.version = "3 11"
        for name in (RUNTIME, DEVELOPMENT, CLUSTER):
            (root / name).write_text(f"# {name}\n")

    @property
    def site_packages(self) -> Path:
        return self.environment.folder / "lib" / "python3.11" / "site-packages"

    def run(self, environment: Environment, command: list[str]) -> None:
        """Stand-in for ``Environment._run``."""
        line = " ".join(command)
        if self.fail_at and self.fail_at in line:
            raise SetupError("interrupted")
        self.commands.append(line)
        if "-m venv" in line:
            environment.python.parent.mkdir(parents=True)
            environment.python.write_text("")
            (environment.folder / "pyvenv.cfg").write_text("version = 3.11\n")
        if TORCH in line:
            (self.site_packages / "torch-2.13.0+cpu.dist-info").mkdir(parents=True)
            (self.site_packages / "torch-2.13.0+cpu.dist-info" / "RECORD").write_text("")

    def prepare(self, *requirements: str) -> list[str]:
        """What kind of commands ``prepare`` runs."""
        self.commands.clear()
        setup_environment.prepare(*requirements, root=self.root)
        kinds = {"-m venv": "venv", TORCH: "torch", DEVELOPMENT: "dev", CLUSTER: "cluster"}
        kinds |= {RUNTIME: "runtime", "import torch": "check"}
        return [next(kind for text, kind in kinds.items() if text in line) for line in self.commands]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A fresh copy of the repository."""
    (tmp_path / "repository").mkdir()
    copy = Copy(tmp_path / "repository")
    monkeypatch.setattr(Environment, "_run", lambda environment, command: copy.run(environment, command))
    monkeypatch.setattr(subprocess, "check_output", lambda *_, **__: copy.version.encode())
    return copy


def test_first_start_installs_all_and_second_nothing(copy: Copy) -> None:
    assert copy.prepare() == ["venv", "torch", "runtime", "check"]
    assert copy.prepare() == []


def test_torch_comes_with_its_dependencies_and_the_rest_without(copy: Copy) -> None:
    copy.prepare()
    torch, runtime = copy.commands[1:3]
    assert "--no-deps" not in torch
    assert f"--constraint {RUNTIME}" in torch
    assert f"--no-deps --requirement {RUNTIME}" in runtime


def test_tools_for_tests_are_added_on_top(copy: Copy) -> None:
    copy.prepare()
    assert copy.prepare(DEVELOPMENT) == ["runtime", "dev", "check"]
    assert copy.prepare(DEVELOPMENT) == []
    assert copy.prepare() == []


def test_packages_for_archives_are_installed_on_request(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup_environment, "prepare", lambda *names: prepared.append(names))
    for arguments in ([], ["--cluster"]):
        monkeypatch.setattr(sys, "argv", ["setup_environment.py", *arguments])
        assert setup_environment.main() == 0
    assert prepared == [(), (CLUSTER,)]
    monkeypatch.undo()


def test_a_package_of_two_files_has_one_pin() -> None:
    """Each installation would undo the other."""
    lines = [
        line.partition("  #")[0].strip()
        for name in (RUNTIME, DEVELOPMENT, CLUSTER)
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    pins: dict[str, set[str]] = {}
    for line in set(lines):
        pin, _, condition = line.partition(" ; ")
        pins.setdefault(pin.partition("==")[0].lower() + condition, set()).add(pin)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def test_changed_pins_are_installed_without_torch_again(copy: Copy) -> None:
    copy.prepare()
    (copy.root / RUNTIME).write_text("numpy==9\n")
    assert copy.prepare() == ["runtime", "check"]


def test_changed_torch_release_is_installed(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.prepare()
    monkeypatch.setattr(setup_environment, "TORCH", "torch==2.14.0")
    assert not copy.environment.has((RUNTIME,))
    assert not copy.environment._has_torch()


@pytest.mark.parametrize("step", ["-m venv", TORCH, f"--requirement {RUNTIME}", "import torch"])
def test_interrupted_installation_goes_on(copy: Copy, step: str) -> None:
    copy.fail_at = step
    with pytest.raises(SetupError, match="interrupted"):
        copy.prepare()
    assert not copy.environment.has((RUNTIME,))
    copy.fail_at = ""
    assert copy.prepare()[-2:] == ["runtime", "check"]
    assert copy.prepare() == []


def test_failed_update_is_not_taken_for_the_old_installation(copy: Copy) -> None:
    copy.prepare()
    old = (copy.root / RUNTIME).read_text()
    (copy.root / RUNTIME).write_text("numpy==9\n")
    copy.fail_at = "import torch"
    with pytest.raises(SetupError):
        copy.prepare()
    (copy.root / RUNTIME).write_text(old)
    assert not copy.environment.has((RUNTIME,))


def test_half_installed_packages_are_removed(copy: Copy) -> None:
    copy.prepare()
    half, aside = copy.site_packages / "scipy-1.0.dist-info", copy.site_packages / "~umpy"
    half.mkdir()
    aside.mkdir()
    copy.environment._remove_half_installed()
    assert [path.name for path in copy.site_packages.iterdir()] == ["torch-2.13.0+cpu.dist-info"]


def test_moved_folder_is_made_anew(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.prepare()
    moved = Copy(copy.root.rename(copy.root.with_name("moved")))
    copy.root, copy.environment = moved.root, moved.environment
    assert copy.prepare() == ["venv", "torch", "runtime", "check"]
    assert "was made in another place; it is made anew" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_an_unusable_environment_behind_a_link_is_left_alone(copy: Copy) -> None:
    copy.prepare()
    elsewhere = copy.environment.folder.rename(copy.root.with_name("elsewhere"))
    copy.environment.folder.symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "pyvenv.cfg").write_text("version = 3.9\n")
    copy.version = "3 9"
    before = sorted(path.name for path in elsewhere.iterdir())
    with pytest.raises(setup_environment.SetupError, match=r"is a link to an environment that belongs to Python 3\.9"):
        copy.environment.install((setup_environment.RUNTIME,))
    assert sorted(path.name for path in elsewhere.iterdir()) == before


def test_environment_of_another_python_is_made_anew(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.prepare()
    (copy.environment.folder / "pyvenv.cfg").write_text("version = 3.9\n")
    copy.version = "3 9"
    assert copy.prepare() == ["venv", "torch", "runtime", "check"]
    assert "belongs to Python 3.9" in capsys.readouterr().out


def test_environment_without_python_is_made_anew(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    (copy.environment.folder / "lib").mkdir(parents=True)
    (copy.environment.folder / "notes.txt").write_text("")
    assert copy.prepare()[0] == "venv"
    assert "has no Python in it" in capsys.readouterr().out
    assert not (copy.environment.folder / "notes.txt").exists()


def test_a_damaged_record_counts_as_none(copy: Copy) -> None:
    copy.prepare()
    (copy.environment.folder / "installed.json").write_text('{"requ')
    assert copy.prepare() == ["runtime", "check"]


def test_file_in_place_of_the_environment_is_explained(copy: Copy) -> None:
    copy.environment.folder.write_text("")
    with pytest.raises(SetupError, match=r"\.venv cannot be set up"):
        copy.prepare()


def test_two_starts_at_once_install_once(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(environment: Environment, command: list[str]) -> None:
        time.sleep(0.05)
        copy.run(environment, command)

    monkeypatch.setattr(Environment, "_run", slowly)
    threads = [threading.Thread(target=setup_environment.prepare, kwargs={"root": copy.root}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(copy.commands) == 4


@posix_only
def test_lock_is_released_when_its_holder_is_killed(copy: Copy) -> None:
    copy.environment.folder.mkdir()
    code = f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r}); import pathlib, setup_environment as s\n"
    code += f"with s.Environment(pathlib.Path({str(copy.root)!r})).lock(): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (copy.environment.folder / "setup.lock").open("a") as file:
            assert not setup_environment._try_lock(file.fileno())
            holder.kill()
            holder.wait()
            assert setup_environment._try_lock(file.fileno())


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        pytest.param("OSError: [Errno 28] No space left on device", "disk is full", id="disk"),
        pytest.param("because ensurepip is not available", "lacks the venv module", id="no venv module"),
        pytest.param("ERROR: No matching distribution found for torch", "Check the network", id="no network"),
        pytest.param("something else", "delete .* and run the command again", id="unknown"),
    ],
)
def test_failed_step_ends_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, sentence: str
) -> None:
    command = [sys.executable, "-c", f"raise SystemExit({output!r})"]
    with pytest.raises(SetupError, match=sentence):
        Environment(tmp_path)._run(command)
    assert output in capsys.readouterr().err


def test_unsuitable_python_without_another_ends_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup_environment, "SUPPORTED", ((3, 99),))
    with pytest.raises(SystemExit) as ended:
        setup_environment.use_suitable_python()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "needs Python 3.11" in message


def test_unsuitable_python_hands_over_to_a_suitable_one(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(setup_environment, "SUPPORTED", ((3, 99),))
    monkeypatch.setattr(setup_environment, "find_suitable_python", lambda: "python3.99")
    monkeypatch.setattr(setup_environment, "become", commands.append)
    monkeypatch.setattr(sys, "argv", ["start.py", "--port", "9"])
    setup_environment.use_suitable_python()
    assert commands == [["python3.99", "start.py", "--port", "9"]]


def test_python_is_found_on_the_path_behind_a_broken_shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python"
    shim.write_text("")
    monkeypatch.setattr(setup_environment, "SUPPORTED", (sys.version_info[:2],))
    monkeypatch.setattr(setup_environment, "_all_on_path", lambda name: [str(shim), sys.executable])
    assert setup_environment.find_suitable_python() == sys.executable


@pytest.mark.parametrize("name", ["_app_path", "harness/system_packages", "setup_environment", "start", "test"])
def test_old_python_can_read_the_first_scripts(name: str) -> None:
    ast.parse((SCRIPTS / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 7))


def test_app_path_reaches_spawned_processes() -> None:
    code = "import _app_path, lib, os, sys; print(os.environ['PYTHONPATH'].split(os.pathsep))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), ""])}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
    assert ast.literal_eval(output.decode()) == [str(ROOT / "apps" / "vertebra_landmarks"), str(SCRIPTS)]


def test_test_script_passes_its_arguments_to_pytest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(
        setup_environment, "prepare", lambda *names: Path("python") if names == (DEVELOPMENT, CLUSTER) else None
    )
    monkeypatch.setattr(setup_environment, "become", commands.append)
    monkeypatch.setattr(sys, "argv", ["test.py", "-m", "not slow"])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(SCRIPTS / "test.py"))["main"]()
    assert [(command[:3], command[-2:]) for command in commands] == [(["python", "-m", "pytest"], ["-m", "not slow"])]
    assert Path.cwd() == ROOT


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--port", "0"], "0 is not a port", id="port 0"),
        pytest.param(["--port", "65536"], "65536 is not a port", id="port too large"),
        pytest.param(["--port", "http"], "http is not a port", id="port a word"),
        pytest.param(["--studies", "no/such/folder"], "does not exist", id="missing folder"),
        pytest.param(["--studies", __file__], "is not a folder", id="studies a file"),
        pytest.param(["--conf", "device"], "expected 2 arguments", id="conf without value"),
        pytest.param(
            ["--workers", "0"], "0 is not a number of processes; choose a number from 1 to 16", id="no workers"
        ),
    ],
)
def test_wrong_argument_ends_in_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        start.parse_arguments(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_defaults_listen_to_this_machine_only() -> None:
    expected = {"studies": None, "host": "127.0.0.1", "port": 8000, "workers": 1, "conf": []}
    assert vars(start.parse_arguments([])) == expected


def test_settings_of_the_app_reach_the_server(tmp_path: Path) -> None:
    arguments = start.parse_arguments(["--studies", str(tmp_path), "--conf", "device", "cpu", "--conf", "a", "b"])
    command = start.server_command(Path("python"), arguments)
    assert command[-8:] == ["--workers", "1", "--conf", "device", "cpu", "--conf", "a", "b"]
    assert command[command.index("--studies") + 1] == str(tmp_path)


def test_the_address_of_a_pacs_is_passed_on_as_it_is_and_its_login_by_the_environment() -> None:
    url = "https://pacs.example/dicom-web"
    login = ["--conf", "dicomweb_user", "ann", "--conf", "dicomweb_password", "geheim"]
    arguments = start.parse_arguments(["--studies", url, *login])
    command = start.server_command(Path("python"), arguments)
    assert command[command.index("--studies") + 1] == url
    assert "geheim" not in command
    assert "ann" in command
    assert start.secrets_of(arguments) == {"VERTEBRA_DICOMWEB_PASSWORD": "geheim"}


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_port_in_use_is_named_with_a_way_out(used_port: int) -> None:
    with pytest.raises(SetupError, match=rf"Port {used_port} on 127\.0\.0\.1 is in use.*--port \d+"):
        start.check_address("127.0.0.1", used_port)


def test_free_port_is_accepted() -> None:
    start.check_address("127.0.0.1", free_port())


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SetupError, match="not an address of this machine"):
        start.check_address("192.0.2.1", free_port())  # reserved for documentation, RFC 5737


def test_unknown_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(SetupError, match="--host nowhere is not a known address"):
        start.check_address("nowhere", 8000)


@pytest.mark.parametrize(
    ("host", "url", "loopback"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000", True),
        ("localhost", "http://localhost:8000", True),
        ("0.0.0.0", "http://127.0.0.1:8000", False),
        ("::", "http://[::1]:8000", False),
        ("192.0.2.1", "http://192.0.2.1:8000", False),
    ],
)
def test_address_and_reach_of_a_host(host: str, url: str, loopback: bool) -> None:
    assert start.address_of(host, 8000) == url
    assert start.is_loopback(host) == loopback


def test_greeting_offers_a_request_that_fits(tmp_path: Path) -> None:
    arguments = argparse.Namespace(studies=tmp_path, host="0.0.0.0", port=8000)
    info = {"models": {"spine": {}}, "datastore": {"total": 1}}
    text = start.greeting("http://127.0.0.1:8000", arguments, info, tmp_path / "log")
    assert 'curl -X POST "http://127.0.0.1:8000/infer/spine?image=ID&output=json"' in text
    assert "there is no password" in text
    assert "1 image)" in text


def test_greeting_of_a_server_with_a_login_tells_how_to_send_the_token(tmp_path: Path) -> None:
    arguments = argparse.Namespace(studies=tmp_path, host="0.0.0.0", port=8000)
    text = start.greeting("http://127.0.0.1:8000", arguments, {}, tmp_path / "log")
    assert "Authorization: Bearer" in text
    assert "no password" not in text


@pytest.mark.parametrize(("returncode", "status"), [(0, 0), (3, 3), (-9, 137)])
def test_exit_status_is_the_one_a_shell_reports(returncode: int, status: int) -> None:
    assert start.exit_status(returncode) == status


def test_server_that_dies_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as server:
        server.wait()
        assert start.wait_for_answer(server, "http://127.0.0.1:9", SimpleNamespace(count=0)) is None


@pytest.mark.parametrize(("status", "info"), [(500, None), (401, {})], ids=["broken", "with a login"])
def test_server_that_answers_with_an_error_is_not_waited_for(status: int, info: dict | None) -> None:
    class Broken(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    running = SimpleNamespace(poll=lambda: None)
    with http.server.HTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        asked = time.monotonic()
        assert start.wait_for_answer(running, url, SimpleNamespace(count=0)) == info
        assert time.monotonic() - asked < 30  # of the two minutes that it waits for a server


@posix_only
@pytest.mark.parametrize("leader_ends", [True, False], ids=["polite server", "server that ignores the request"])
def test_end_leaves_no_process_of_the_group(leader_ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "STOP_TIMEOUT_S", 0.3)
    ignore = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True)\n"
    sleep = "time.sleep(60)"
    leader = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {ignore + sleep!r}])\n{sleep}"
    code = leader if leader_ends else ignore + leader
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as server:
        assert server.stdout is not None
        for _ in range(1 if leader_ends else 2):
            assert server.stdout.readline() == b"on\n"
        group = [server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True))]
        assert len(group) == 2
        start.end(server, SimpleNamespace(count=1))
        assert_gone(group)


def assert_gone(pids: list[int]) -> None:
    """Fail unless the processes end within seconds."""
    deadline = time.monotonic() + 60
    left = pids
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.05)
    assert left == []


def draw(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    """Run ``make_phantoms.py`` in this process."""
    command = ["make_phantoms.py", "--output", str(folder), "--count", "2", "--size", "256x128", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    return make_phantoms.main()


def test_phantoms_are_images_with_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert draw(monkeypatch, tmp_path, "--labels") == 0
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    labels = [f"labels/final/phantom_{index:03d}.mrk.json" for index in range(2)]
    assert names == [*labels, "phantom_000.png", "phantom_001.png"]
    with Image.open(tmp_path / "phantom_000.png") as image:
        assert (image.size, image.mode) == ((128, 256), "L")
    assert len([point for *_, point in read_markups(tmp_path / labels[0]).points() if point]) == 85


def test_phantoms_repeat_with_their_seed_and_differ_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert draw(monkeypatch, tmp_path / folder, "--seed", seed) == 0
    a, b, c = (np.asarray(Image.open(tmp_path / folder / "phantom_000.png")) for folder in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_phantoms_replace_files_only_when_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    existing = tmp_path / "phantom_001.png"
    existing.write_text("mine")
    assert draw(monkeypatch, tmp_path) == 1
    assert "phantom_001.png exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["phantom_001.png"]
    assert existing.read_text() == "mine"
    assert draw(monkeypatch, tmp_path, "--force") == 0
    assert existing.stat().st_size > 1000


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``start.py`` with its server answering, and the server's address."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve() or not Environment(ROOT).has((RUNTIME,)):
        pytest.skip("not inside the repository's own complete .venv; run scripts/test.py")
    assert draw(monkeypatch, tmp_path) == 0
    port = free_port()
    command = [sys.executable, str(SCRIPTS / "start.py"), "--studies", str(tmp_path), "--port", str(port)]
    with (tmp_path / "start.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 120
            while b"Ctrl-C" not in (output := (tmp_path / "start.log").read_bytes()):
                assert process.poll() is None, output.decode()
                assert time.monotonic() < deadline, output.decode()
                time.sleep(0.1)
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.integration
@posix_only
def test_server_answers_and_ends_at_sigterm(started: tuple[subprocess.Popen[bytes], str]) -> None:
    process, url = started
    request = urllib.request.Request(f"{url}/info/", headers={"Origin": "http://elsewhere.example"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        info = json.load(answer)
        assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}
    assert info["datastore"]["total"] == 2
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert family
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert time.monotonic() - asked < start.STOP_TIMEOUT_S  # else it had to be killed
    assert_gone(family)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)


@pytest.mark.integration
@posix_only
def test_server_does_not_outlive_a_killed_start(started: tuple[subprocess.Popen[bytes], str]) -> None:
    process, _ = started
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert family
    process.kill()
    assert_gone(family)
