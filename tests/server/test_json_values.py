"""Values as JSON can hold them."""

from __future__ import annotations

import json
import math

from lib.server.json_values import without_nan


def test_numbers_that_json_lacks_are_none_however_deep_they_lie() -> None:
    values = {"a": math.nan, "b": [1, -math.inf, {"c": (math.inf, "x")}], "d": None, "e": True, "f": 0.5}
    plain = without_nan(values)
    assert plain == {"a": None, "b": [1, None, {"c": [None, "x"]}], "d": None, "e": True, "f": 0.5}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
