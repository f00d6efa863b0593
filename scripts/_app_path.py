"""Puts the app folder on ``sys.path``, as the MONAI Label server does, and on ``PYTHONPATH`` for spawned workers.

Importing this module is all there is to it: ``import _app_path  # noqa: F401``, before the first import of ``lib`` and
of ``torch``, whose waiting threads it lets sleep.
"""

import os
import sys
from pathlib import Path

APP = Path(__file__).resolve().parent.parent / "apps" / "vertebra_landmarks"
"""Folder of the MONAI Label app; ``lib`` lies in it."""

if str(APP) not in sys.path:
    sys.path.insert(0, str(APP))

_inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
if str(APP) not in _inherited:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(APP), *_inherited])

if "OMP_WAIT_POLICY" not in os.environ:  # read when torch is loaded: threads that spin for long starve busy hosts
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # of libgomp: many waits end sooner than a sleeper wakes
