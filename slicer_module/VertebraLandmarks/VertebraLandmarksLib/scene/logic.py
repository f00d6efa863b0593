"""Logic of the module: one image, its points and their measurements in a scene; needs no widget and no server.

The points are kept in stored pixels. The image is shown, and measured, upright.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy as np
import slicer

from ..client.radiograph import ImageInfo, Radiograph
from ..client.responses import Prediction
from ..editor.listeners import Listeners
from ..editor.spine_editor import ADOPTED, LOADED, LOCKED, Change, SpineEditor, pivot_of
from ..spine.imaging.image_frame import ImageFrame
from ..spine.imaging.orientation import UPRIGHT, orientation_of
from ..spine.labels.markups import from_markups, to_markups
from ..spine.measurement.image_warnings import ImageWarning, measurement_warnings
from ..spine.measurement.measured_spine import Measurements, measure
from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.schema import CENTER, POINTS, VERTEBRAE, Spine
from .click_placement import ClickPlacement, PlacementStep
from .gray_window import WINDOWS
from .image_display import LAYERS, ImageDisplay
from .image_volume import Window
from .local_images import begin_reading, read_image
from .mrml_nodes import Observers, SceneFrame

POINT, VERTEBRA, ROTATE = "point", "vertebra", "rotate"
"""Drag modes: move the point; move its vertebra; rotate its vertebra about the center."""

_NO_INFO = ImageInfo(1, 1)
_NO_POINTS = Spine.from_arrays(np.full((len(VERTEBRAE), len(POINTS), 2), np.nan))
_CENTER = POINTS.index(CENTER)


class VertebraLandmarksLogic:
    """Shows one image with its points in a scene, and lets the user correct them there.

    Everything that changes points goes through ``editor``; the nodes in the scene only show them. Only nodes that
    this object created are ever changed or removed, except for the slice view, which ``close_image`` restores.

    Args:
        scene: a ``vtkMRMLScene``; Slicer's own when left out.

    Attributes:
        editor: the points.
        drag_mode: what dragging a point does: ``POINT``, ``VERTEBRA`` or ``ROTATE``.
    """

    WINDOWS = tuple(WINDOWS)
    LAYERS = LAYERS

    def __init__(self, scene: Any = None) -> None:
        self._scene = slicer.mrmlScene if scene is None else scene
        self.editor = SpineEditor()
        self._drag_mode = POINT
        self._radiograph: Optional[Radiograph] = None
        self._lost: Optional[Radiograph] = None
        self._orientation = UPRIGHT
        self._side: Optional[str] = None
        self._measurements: Optional[Measurements] = None
        self._compared: tuple[Spine, ...] = ()
        self._listeners: Listeners[Optional[Change]] = Listeners()
        self._display = ImageDisplay(self._scene, self.editor, lambda: self.measurements, self._on_move, self._on_unset)
        self._placement = ClickPlacement(self._scene, self.editor, lambda: self._listeners.notify(None))
        self._observers = Observers()
        self._observers.add(self._scene, self._scene.EndCloseEvent, lambda *_: self._on_scene_closed())
        self._unsubscribe = self.editor.subscribe(self._on_edit)

    @property
    def radiograph(self) -> Optional[Radiograph]:
        """The image that is shown; ``None`` without one, and after the scene was closed."""
        return self._radiograph

    @property
    def measurements(self) -> Measurements:
        """Measurements of the present points; computed once after every change."""
        if self._measurements is None:
            editor = self.editor
            self._measurements = measure(editor.spine(), self.image_frame, editor.origin)
        return self._measurements

    @property
    def warnings(self) -> tuple[ImageWarning, ...]:
        """All reasons to doubt the measurements; computed at each access, so not to be used during a drag."""
        if self._radiograph is None or not self.measurements.visible.any():
            return self._info.warnings
        origin = self.editor.origin
        about_image = tuple(dict.fromkeys((*self._info.warnings, *origin.warnings)))
        return measurement_warnings(self.editor.spine(), self.image_frame, origin.names_right, about_image)

    @property
    def image_frame(self) -> ImageFrame:
        """Frame of the image, for measuring."""
        info = self._info
        return ImageFrame(info.width, info.height, self._orientation, self.image_left_is, info.geometry.pixel_aspect)

    @property
    def frame(self) -> SceneFrame:
        """Frame of the image in the scene."""
        info = self._info
        return SceneFrame(info.width, info.height, info.geometry.true_spacing, self._orientation)

    @property
    def image_left_is(self) -> Optional[str]:
        """The patient's side at the left of the upright image; ``None`` where unknown.

        Where the image is turned otherwise than its file states, the side in the file does not count either
        (``ImageFrame.resolved``).
        """
        info, orientation = self._info, self._orientation
        is_doubtful = info.is_side_in_file and not (orientation.is_upright or orientation == info.orientation)
        return None if is_doubtful else self._side

    def set_side(self, side: Optional[str]) -> None:
        """Set the patient's side at the left of the upright image: "left", "right", or ``None`` where unknown."""
        self._side = side
        self._refresh(None)

    @property
    def hovered(self) -> Optional[tuple[int, int]]:
        """(vertebra, point) under the mouse, as indices; ``None`` without one."""
        return self._display.hovered

    @property
    def placement(self) -> Optional[PlacementStep]:
        """What the next click places; ``None`` while nothing is placed."""
        return self._placement.step

    @property
    def drag_mode(self) -> str:
        """What dragging a point does: ``POINT``, ``VERTEBRA`` or ``ROTATE``."""
        return self._drag_mode

    @drag_mode.setter
    def drag_mode(self, mode: str) -> None:
        if mode not in (POINT, VERTEBRA, ROTATE):
            raise ValueError(f"drag_mode {mode!r:.40} is not one of {POINT}, {VERTEBRA}, {ROTATE}")
        self._drag_mode = mode

    def subscribe(self, listener: Callable[[Optional[Change]], object]) -> Callable[[], None]:
        """Call the listener after every change of points, image or placement; returns a function that ends it.

        The listener gets the ``Change`` of the editor, or ``None`` where no point changed.
        """
        return self._listeners.subscribe(listener)

    # the image

    def show_image(self, radiograph: Radiograph) -> None:
        """Show an image without points, replacing the one before."""
        self._placement.remove()
        self._radiograph, self._lost = radiograph, None
        self._display.hovered, self._side = None, radiograph.info.image_left_is
        self._compared = ()
        self._display.show_readings(())
        self._orientation = radiograph.info.orientation or UPRIGHT
        self._display.show(radiograph, self.frame)
        self.editor.load(_NO_POINTS)

    def close_image(self) -> None:
        """Show nothing, clear the points and restore the view."""
        self._placement.remove()
        self._radiograph = self._lost = self._side = None
        self._orientation, self._compared = UPRIGHT, ()
        self._display.show_readings(())
        self._display.clear()
        self.editor.load(_NO_POINTS)

    def restore(self) -> bool:
        """Show again image and points that a closed scene removed; returns whether there were any."""
        if self._lost is None:
            return False
        self._radiograph, self._lost = self._lost, None
        self._display.show(self._radiograph, self.frame)
        self._refresh(None)
        return True

    def begin_local(self, path: str) -> Callable[[], Radiograph]:
        """Begin to read a file without a server, see ``local_images.begin_reading``.

        Returns:
            A function that finishes, on any thread; ``show_image`` shows its result.

        Raises:
            OSError: there is no such file; the returned function raises it too.
            ValueError: it is not an image of one slice, or is corrupt; the returned function raises it too.
        """
        return begin_reading(path)

    def load_local(self, path: str) -> Radiograph:
        """Read a file at once; raises as ``begin_local`` does."""
        return read_image(path)

    # points

    def show_prediction(self, prediction: Prediction) -> bool:
        """Show a prediction, see ``SpineEditor.propose``; returns whether that is a step that can be undone."""
        return self.editor.propose(self._cut_to_image(prediction.spine), prediction.origin)

    def follow_prediction(self, prediction: Prediction) -> bool:
        """Show a prediction around the last edit, see ``SpineEditor.follow``; returns whether that was done."""
        return self.editor.follow(self._cut_to_image(prediction.spine), prediction.origin)

    def set_label(
        self,
        markups: bytes,
        touched: Optional[np.ndarray] = None,
        origin: Origin = UNKNOWN,
        is_own: bool = False,
    ) -> None:
        """Show the points of a ``.mrk.json`` file, with an empty history.

        Args:
            markups: content of the file.
            touched: see ``SpineEditor.load``.
            origin: see there.
            is_own: see there.

        Raises:
            ValueError: it is not a Markups file of vertebra landmarks.
        """
        try:
            content = json.loads(markups.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"label: expected JSON, {error}") from error
        spine = from_markups(content, self._info.geometry, "label")
        self.editor.load(self._cut_to_image(spine, touched), touched, origin, is_own)

    def show_readings(self, readings: Sequence[Spine]) -> None:
        """Show readings beside the points, for comparison; none to show none.

        They are drawn in colors of their own and are no part of the points: nothing of them is saved.

        Args:
            readings: at most three, in stored pixels.
        """
        self._compared = tuple(readings)
        self._update_orientation()
        self._display.show_readings(readings)

    def markups(self) -> bytes:
        """The points as a ``.mrk.json`` file, exactly as submitted and saved.

        ``set_label`` with this content, without edits, gives the same bytes again, unless the image's geometry has an
        origin or directions of its own: then up to rounding of the last digit.
        """
        content = to_markups(self.editor.spine(), self._info.geometry)
        return json.dumps(content, indent=1, allow_nan=False).encode("utf-8")

    def move_vertebra(self, vertebra: int, right: float, down: float) -> bool:
        """Shift a vertebra on the screen by pixels of the image; returns whether that changed anything."""
        dx, dy = self.frame.shift_to_stored(np.array([right, down])).tolist()
        return self.editor.move_vertebra(vertebra, (dx, dy))

    def rotate_vertebra(self, vertebra: int, degrees: float) -> bool:
        """Rotate a vertebra about its center, clockwise on the screen; returns whether that changed anything."""
        aspect = self._info.geometry.pixel_aspect
        return self.editor.rotate_vertebra(vertebra, -degrees if self._orientation.is_mirrored else degrees, aspect)

    # the view

    def set_layer(self, name: str, visible: bool) -> None:
        """Show or hide one of ``LAYERS``, for this image and later ones; raises ValueError for any other."""
        self._display.set_layer(name, visible)

    def set_window(self, window: Window) -> None:
        """Set the gray window: a preset of ``WINDOWS``, or the values that become black and white.

        Raises:
            ValueError: there is no such preset, or the values are not two rising numbers.
        """
        self._display.volume.set_window(window)

    def invert(self, on: bool) -> None:
        """Show bone dark."""
        self._display.volume.invert(on)

    def fit(self) -> None:
        """Show the whole image."""
        self._display.fit()

    def jump_to(self, vertebra: Optional[str]) -> None:
        """Show a vertebra with its neighbours, or the whole image.

        Args:
            vertebra: its name; one that is not visible is assumed between its nearest neighbours.

        Raises:
            ValueError: there is no such vertebra.
        """
        if vertebra is None:
            self.fit()
        elif vertebra not in VERTEBRAE:
            raise ValueError(f"vertebra {vertebra!r:.40} is not one of {', '.join(VERTEBRAE)}")
        else:
            self._display.jump_to(VERTEBRAE.index(vertebra))

    # placement

    def start_placement(self, mode: str = "guided", vertebra: Optional[str] = None) -> None:
        """Place points with clicks in the view.

        Args:
            mode: "guided", point by point from T1 TL to L5 BR; "free", four corners of a vertebra in any order.
            vertebra: name of the one to begin at; left out, the first that lacks a corner.

        Raises:
            ValueError: mode or vertebra is unknown, or no image is open.
        """
        if self._radiograph is None:
            raise ValueError("no image is open to place points on")
        if not self.editor.locked:
            self._placement.start(mode, vertebra, self.frame, self._display.view.node_id)

    def stop_placement(self) -> None:
        """End the placement, and restore the mouse mode."""
        self._placement.stop()

    def skip_placement(self) -> None:
        """Skip what the next click would place."""
        self._placement.skip()

    def undo_placement(self) -> None:
        """Go back to what was placed before."""
        self._placement.back()

    def cleanup(self) -> None:
        """Remove all nodes and observers; the object cannot be used afterwards."""
        self.close_image()
        self._observers.remove()
        self._unsubscribe()
        self._listeners.clear()

    @property
    def _info(self) -> ImageInfo:
        radiograph = self._radiograph or self._lost
        return _NO_INFO if radiograph is None else radiograph.info

    def _cut_to_image(self, spine: Spine, touched: Optional[np.ndarray] = None) -> Spine:
        """The spine with points off the image not visible, except for those that the user placed there."""
        info = self._info
        cut = spine.cut_to(info.width, info.height)
        is_kept = np.zeros(spine.visible.shape, bool) if touched is None else np.asarray(touched, bool)
        return Spine.from_arrays(spine.xy, spine.scores, spine.errors, np.where(is_kept, spine.visible, cut.visible))

    def _update_orientation(self) -> None:
        """Turn the image upright by the model, else by its file, and in both cases as its points agree."""
        if self._radiograph is None:
            return
        info = self._info
        stated, spine = self.editor.origin.orientation or info.orientation or self._orientation, self.editor.spine()
        if self._compared and not spine.visible.any():
            spine = self._compared[0]
        orientation = orientation_of(spine.xy, info.width, info.height, stated)
        if orientation != self._orientation:
            self._placement.stop()
            self._orientation = orientation
            self._measurements = None
            self._display.show(self._radiograph, self.frame)

    def _on_scene_closed(self) -> None:
        """Slicer removed all nodes; the points are in the editor."""
        if self._radiograph is None:
            return
        self.editor.end()
        self._placement.remove()
        self._lost, self._radiograph = self._radiograph, None
        self._display.clear()
        self._listeners.notify(None)

    def _on_edit(self, change: Change) -> None:
        if change.kind == LOCKED:
            self._display.set_locked(self.editor.locked)
            if self.editor.locked:
                self._placement.stop()
        if change.kind in (LOADED, ADOPTED):
            self._update_orientation()
        self._refresh(change)

    def _refresh(self, change: Optional[Change]) -> None:
        self._measurements = None
        self._display.draw()
        self._listeners.notify(change)

    def _on_move(self, v: int, p: int, position: np.ndarray) -> None:
        before = self.editor.xy[v]
        is_visible = np.isfinite(before[p]).all()
        if self.editor.locked:
            self._display.draw()  # moved by other means than the mouse, which locked nodes refuse: put it back
        elif not is_visible or self._drag_mode == POINT:
            self.editor.place(v, p, position)
        elif self._drag_mode == VERTEBRA or p == _CENTER:
            self.editor.move_vertebra(v, position - before[p])
        else:
            pivot, aspect = pivot_of(before), self._info.geometry.pixel_aspect
            (x0, y0), (x1, y1) = (before[p] - pivot) * (aspect, 1.0), (position - pivot) * (aspect, 1.0)
            self.editor.rotate_vertebra(v, np.degrees(np.arctan2(x0 * y1 - y0 * x1, x0 * x1 + y0 * y1)), aspect)

    def _on_unset(self, v: int, p: int) -> None:
        if self.editor.locked:
            self._display.draw()
        else:
            self.editor.hide(v, p)
