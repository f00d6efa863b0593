"""Where pixels lie in Slicer's scene, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.spine.imaging.image_geometry import DENSITY, PIXELS, ImageGeometry

CORONAL = ImageGeometry((0.2, 0.3), (11, -22, 33), (-1, 0, 0), (0, 0, -1), "file header")
SHEARED = ImageGeometry((0.5, 0.25), (1, 2, 3), (1, 0, 0), (0.6, 0.8, 0))


def test_pixels_are_millimetres_where_nothing_is_stated() -> None:
    np.testing.assert_array_equal(PIXELS.to_physical(np.array([3, 4])), [3, 4, 0])
    assert PIXELS.source == "none"


def test_a_pixel_lies_at_the_origin_and_so_many_steps_along_the_directions() -> None:
    np.testing.assert_allclose(CORONAL.to_physical(np.array([10, 100])), [11 - 2, -22, 33 - 30])


@pytest.mark.parametrize("geometry", [PIXELS, CORONAL, SHEARED], ids=["pixels", "coronal", "sheared"])
def test_to_pixels_is_the_way_back(geometry: ImageGeometry) -> None:
    xy = np.random.default_rng(0).uniform(-50, 2000, (17, 5, 2))
    np.testing.assert_allclose(geometry.to_pixels(geometry.to_physical(xy)), xy, atol=1e-9)


@pytest.mark.parametrize("geometry", [PIXELS, CORONAL, SHEARED], ids=["pixels", "coronal", "sheared"])
def test_the_distance_from_the_plane_is_dropped(geometry: ImageGeometry) -> None:
    normal = np.cross(geometry.along_row, geometry.down_column)
    place = geometry.to_physical(np.array([7.0, 8.0]))
    np.testing.assert_allclose(geometry.to_pixels(place + 5 * normal), [7, 8], atol=1e-9)


def test_plain_values_are_read_back() -> None:
    assert ImageGeometry.parse(CORONAL.as_dict()) == CORONAL


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spacing": [1]}, "spacing must be 2 numbers"),
        ({"spacing": [True, 1]}, "spacing must be 2 numbers"),
        ({"origin": "0 0 0"}, "origin must be 3 numbers"),
        ({"along_row": None}, "along_row must be 3 numbers"),
        ({"spacing": [1, -1]}, "two positive numbers"),
        ({"along_row": [0, 1, 0]}, "do not span a plane"),
    ],
)
def test_what_is_malformed_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=rf"^here: .*{words}"):
        ImageGeometry.parse({**PIXELS.as_dict(), **change}, "here")


@pytest.mark.parametrize(
    "spacing", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf), (1.0,), (1.0, 1.0, 1.0)]
)
def test_impossible_spacing_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="two positive numbers of millimetres"):
        ImageGeometry(spacing)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["origin", "along_row", "down_column"])
def test_vectors_are_finite(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be three finite numbers"):
        ImageGeometry(**{name: (math.nan, 1, 0)})


def test_versions_before_0_8_knew_no_origin_no_direction_and_no_density() -> None:
    assert CORONAL.before_0_8 == ImageGeometry((0.2, 0.3), source="file header")
    assert ImageGeometry((0.35, 0.35), source=DENSITY).before_0_8.spacing == (1.0, 1.0)
