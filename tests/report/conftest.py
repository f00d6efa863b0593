"""A phantom with its points, as a report takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lib.image_io import Radiograph
from lib.phantoms import random_spec, render_phantom
from lib.report import ReportContent
from lib.spine.measurement.origin import Origin
from lib.spine.schema import VERTEBRAE, Spine

Content = Callable[..., ReportContent]


@pytest.fixture(scope="session")
def phantom() -> ReportContent:
    """As predicted: scores of 0.9, errors of 2 px, half widths of 1.5 degrees."""
    image = render_phantom(random_spec(1, 1200, 520))
    xy = image.spine.xy
    spine = Spine.from_arrays(xy, np.full(xy.shape[:2], 0.9), np.full(xy.shape[:2], 2.0))
    radiograph = Radiograph(image.pixels, image_left_is="right")
    origin = Origin(names_right=0.97, tilt_half_widths=(1.5,) * len(VERTEBRAE))
    return ReportContent("phantom_1", radiograph, spine, radiograph.frame, origin)


@pytest.fixture
def content(phantom: ReportContent) -> Content:
    """The phantom with other values, also of points: ``scores`` and ``errors`` by vertebra."""

    def change(scores: dict[str, float] | None = None, errors: dict[str, float] | None = None, **values: Any) -> Any:
        spine = phantom.spine
        new_scores, new_errors = spine.scores.copy(), spine.errors.copy()
        for array, changes in ((new_scores, scores), (new_errors, errors)):
            for name, value in (changes or {}).items():
                array[VERTEBRAE.index(name)] = value
        return replace(phantom, **{"spine": Spine.from_arrays(spine.xy, new_scores, new_errors), **values})

    return change
