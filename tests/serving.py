"""A real server in a process of its own, with an HTTP client."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.local_server import own_server
from lib.learning.config import DEFAULT_WEIGHTS_FILE

Start = Callable[..., AbstractContextManager["Server"]]


class Server:
    """A running server, the folder that it serves, its process, what it prints, and its own temporary files."""

    def __init__(self, url: str, studies: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self.studies, self.process, self.log = url, studies, process, log
        self.temporary = log.parent / "tmp"

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of an answer, whatever the status."""
        sent = {**({"Content-Type": kind} if kind else {}), **(headers or {})}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=sent)  # type: ignore[arg-type]
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def is_there(self, path: str) -> bool:
        """Whether something can be asked for."""
        return self.ask(path, "HEAD")[0] == 200

    @staticmethod
    def said(answer: tuple[int, bytes]) -> tuple[int, str]:
        """Status and sentence of an answer that is an error."""
        content = json.loads(answer[1])
        assert set(content) == {"detail"}, content
        assert isinstance(content["detail"], str)
        assert "Traceback" not in content["detail"]
        return answer[0], content["detail"]

    def send(
        self, path: str, method: str, headers: Mapping[str, str] | None = None, **fields: str | tuple[str, bytes]
    ) -> tuple[int, bytes]:
        """Send a form; a field is text, or a file's name and content."""
        body, kind = form(fields)
        return self.ask(path, method, body, kind, headers)

    def infer(self, image: str, output: str = "json", **params: Any) -> tuple[int, Any]:
        """Answer of the model for one image of the folder."""
        query = urllib.parse.urlencode({"image": image, "output": output})
        body, kind = form({"params": json.dumps(params)}) if params else (None, "")
        status, answer = self.ask(f"/infer/vertebra_landmarks?{query}", "POST", body, kind)
        return status, json.loads(answer)


def form(fields: Mapping[str, str | tuple[str, bytes]]) -> tuple[bytes, str]:
    """Body and content type of a form."""
    parts = []
    for name, value in fields.items():
        file, content = ("", value.encode()) if isinstance(value, str) else value
        extra = "" if isinstance(value, str) else f'; filename="{file}"\r\nContent-Type: application/octet-stream'
        head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
        parts.append(head.encode("utf-8", "surrogateescape") + content + b"\r\n")
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def write_quick_weights(path: Path) -> None:
    """Write the shipped weights for an input of half the height and width."""
    import torch

    content = torch.load(DEFAULT_WEIGHTS_FILE, weights_only=True)
    content["config"]["input"] = {"height": 256, "width": 128}
    torch.save(content, path)


@contextlib.contextmanager
def started(log: Path, studies: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server with temporary files of its own, beside its log."""
    temporary = log.parent / "tmp"
    temporary.mkdir()
    own = {"TMPDIR": str(temporary), **(env or {})}
    with own_server(studies, log, options=arguments, env=own) as running:
        yield Server(running.url, studies, running.process, log)
