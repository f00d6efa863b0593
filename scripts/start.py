"""Start the server: ``python3 scripts/start.py [--studies DIR] [--port PORT] [--conf KEY VALUE]...``.

The first start makes ``.venv`` and installs what is missing. Without ``--studies`` the server shows generated
radiographs. Ctrl-C or SIGTERM ends it together with everything it started.
"""

import argparse
import contextlib
import errno
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import _app_path
import setup_environment
from lib.server.filenames import check_studies, is_dicomweb
from setup_environment import ROOT, SetupError, say

DEMO_STUDIES = ROOT / "demo_studies"
DEMO_COUNT = 12
ANSWER_TIMEOUT_S = 120
STOP_TIMEOUT_S = 10
LOG_LINES = 15
MAX_WORKERS = 16

SETTINGS = {
    "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",  # else a process per scoring method at start and after each image
    "MONAI_LABEL_TRACKING_ENABLED": "false",  # else training asks for mlflow, which is not installed
    "PYTHONUNBUFFERED": "1",  # the log must hold the last lines of a server that dies
}
"""Environment of the server, where the user's own does not say otherwise."""


FILES = ("weights", "tokens", "dicomweb_ca", "dicomweb_filter", "dicomweb_folder")
"""Settings that are paths."""
SECRETS = {"dicomweb_password": "VERTEBRA_DICOMWEB_PASSWORD", "dicomweb_token": "VERTEBRA_DICOMWEB_TOKEN"}
"""Settings that are secret, and the environment variables that the app reads as well."""


def main() -> int:
    """Serve until asked to stop; returns the exit status."""
    setup_environment.use_suitable_python()
    arguments = parse_arguments(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):  # until the server runs, both interrupt
        signal.signal(number, signal.default_int_handler)
    try:
        check_address(arguments.host, arguments.port)
        python = setup_environment.prepare()
        if arguments.studies is None:
            arguments.studies = demo_studies(python)
        return serve(python, arguments)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The server cannot be started: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped before the server ran.", file=sys.stderr)
        return 130


def parse_arguments(arguments: "list[str]") -> argparse.Namespace:
    """The command line, checked.

    Raises:
        SystemExit: it is wrong (status 2); one sentence on stderr says how.
    """
    parser = argparse.ArgumentParser(description="Start the server, after installing what is missing.")
    parser.add_argument(
        "--studies",
        type=studies_folder,
        help="folder of radiographs, or address of a PACS's DICOMweb service (default: generated ones)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument(
        "--port", type=whole_number(1, 65535, "a port"), default=8000, help="port to listen on (default: 8000)"
    )
    parser.add_argument(
        "--workers",
        type=whole_number(1, MAX_WORKERS, "a number of processes"),
        default=1,
        help="processes that answer (default: 1)",
    )
    parser.add_argument(
        "--conf", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="setting of the app; repeatable"
    )
    return parser.parse_args(arguments)


