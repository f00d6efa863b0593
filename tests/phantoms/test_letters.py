"""Words as dots."""

from __future__ import annotations

import numpy as np

from lib.phantoms.letters import stamp


def test_stamp_draws_the_dots_of_a_letter() -> None:
    mark = stamp("T", 1)
    assert mark.shape == (7, 5)
    np.testing.assert_array_equal(mark[0], 1)
    np.testing.assert_array_equal(mark[1:], np.tile([0, 0, 1, 0, 0], (6, 1)))


def test_stamp_separates_and_enlarges_letters_and_leaves_unknown_ones_blank() -> None:
    mark = stamp("L?L", 3)
    assert mark.shape == (7 * 3, (6 * 3 - 1) * 3)
    np.testing.assert_array_equal(mark[:, :3], 1)
    assert mark[:, 5 * 3 : 12 * 3].max() == 0
    np.testing.assert_array_equal(mark[:, 12 * 3 : 13 * 3], 1)
