"""The other process of a shared stage, in single precision on any processor."""

from __future__ import annotations

import sys

from lib.learning.models import devices
from lib.server.training import shared_stage

devices.has_fast_bfloat16 = lambda _: False

if __name__ == "__main__":
    raise SystemExit(shared_stage.main(sys.argv[1:]))