def studies_folder(text: str) -> "Path | str":
    """The studies folder as an absolute path, or the address of a PACS as it is.

    Raises:
        argparse.ArgumentTypeError: it is another address, there is no such folder, or labels could not be stored in it.
    """
    try:
        check_studies(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if is_dicomweb(text):
        return text
    folder = Path(text).expanduser().resolve()
    if not folder.is_dir():
        reason = "is not a folder" if folder.exists() else "does not exist"
        raise argparse.ArgumentTypeError(f"{folder} {reason}; name an existing folder of radiographs")
    if not os.access(str(folder), os.R_OK | os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{folder} must be readable and writable: labels are stored in it")
    return folder


def whole_number(lowest: int, highest: int, what: str) -> "Callable[[str], int]":
    """A parser of numbers from ``lowest`` to ``highest``, for argparse."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"{text} is not {what}; choose a number from {lowest} to {highest}")
        return int(text)

    return parse


def check_address(host: str, port: int) -> None:
    """Check that the server can listen on the address, before the slow part.

    Raises:
        SetupError: it cannot; the message says why and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # as the server does: connections that just ended do not hold the port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror as error:
        raise SetupError(f"--host {host} is not a known address; use 127.0.0.1 for this machine only.") from error
    except PermissionError as error:
        raise SetupError(f"Port {port} is reserved by the system; choose another one, such as --port 8000.") from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise SetupError(f"--host {host} is not an address of this machine; use 127.0.0.1 or 0.0.0.0.") from error
        other = port + 1 if port < 65535 else 8000
        raise SetupError(
            f"Port {port} on {host} is in use, perhaps by a server that already runs; choose another one, such as "
            f"--port {other}."
        ) from error


def demo_studies(python: Path) -> Path:
    """The folder of generated radiographs, filled when it has none.

    Raises:
        SetupError: they could not be generated.
    """
    if len(list(DEMO_STUDIES.glob("*.png"))) < DEMO_COUNT:
        say(f"Drawing {DEMO_COUNT} demonstration radiographs (about 10 seconds) ...")
        command = [str(python), str(ROOT / "scripts" / "make_phantoms.py"), "--force", "--output", str(DEMO_STUDIES)]
        if subprocess.call([*command, "--count", str(DEMO_COUNT)]):
            raise SetupError("The demonstration radiographs could not be drawn; name a folder with --studies instead.")
    return DEMO_STUDIES


class StopRequests:
    """Counts Ctrl-C, SIGTERM and the like instead of raising, so that none interrupts the shutdown."""

    def __init__(self) -> None:
        self.count = 0
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # the last two exist on one kind of system each
            number = getattr(signal, name, None)
            if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):  # nohup
                signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self.count += 1


def serve(python: Path, arguments: argparse.Namespace) -> int:
    """Run the server until it ends or is asked to stop.

    Returns:
        0 after a requested stop, else the server's own exit status; 1 if it never answered.
    """
    log = _app_path.APP / "logs" / f"server_{arguments.port}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    url = address_of(arguments.host, arguments.port)
    stop = StopRequests()
    say(f"Starting the server on port {arguments.port} (5 to 10 seconds) ...")
    with log.open("wb") as output:
        server = subprocess.Popen(
            server_command(python, arguments),
            cwd=str(ROOT),
            env={**SETTINGS, **os.environ, "VERTEBRA_LANDMARKS_PARENT_PIPE": "1", **secrets_of(arguments)},
            stdin=subprocess.PIPE,  # never written to; its end tells the server that this process is gone
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",  # a group of its own, so that it can be ended as one
            creationflags=_NEW_GROUP,
        )
    try:
        info = wait_for_answer(server, url, stop)
        if info is None and not stop.count:
            outcome = "gave no good answer" if server.poll() is None else "ended at once"
            end(server, stop)  # it may still be writing
            print("\n".join(last_lines(log)), file=sys.stderr)
            print(f"The server {outcome}; the lines above are its last, all are in {log}.", file=sys.stderr)
            return 1
        if info is not None:
            say(greeting(url, arguments, info, log))
        while server.poll() is None and not stop.count:
            time.sleep(0.1)
        if stop.count:
            say("Stopping ...")
            return 0
        print(f"The server ended by itself; its log is {log}.", file=sys.stderr)
        return exit_status(server.returncode)
    finally:
        end(server, stop)


def secrets_of(arguments: argparse.Namespace) -> "dict[str, str]":
    """Settings that go to the server by its environment, since logs show its command line."""
    return {SECRETS[key]: value for key, value in arguments.conf if key in SECRETS}


def server_command(python: Path, arguments: argparse.Namespace) -> "list[str]":
    """The command that serves the app."""
    command = [str(python), "-m", "monailabel.main", "start_server"]
    command += ["--uvicorn_app", "scripts._server_app:app", "--app", str(_app_path.APP)]
    command += ["--studies", str(arguments.studies), "--host", arguments.host, "--port", str(arguments.port)]
    command += ["--workers", str(arguments.workers)]
    for key, value in arguments.conf:
        if key in SECRETS:
            continue
        if key in FILES:
            value = str(Path(value).expanduser().absolute())
        command += ["--conf", key, value]
    return command


def address_of(host: str, port: int) -> str:
    """The URL under which this machine reaches the server."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def wait_for_answer(
    server: "subprocess.Popen[bytes]", url: str, stop: StopRequests, timeout_s: float = ANSWER_TIMEOUT_S
) -> "dict | None":
    """The server's answer to ``/info/``, ``{}`` where it requires a token.

    ``None`` if the server ends, fails or does not answer in time, or if a stop is requested first.
    """
    deadline = time.monotonic() + timeout_s
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy reaches this machine's own ports
    while server.poll() is None and not stop.count and time.monotonic() < deadline:
        try:
            with direct.open(f"{url}/info/", timeout=5) as answer:
                info = json.load(answer)
        except urllib.error.HTTPError as error:
            # 401: it runs and requires a token; any other error is permanent
            return {} if error.code == 401 else None
        except (OSError, ValueError):
            time.sleep(0.1)
        else:
            return info if server.poll() is None else None
    return None


def greeting(url: str, arguments: argparse.Namespace, info: dict, log: Path) -> str:
    """The message of the running server, with example requests."""
    requires_token = not info
    count = info.get("datastore", {}).get("total", 0)
    images = "" if requires_token else f", {count} image{'s' * (count != 1)}"
    if info.get("pacs", {}).get("state", "off") != "off":
        images += " so far" * (info["pacs"]["state"] == "listing")
    lines = [f"Serving {url} (studies: {arguments.studies}{images})"]
    lines.append(f"  All requests, to try in a browser: {url}")
    if requires_token:
        lines.append('  Every request needs a token: curl -H "Authorization: Bearer TOKEN" ...')
    lines.append(f"  Choose an image: curl -X POST {url}/activelearning/random")
    for model in info.get("models", {}):
        lines.append(f'  Its landmarks: curl -X POST "{url}/infer/{urllib.parse.quote(model)}?image=ID&output=json"')
    if not is_loopback(arguments.host) and not requires_token:
        lines.append("  WARNING: whoever reaches this machine can read and change the studies; there is no password.")
        lines.append("  Name a file of tokens with --conf tokens FILE, or listen to this machine only.")
    lines.append(f"  Log: {log}")
    lines.append("  Ctrl-C stops it.")
    return "\n".join(lines)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def last_lines(log: Path) -> "list[str]":
    """The end of the server's log."""
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]


def exit_status(returncode: int) -> int:
    """The status with which a shell would report it: 128 + n for a process that signal n ended."""
    return returncode if returncode >= 0 else 128 - returncode


def end(server: "subprocess.Popen[bytes]", stop: StopRequests) -> None:
    """Stop the server's process group: terminate, then kill after a timeout or a second stop request."""
    _ask_to_end(server)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while server.poll() is None and stop.count < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    _kill(server)
    server.wait()


if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP

    def _ask_to_end(server: "subprocess.Popen[bytes]") -> None:
        if server.poll() is None:
            server.send_signal(signal.CTRL_BREAK_EVENT)

    def _kill(server: "subprocess.Popen[bytes]") -> None:
        command = ["taskkill", "/F", "/T", "/PID", str(server.pid)]
        subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

else:
    _NEW_GROUP = 0

    def _ask_to_end(server: "subprocess.Popen[bytes]") -> None:
        _signal_group(server, signal.SIGTERM)

    def _kill(server: "subprocess.Popen[bytes]") -> None:
        _signal_group(server, signal.SIGKILL)

    def _signal_group(server: "subprocess.Popen[bytes]", number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so with the second
            os.killpg(server.pid, number)


if __name__ == "__main__":
    raise SystemExit(main())
