"""The other process of a shared stage, in single precision on any processor."""

from __future__ import annotations

import sys

from lib.learning.models import devices
from lib.server.training import shared_stage

if __name__ == "__main__":  # not where a test imports this file: its process would compute otherwise from then on
    devices.has_fast_bfloat16 = lambda _: False
    raise SystemExit(shared_stage.main(sys.argv[1:]))
