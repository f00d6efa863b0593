"""Temporary Orthanc, a PACS with DICOMweb, on loopback, with its data in a temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.ports import free_port
from harness.system_packages import PACS_PLUGIN, has_orthanc

USER = "tester"
START_TIMEOUT_S, STOP_TIMEOUT_S = 30, 30
_ENVIRONMENT = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin"}  # where Debian puts servers


class LocalOrthanc:
    """An Orthanc that can be stopped, killed and started again on the same port and data.

    Attributes:
        root: its address, below which its own interface lies.
        url: of its DICOMweb service.
        user: who may log in.
        password: of that user.
        log: what it prints.
        process: its process while it runs.
    """

    def __init__(self, folder: Path, port: int = 0, settings: Mapping[str, Any] | None = None) -> None:
        if not port:
            port = free_port()
        self.root = f"http://127.0.0.1:{port}"
        self.url, self.user, self.password = f"{self.root}/dicom-web", USER, secrets.token_hex(8)
        self.log = folder / "orthanc.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        configuration = {
            "DefaultEncoding": "Utf8",  # else names in other scripts are cut in answers
            "StableAge": 1,
            "StorageDirectory": "data",
            "IndexDirectory": "data",
            "Plugins": [str(PACS_PLUGIN)],
            "HttpPort": port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: self.password},
            "OverwriteInstances": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
            **(settings or {}),
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it is not installed, or does not start.
        """
        if not has_orthanc():
            raise RuntimeError(
                "Orthanc is not installed; on Debian and Ubuntu: sudo apt install orthanc orthanc-dicomweb"
            )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["Orthanc", "orthanc.json"], cwd=self._folder, env=_ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("/system")
                return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"Orthanc did not start: {self.log.read_text(errors='replace')[-500:]}")

    def stop(self) -> None:
        """End it and wait, so that its port is free again."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """End it without a clean shutdown."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        """The answer of Orthanc's own interface, as JSON.

        Raises:
            OSError: it does not answer, or refuses.
        """
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(None, self.root, self.user, self.password, is_authenticated=True)
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(passwords)
        )
        request = urllib.request.Request(self.root + path, data=body, method=method)
        with direct.open(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def store(self, content: bytes) -> str:
        """Store a DICOM file, and return Orthanc's own id of the instance."""
        return str(self.ask("/instances", "POST", content)["ID"])

    def remove(self, instance_uid: str) -> None:
        """Remove an instance by its SOP Instance UID."""
        for found in self.ask("/tools/lookup", "POST", instance_uid.encode()):
            self.ask(str(found["Path"]), "DELETE")


@contextlib.contextmanager
def own_orthanc(port: int = 0, settings: Mapping[str, Any] | None = None) -> Iterator[LocalOrthanc]:
    """Run an empty Orthanc for the time of the block.

    Args:
        port: to listen on; 0 for a free one.
        settings: of its configuration, besides those that make it private.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="orthanc-"))
    try:
        orthanc = LocalOrthanc(folder, port, settings)
        orthanc.start()
        try:
            yield orthanc
        finally:
            orthanc.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
