"""The web application that ``start.py`` serves: MONAI Label's own, with two gaps closed before it is made.

* MONAI Label lets the pages of every web site read its answers (CORS ``*``), and 0.8.5 cannot start with
  ``MONAI_LABEL_CORS_ORIGINS`` set, since it writes its settings as JSON and the parsed addresses are not. They are set
  here, as plain text and after that. The server's own pages are the only ones that call it.
* A server whose ``start.py`` was killed must not stay behind. Its standard input is a pipe from there, which ends
  with ``start.py``, however that ends and on every system.
"""

import os
import signal
import subprocess
import sys
import threading

from monailabel.config import settings

settings.MONAI_LABEL_CORS_ORIGINS = [
    f"http://{host}:{settings.MONAI_LABEL_SERVER_PORT}" for host in ("127.0.0.1", "localhost")
]

from monailabel.app import app  # noqa: E402, F401  # reads the origins when imported


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    if sys.platform == "win32":
        subprocess.call(["taskkill", "/F", "/T", "/PID", str(os.getpid())])
    elif os.getpgrp() == os.getpid():  # start.py made the group, for the server and the training it starts
        os.killpg(0, signal.SIGKILL)


if os.environ.get("VERTEBRA_LANDMARKS_PARENT_PIPE"):
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
