"""Specs are checked, and random ones vary widely."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib.phantoms import COLLIMATIONS, IMPLANTS, PhantomSpec, random_curves, random_spec
from lib.phantoms.spec import Part, part_rng


def test_random_specs_vary_widely() -> None:
    specs = [random_spec(seed, 256, 128) for seed in range(400)]
    assert {len(spec.curves or ()) for spec in specs} == {0, 1, 2, 3}
    angles = [max((abs(cobb) for _, cobb in spec.curves or ()), default=0.0) for spec in specs]
    assert min(angles) == 0
    assert 60 < max(angles) <= 80
    assert {spec.collimation for spec in specs} == set(COLLIMATIONS)
    assert {name for spec in specs for name in spec.implants} == set(IMPLANTS)
    for name in ("field_above", "field_below", "noise", "equalization"):
        values = [getattr(spec, name) for spec in specs]
        assert min(values) < 0.1, name
        assert max(values) > 0.7, name


def test_random_curves_are_always_buildable() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        PhantomSpec(curves=random_curves(rng))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 10}, "height must lie in 64"),
        ({"width": 100.5}, "width must be a whole number"),
        ({"seed": -1}, "seed must lie in 0"),
        ({"field_above": 1.2}, "field_above must lie in 0...1, got 1.2"),
        ({"noise": float("nan")}, "noise must lie in"),
        ({"collimation": "green"}, "collimation 'green' is not one of none, dark, bright"),
        ({"implants": ("tooth",)}, "implant 'tooth' is not one of rods"),
        ({"curves": ((8.0,),)}, "a curve must be"),
        ({"curves": ((0.0, 30.0),)}, "curve apex must lie in 1...15, got 0"),
        ({"curves": ((6.0, 30.0), (7.0, -30.0))}, "at least 3 levels"),
        ({"curves": ((6.0, 30.0), (12.0, 30.0))}, "opposite sides"),
        ({"curves": ((8.0, 150.0),)}, "must not exceed 110 degrees"),
        ({"curves": ((8.0, float("nan")),)}, "must not exceed"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_bad_specs_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PhantomSpec(), **changes)


def test_random_streams_are_reproducible_and_differ_by_part_and_seed() -> None:
    assert part_rng(3, Part.RIBS).random() == part_rng(3, Part.RIBS).random()
    assert len({part_rng(seed, part).random() for seed in range(3) for part in Part}) == 3 * len(Part)
