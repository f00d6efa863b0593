"""Every part has its own randomness."""

from __future__ import annotations

from lib.phantoms.streams import Part, stream


def test_streams_are_reproducible_and_differ_by_part_and_seed() -> None:
    assert stream(3, Part.RIBS).random() == stream(3, Part.RIBS).random()
    assert len({stream(seed, part).random() for seed in range(3) for part in Part}) == 3 * len(Part)
