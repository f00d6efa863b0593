"""Display of one image with its landmarks, overlay and layers in the slice view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy as np

from ..client.radiograph import Radiograph
from ..editor.spine_editor import SpineEditor
from ..spine.geometry import body_heights, corners_of
from ..spine.labels.markups import label_of
from ..spine.measurement.measured_spine import Measurements
from ..spine.overlay_geometry import Text, angle_texts, body_lines, cobb_lines, name_texts
from ..spine.schema import CENTER, POINTS, VERTEBRAE, Spine
from .image_volume import ImageVolume
from .landmark_nodes import KINDS, LandmarkNodes
from .mrml_nodes import SceneFrame
from .overlay_nodes import FONT_PX, OverlayNodes
from .reading_nodes import ReadingNodes
from .slice_view import SliceView

LAYERS = ("image", "centers", "corners", "outlines", "endplates", "angles", "labels")
"""Layers of the view that can be shown and hidden."""

_CENTER = POINTS.index(CENTER)
_MIN_NAMES_PX, _MIN_POINT_LABELS_PX = 9, 90
"""Heights of a body in the view from which names, and the labels of all points, are shown."""
_GAP_PX, _HOVER_PX = 6, 9
_LETTER = 0.45  # width over height
_JUMP_BODIES = 7


class ImageDisplay:
    """Shows an image and draws the points of an editor over it.

    Args:
        scene: where the nodes are.
        editor: holds the points.
        measure: returns the measurements of the present points.
        on_move: called when the user moved or set a point: (vertebra, point, (x, y) stored pixels).
        on_unset: called when the user removed a point: (vertebra, point).

    Attributes:
        volume: the image, with its gray values.
        view: the slice view.
        hovered: (vertebra, point) under the mouse, as indices; ``None`` without one.
    """

    def __init__(
        self,
        scene: Any,
        editor: SpineEditor,
        measure: Callable[[], Measurements],
        on_move: Callable[[int, int, np.ndarray], None],
        on_unset: Callable[[int, int], None],
    ) -> None:
        self._scene, self._editor, self._measure = scene, editor, measure
        self.hovered: Optional[tuple[int, int]] = None
        self._radiograph: Optional[Radiograph] = None
        self._frame = SceneFrame()
        self._hidden_layers: set[str] = set()
        self.volume = ImageVolume(scene)
        self._landmarks = LandmarkNodes(scene, self._on_begin, on_move, on_unset, editor.end, self._on_hover)
        self._overlay = OverlayNodes(scene)
        self._readings = ReadingNodes(scene)
        self._compared: tuple[Spine, ...] = ()
        self.view = SliceView(scene, self._draw_texts)

    def show(self, radiograph: Radiograph, frame: SceneFrame) -> None:
        """Show an image and the points."""
        self._radiograph, self._frame = radiograph, frame
        self._build()

    def clear(self) -> None:
        """Remove all nodes, and restore the view."""
        self._radiograph = self.hovered = None
        self.view.close()
        self._readings.remove()
        self._overlay.remove()
        self._landmarks.remove()
        self.volume.remove()

    def show_readings(self, readings: Sequence[Spine]) -> None:
        """Show readings beside the points, in colors of their own; none to show none."""
        if readings or self._compared:
            self._compared = tuple(readings)
            self._draw_readings()

    def _draw_readings(self) -> None:
        if self._radiograph is not None:
            upright = [self._frame.to_upright(one.visible_xy) for one in self._compared]
            self._readings.show(upright, self._frame.upright, self.view.node_id)
            self._show_layers()

    def draw(self) -> None:
        """Draw the points as they are now."""
        if self._radiograph is None:
            return
        are_there = self._landmarks.are_there and self._overlay.is_there and self._readings.are_there
        if not are_there or self.volume.node is None:
            self._build()  # the user removed one of the nodes
        xy, measurements = self._visible_xy, self._measure()
        doubtful = {name for name, _ in measurements.doubtful}
        self._landmarks.show(self._editor.xy, np.array([name in doubtful for name in VERTEBRAE]))
        self._overlay.draw_lines("bodies", body_lines(xy, measurements, self._shown_layers))
        self._overlay.draw_lines("cobb", cobb_lines(xy, measurements.curves))
        self._draw_texts()

    def set_layer(self, name: str, visible: bool) -> None:
        """Show or hide a layer, for this image and later ones.

        Raises:
            ValueError: it is not one of ``LAYERS``.
        """
        if name not in LAYERS:
            raise ValueError(f"layer {name!r:.40} is not one of {', '.join(LAYERS)}")
        (self._hidden_layers.discard if visible else self._hidden_layers.add)(name)
        self._show_layers()

    def set_locked(self, on: bool) -> None:
        """Prevent the mouse from moving points."""
        self._landmarks.set_locked(on)

    def fit(self) -> None:
        """Show the whole image."""
        if self._radiograph is not None:
            self.view.fit()

    def jump_to(self, v: int) -> None:
        """Show a vertebra with its neighbours; one that is not visible is assumed between its nearest neighbours."""
        if self._radiograph is None:
            return
        xy = np.concatenate([self._frame.to_upright(self._editor.xy), *self._readings.xy], axis=1)
        height = self._body_height
        near = next((points for distance in range(len(xy)) if len(points := _points_at(xy, v, distance))), None)
        if near is not None and height is not None:
            self.view.jump(near, _JUMP_BODIES * height)

    def _build(self) -> None:
        if self._radiograph is None:
            return
        view_id = self.view.node_id
        self.volume.show(self._radiograph, self._frame)
        self._landmarks.create(self._frame, view_id)
        self._overlay.create(self._frame.upright, view_id)
        self.view.open(self._frame.upright, self.volume.node.GetID())
        self._landmarks.set_locked(self._editor.locked)
        self._draw_readings()

    @property
    def _shown_layers(self) -> set[str]:
        return set(LAYERS) - self._hidden_layers

    def _show_layers(self) -> None:
        if self._radiograph is None:
            return
        shown = self._shown_layers
        self.view.show_image("image" in shown)
        for kind in KINDS:
            self._landmarks.set_visible(kind, kind in shown)
        self._overlay.set_visible("bodies", bool(shown & {"outlines", "endplates"}))
        for role, layer in (("cobb", "angles"), ("angles", "angles"), ("names", "labels")):
            self._overlay.set_visible(role, layer in shown)
        self._readings.set_visible("outlines" in shown)
        self.draw()

    def _draw_texts(self) -> None:
        """Draw what depends on the zoom, besides the points."""
        if self._radiograph is None or self._scene.IsClosing():
            return
        xy, measurements, pixel = self._visible_xy, self._measure(), self.view.pixel_size
        height = self._body_height
        height_in_view = 0.0 if height is None else height / pixel
        shows_labels = "labels" in self._shown_layers
        is_close = shows_labels and height_in_view >= _MIN_POINT_LABELS_PX
        names = []
        if shows_labels and not is_close:
            if height_in_view >= _MIN_NAMES_PX:
                names = name_texts(xy, measurements, _GAP_PX * pixel)
            names = [text._replace(y=text.y + FONT_PX["names"] * pixel) for text in names]
            names += self._hover_text(pixel)
        self._overlay.write_texts("names", names)
        letter = _LETTER * FONT_PX["angles"] * pixel
        self._overlay.write_texts("angles", angle_texts(xy, measurements.curves, self._frame.upright.width, letter))
        for kind in KINDS:
            self._landmarks.set_labels(kind, is_close)
        has_points = bool(np.isfinite(xy).any())  # whose names are shown then
        are_named = shows_labels and not has_points and height_in_view >= _MIN_NAMES_PX
        self._readings.write_names(_GAP_PX * pixel, pixel, FONT_PX["names"] * pixel, are_named)

    def _hover_text(self, pixel: float) -> list[Text]:
        if self.hovered is None:
            return []
        xy, (v, p) = self._frame.to_upright(self._editor.xy), self.hovered
        if not np.isfinite(xy[v, p]).all() or p == _CENTER:
            return []
        x, y = xy[v, p] + (_HOVER_PX * pixel, 0)
        return [Text(float(x), float(y), label_of(VERTEBRAE[v], POINTS[p]))]

    @property
    def _body_height(self) -> Optional[float]:
        """Median height of the bodies in pixels, else of those of the readings; ``None`` without any."""
        spines = (self._frame.to_upright(self._editor.xy), *self._readings.xy)
        return next((height for height in map(_median_body_height, spines) if height is not None), None)

    @property
    def _visible_xy(self) -> np.ndarray:
        """``(V, P, 2)`` upright pixels of visible points, NaN elsewhere."""
        return np.where(self._measure().visible[..., None], self._frame.to_upright(self._editor.xy), np.nan)

    def _on_begin(self, v: int, p: int) -> None:
        self.hovered = (v, p)
        self._editor.begin()

    def _on_hover(self, at: Optional[tuple[int, int]]) -> None:
        if at != self.hovered:
            self.hovered = at
            self._draw_texts()


def _median_body_height(xy: np.ndarray) -> Optional[float]:
    heights = body_heights(corners_of(xy))
    heights = heights[np.isfinite(heights)]
    return float(np.median(heights)) if len(heights) else None


def _points_at(xy: np.ndarray, v: int, distance: int) -> np.ndarray:
    """Visible points ``(N, 2)`` of the vertebrae that are ``distance`` levels away."""
    rows = [row for row in {v - distance, v + distance} if 0 <= row < len(xy)]
    points = xy[rows].reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]
