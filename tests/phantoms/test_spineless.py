"""Images without a spine: every kind, every size, reproducible."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lib.phantoms import OTHER_VIEWS, SPINELESS, other_view, random_spineless, spineless_kind


def test_all_spineless_kinds_occur_about_equally() -> None:
    counts = Counter(spineless_kind(seed) for seed in range(2000))
    assert set(counts) == set(SPINELESS)
    assert min(counts.values()) > 0.4 * 2000 / len(SPINELESS)


def test_spineless_images_of_every_kind_have_the_size_and_are_reproducible() -> None:
    for seed in {spineless_kind(seed): seed for seed in range(300)}.values():
        image = random_spineless(seed, 130, 70)
        assert image.shape == (130, 70), spineless_kind(seed)
        assert image.dtype == np.uint8
        assert (image.std() > 1) == (spineless_kind(seed) != "constant"), spineless_kind(seed)
        np.testing.assert_array_equal(image, random_spineless(seed, 130, 70))


def test_spineless_images_refuse_a_size_too_small() -> None:
    with pytest.raises(ValueError, match="at least 64 x 32 pixels, got 20 x 20"):
        random_spineless(0, 20, 20)


@pytest.mark.parametrize("kind", OTHER_VIEWS)
def test_other_views_have_the_size_and_are_reproducible(kind: str) -> None:
    image = other_view(kind, 3, 130, 70)
    assert (image.shape, image.dtype) == ((130, 70), np.uint8)
    assert image.std() > 1
    np.testing.assert_array_equal(image, other_view(kind, 3, 130, 70))
    assert (image != other_view(kind, 4, 130, 70)).any()
