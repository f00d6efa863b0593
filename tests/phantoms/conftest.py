"""Fixtures of the phantom tests."""

from __future__ import annotations

import pytest

from lib.phantoms import PhantomSpec


@pytest.fixture
def clean() -> PhantomSpec:
    """A phantom in which nothing hides the vertebrae."""
    return PhantomSpec(
        height=512, width=256, seed=3, curves=(), noise=0, blur_px=0.5, equalization=0, scatter=0, ribs=0, lungs=0
    )
