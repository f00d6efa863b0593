"""The web application that ``start.py`` serves: MONAI Label's own, which the app replaces when it starts.

The server ends with ``start.py`` even where that is killed: its standard input is a pipe from there, which closes with
``start.py`` on every system.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

from monailabel.app import app  # noqa: F401  # what uvicorn serves


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    parent = multiprocessing.parent_process()  # of a worker, one of several
    leader = os.getpid() if parent is None or parent.pid is None else parent.pid
    if sys.platform == "win32":
        subprocess.call(["taskkill", "/F", "/T", "/PID", str(leader)])
    elif os.getpgrp() == leader:  # start.py made the group, for the server and the training it starts
        os.killpg(0, signal.SIGKILL)


if os.environ.get("VERTEBRA_LANDMARKS_PARENT_PIPE"):
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
