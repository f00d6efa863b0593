"""Descriptors on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.learning.active_learning import ImageDescriptor
from lib.server.active_learning.descriptor_store import DescriptorStore


def descriptor(number: int) -> ImageDescriptor:
    return ImageDescriptor(0.25, 0.5, 1.5, number, np.arange(3.0), np.stack([np.full(17, 0.5), np.arange(17.0)], 1))


def test_what_was_added_is_read_after_a_restart(tmp_path: Path) -> None:
    before = DescriptorStore(tmp_path / "new", "1")
    before.add("a", descriptor(1))
    before.add("ä b", descriptor(2))
    before.add("a", descriptor(3))
    after = DescriptorStore(tmp_path / "new", "1")
    assert (len(after), "ä b" in after, "c" in after) == (2, True, False)
    descriptors = after.read(["ä b", "a", "c"])
    assert {image: one.violations for image, one in descriptors.items()} == {"a": 3, "ä b": 2}
    assert (descriptors["a"].entropy, descriptors["a"].disagreement, descriptors["a"].margin) == (0.25, 0.5, 1.5)
    np.testing.assert_array_equal(descriptors["a"].features, [0, 1, 2])
    np.testing.assert_array_equal(descriptors["a"].shape, descriptor(3).shape)


def test_an_incomplete_line_costs_only_that_image(tmp_path: Path) -> None:
    first = DescriptorStore(tmp_path, "1")
    first.add("a", descriptor(1))
    first.add("b", descriptor(2))
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-40])
    second = DescriptorStore(tmp_path, "1")
    assert ("a" in second, "b" in second) == (True, False)
    second.add("c", descriptor(4))
    third = DescriptorStore(tmp_path, "1")
    assert ("b" in third, third.read(["c"])["c"].violations) == (False, 4)
    assert second.read(["c"])["c"].violations == 4


def test_models_do_not_share_a_file_and_files_of_others_are_deleted(tmp_path: Path) -> None:
    for version in ("1", "2", "../3"):
        DescriptorStore(tmp_path / "opinions", version).add("a", descriptor(1))
    newest = DescriptorStore(tmp_path / "opinions", "../3")
    newest.delete_others(["2"])
    assert [len(DescriptorStore(tmp_path / "opinions", version)) for version in ("1", "2", "../3")] == [0, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["opinions"]


def test_what_another_process_adds_is_seen(tmp_path: Path) -> None:
    first, second = DescriptorStore(tmp_path, "1"), DescriptorStore(tmp_path, "1")
    first.add("a", descriptor(1))
    assert [second.catch_up(), second.catch_up(), first.catch_up()] == [True, False, False]
    second.add("b", descriptor(2))
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])  # as while it is being written
    assert (first.catch_up(), "b" in first) == (False, False)
    path.write_bytes(whole)
    assert first.catch_up()
    assert first.read(["a", "b"])["b"].violations == 2
    path.unlink()
    second.add("c", descriptor(3))
    assert first.catch_up()
    assert ("a" in first, first.read(["c"])["c"].violations) == (False, 3)
