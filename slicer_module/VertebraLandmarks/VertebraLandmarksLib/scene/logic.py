"""The film, its points and what is measured, in one object that needs no widget and no server.

The points are kept in stored pixels. The film is shown, and measured, upright.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Optional

import numpy as np
import slicer

from ..client.provenance import UNKNOWN, Origin
from ..client.radiograph import ImageInfo, Radiograph
from ..client.responses import Prediction
from ..editor.measurements import Measurements, measure
from ..editor.overlay import Text, angle_texts, body_lines, cobb_lines, name_texts
from ..editor.spine_editor import ADOPTED, LOADED, LOCKED, Change, SpineEditor, pivot_of
from ..spine.geometry import body_heights, corners_of
from ..spine.imaging.image_frame import ImageFrame
from ..spine.imaging.orientation import UPRIGHT, orientation_of
from ..spine.labels.markups import from_markups, label_of, to_markups
from ..spine.measurement.image_warnings import ImageWarning, measurement_warnings
from ..spine.schema import CENTER, POINTS, VERTEBRAE, Spine
from .click_placement import ClickPlacement, PlacementStep
from .gray_window import WINDOWS
from .image_volume import ImageVolume, Window
from .landmark_nodes import KINDS, LandmarkNodes
from .local_images import begin_reading, read_image
from .mrml_nodes import Observers, SceneFrame
from .overlay_nodes import FONT_PX, OverlayNodes
from .slice_view import SliceView

LAYERS = ("film", "centers", "corners", "outlines", "endplates", "angles", "labels")
"""What of the view can be shown and hidden."""
POINT, VERTEBRA, ROTATE = "point", "vertebra", "rotate"
"""What dragging a point moves: the point; its whole vertebra; its vertebra about the center."""

_NO_INFO = ImageInfo(1, 1)
_NOTHING = Spine.from_arrays(np.full((len(VERTEBRAE), len(POINTS), 2), np.nan))
_CENTER = POINTS.index(CENTER)
_OTHER_POINTS = (LOADED, ADOPTED)
"""Changes after which the points may stand another way than before, and the view is turned with them."""
_NAMES_FROM_PX, _POINT_LABELS_FROM_PX = 9, 90
"""Heights of a body in the view from which names, and the labels of all points, find room."""
_GAP_PX, _HOVER_PX = 6, 9
_LETTER = 0.45  # width over height
_JUMP_BODIES = 7


class VertebraLandmarksLogic:
    """Shows one film with its points in a scene, and lets them be corrected there.

    Everything that changes points goes through ``editor``; the nodes in the scene only show them. Only nodes that
    this object made are ever changed or removed, but for the slice view, which ``close_image`` puts back.

    Args:
        scene: a ``vtkMRMLScene``; Slicer's own when left out.

    Attributes:
        editor: the points.
        drag_mode: what dragging a point moves: ``POINT``, ``VERTEBRA`` or ``ROTATE``.
    """

    WINDOWS = tuple(WINDOWS)
    LAYERS = LAYERS

    def __init__(self, scene: Any = None) -> None:
        self._scene = slicer.mrmlScene if scene is None else scene
        self.editor = SpineEditor()
        self._drag_mode = POINT
        self._film: Optional[Radiograph] = None
        self._lost: Optional[Radiograph] = None
        self._orientation = UPRIGHT
        self._side: Optional[str] = None
        self._measurements: Optional[Measurements] = None
        self._hidden_layers: set[str] = set()
        self._hovered: Optional[tuple[int, int]] = None
        self._listeners: list[Callable[[Optional[Change]], object]] = []
        self._volume = ImageVolume(self._scene)
        self._points = LandmarkNodes(
            self._scene, self._on_begin, self._on_move, self._on_unset, self.editor.end, self._on_hover
        )
        self._drawing = OverlayNodes(self._scene)
        self._view = SliceView(self._scene, self._draw_texts)
        self._placing = ClickPlacement(self._scene, self.editor, lambda: self._notify(None))
        self._observers = Observers()
        self._observers.add(self._scene, self._scene.EndCloseEvent, lambda *_: self._on_scene_closed())
        self._unsubscribe = self.editor.subscribe(self._on_edit)

    @property
    def film(self) -> Optional[Radiograph]:
        """The film that is shown; ``None`` without one, and after the scene was closed."""
        return self._film

    @property
    def measurements(self) -> Measurements:
        """What the points say now; worked out once after every change."""
        if self._measurements is None:
            editor = self.editor
            self._measurements = measure(editor.spine(), self.image_frame, editor.origin)
        return self._measurements

    @property
    def warnings(self) -> tuple[ImageWarning, ...]:
        """All reasons to doubt what is measured; worked out anew each time, so not for every move of a drag."""
        if self._film is None or not self.measurements.visible.any():
            return self._facts.warnings
        origin = self.editor.origin
        about_image = tuple(dict.fromkeys((*self._facts.warnings, *origin.warnings)))
        return measurement_warnings(self.editor.spine(), self.image_frame, origin.names_right, about_image)

    @property
    def image_frame(self) -> ImageFrame:
        """What measuring needs to know about the film."""
        frame = self.frame
        return ImageFrame(frame.width, frame.height, frame.orientation, self.image_left_is)

    @property
    def image_left_is(self) -> Optional[str]:
        """The patient's side at the left of the upright image; ``None`` where nobody knows.

        Where the image stands otherwise than its file says, the file's word about the side counts for nothing either
        (``ImageFrame.resolved``).
        """
        facts, orientation = self._facts, self._orientation
        is_doubtful = facts.is_side_in_file and not (orientation.is_upright or orientation == facts.orientation)
        return None if is_doubtful else self._side

    def set_side(self, side: Optional[str]) -> None:
        """Let the person say which of the patient's sides is at the left of the upright image, until the next film.

        Args:
            side: "left" or "right"; ``None`` to say nothing.
        """
        self._side = side
        self._refresh(None)

    @property
    def hovered(self) -> Optional[tuple[int, int]]:
        """(vertebra, point) under the mouse, as indices; ``None`` where there is none."""
        return self._hovered

    @property
    def placing(self) -> Optional[PlacementStep]:
        """What the next click places; ``None`` while nothing is placed."""
        return self._placing.step

    @property
    def drag_mode(self) -> str:
        """What dragging a point moves: ``POINT``, ``VERTEBRA`` or ``ROTATE``."""
        return self._drag_mode

    @drag_mode.setter
    def drag_mode(self, mode: str) -> None:
        if mode not in (POINT, VERTEBRA, ROTATE):
            raise ValueError(f"drag_mode {mode!r:.40} is not one of {POINT}, {VERTEBRA}, {ROTATE}")
        self._drag_mode = mode

    def on_change(self, listener: Callable[[Optional[Change]], object]) -> Callable[[], None]:
        """Call the listener after every change of points, film or placing; what is returned ends that.

        The listener gets the ``editing.Change``, or ``None`` where no point changed.
        """
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def show_image(self, film: Radiograph) -> None:
        """Show a film without points, in place of the one before."""
        self._placing.remove()
        self._film, self._lost = film, None
        self._hovered, self._side = None, film.facts.image_left_is
        self._orientation = film.facts.orientation or UPRIGHT
        self._build()
        self.editor.load(_NOTHING)

    def close_image(self) -> None:
        """Show nothing; points are forgotten, and the view is as it was before."""
        self._placing.remove()
        self._film = self._lost = self._hovered = self._side = None
        self._orientation = UPRIGHT
        self._tear_down()
        self.editor.load(_NOTHING)

    def restore(self) -> bool:
        """Show film and points again that a closed scene took away; returns whether there was something to show."""
        if self._lost is None:
            return False
        self._film, self._lost = self._lost, None
        self._build()
        self._refresh(None)
        return True

    def begin_local(self, path: str) -> Callable[[], Radiograph]:
        """Begin to read a film from a file, without a server, see ``local_files.begin_reading``.

        Returns:
            What gives the film, on any thread; ``show_image`` shows it.

        Raises:
            OSError: there is no such file; what is returned raises it too.
            ValueError: it is no image of one slice, or is damaged; what is returned raises it too.
        """
        return begin_reading(path)

    def load_local(self, path: str) -> Radiograph:
        """Read a film from a file at once; raises as ``begin_local`` does."""
        return read_image(path)

    def show_prediction(self, answer: Prediction) -> bool:
        """Show what the server found, see ``SpineEditor.propose``; returns whether that is a step that can be undone.

        Points that the person touched stay as they are.
        """
        return self.editor.propose(self._on_film(answer.spine), answer.origin)

    def follow_prediction(self, answer: Prediction) -> bool:
        """Show what the server found around the last edit, see ``SpineEditor.follow``; returns whether it did so."""
        return self.editor.follow(self._on_film(answer.spine), answer.origin)

    def set_label(
        self,
        markups: bytes,
        touched: Optional[np.ndarray] = None,
        origin: Origin = UNKNOWN,
        is_own: bool = False,
    ) -> None:
        """Show the points of a ``.mrk.json`` file and forget the history.

        Args:
            markups: content of the file.
            touched: see ``SpineEditor.load``.
            origin: see there.
            is_own: see there.

        Raises:
            ValueError: it is no Markups file of vertebra landmarks.
        """
        try:
            content = json.loads(markups.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"label: expected JSON, {error}") from error
        spine = from_markups(content, self._facts.geometry, "label")
        self.editor.load(self._on_film(spine, touched), touched, origin, is_own)

    def markups(self) -> bytes:
        """The points as content of a ``.mrk.json`` file, exactly as it is submitted and kept.

        What was written so, set again and not changed comes back byte for byte, unless the image's geometry has an
        origin or directions of its own: then to the last digit but one.
        """
        return json.dumps(to_markups(self.editor.spine(), self._facts.geometry), indent=1, allow_nan=False).encode(
            "utf-8"
        )

    def move_vertebra(self, vertebra: int, right: float, down: float) -> bool:
        """Shift a vertebra on the screen by so many pixels; returns whether that changed anything."""
        dx, dy = self.frame.shift_to_stored(np.array([right, down])).tolist()
        return self.editor.move_vertebra(vertebra, (dx, dy))

    def rotate_vertebra(self, vertebra: int, degrees: float) -> bool:
        """Turn a vertebra about its center, clockwise on the screen; returns whether that changed anything."""
        return self.editor.rotate_vertebra(vertebra, -degrees if self._orientation.is_mirrored else degrees)

    def set_layer(self, name: str, visible: bool) -> None:
        """Show or hide a layer, of this film and those to come.

        Raises:
            ValueError: it is not one of ``LAYERS``.
        """
        if name not in LAYERS:
            raise ValueError(f"layer {name!r:.40} is not one of {', '.join(LAYERS)}")
        (self._hidden_layers.discard if visible else self._hidden_layers.add)(name)
        self._show_layers()

    def set_window(self, window: Window) -> None:
        """Choose the gray values that are seen: a preset of ``WINDOWS``, or those that become black and white.

        Raises:
            ValueError: there is no such preset, or the values are not two rising numbers.
        """
        self._volume.set_window(window)

    def invert(self, on: bool) -> None:
        """Show bone dark."""
        self._volume.invert(on)

    def fit(self) -> None:
        """Show the whole film."""
        if self._film is not None:
            self._view.fit()

    def jump_to(self, vertebra: Optional[str]) -> None:
        """Show a vertebra with its neighbours, or the whole film.

        Args:
            vertebra: its name; one that is not visible is looked for between its nearest neighbours.

        Raises:
            ValueError: there is no such vertebra.
        """
        if vertebra is None:
            self.fit()
            return
        if vertebra not in VERTEBRAE:
            raise ValueError(f"vertebra {vertebra!r:.40} is not one of {', '.join(VERTEBRAE)}")
        if self._film is None:
            return
        xy, v = self.frame.to_upright(self.editor.xy), VERTEBRAE.index(vertebra)
        height = self._body_height(xy)
        near = next((found for reach in range(len(xy)) if len(found := _near(xy, v, reach))), None)
        if near is not None and height is not None:
            self._view.jump(near, _JUMP_BODIES * height)

    def start_placing(self, mode: str = "guided", vertebra: Optional[str] = None) -> None:
        """Let clicks in the view place points.

        Args:
            mode: "guided", point by point from T1 TL to L5 BR; "free", four corners of a vertebra in any order.
            vertebra: name of the one to begin at; left out, the first that lacks a corner.

        Raises:
            ValueError: mode or vertebra is unknown, or there is no film.
        """
        if self._film is None:
            raise ValueError("there is no film to place points on")
        if not self.editor.locked:
            self._placing.start(mode, vertebra, self.frame, self._view_id)

    def stop_placing(self) -> None:
        """Let the mouse do what it did before."""
        self._placing.stop()

    def place_skip(self) -> None:
        """Leave out what the next click would place."""
        self._placing.skip()

    def place_back(self) -> None:
        """Go back to what was placed before."""
        self._placing.back()

    def cleanup(self) -> None:
        """Remove all nodes and observers; the object is of no use afterwards."""
        self.close_image()
        self._observers.remove()
        self._unsubscribe()
        self._listeners = []

    @property
    def _facts(self) -> ImageInfo:
        film = self._film or self._lost
        return _NO_INFO if film is None else film.facts

    @property
    def frame(self) -> SceneFrame:
        """Where the film's pixels lie in the scene."""
        facts = self._facts
        return SceneFrame(facts.width, facts.height, facts.geometry.spacing, self._orientation)

    def _on_film(self, spine: Spine, touched: Optional[np.ndarray] = None) -> Spine:
        """A spine with what lies off the film not visible, but for what the person placed there."""
        facts = self._facts
        cut = spine.cut_to(facts.width, facts.height)
        is_saved = np.zeros(spine.visible.shape, bool) if touched is None else np.asarray(touched, bool)
        return Spine.from_arrays(spine.xy, spine.scores, spine.errors, np.where(is_saved, spine.visible, cut.visible))

    def _turn(self) -> None:
        """Show the film as the model found it upright, else as its file says, and in both cases as its points stand."""
        facts = self._facts
        known = self.editor.origin.orientation or facts.orientation or self._orientation
        orientation = orientation_of(self.editor.spine().xy, facts.width, facts.height, known)
        if orientation != self._orientation:
            self._placing.stop()
            self._orientation = orientation
            self._measurements = None
            self._build()

    @property
    def _view_id(self) -> Optional[str]:
        node = self._view.slice_node
        return None if node is None else node.GetID()

    def _build(self) -> None:
        film, view = self._film, self._view_id
        if film is None:
            return
        frame = self.frame
        self._volume.show(film, frame)
        self._points.create(frame, view)
        self._drawing.create(frame.upright, view)
        self._view.open(frame.upright, self._volume.node.GetID())
        self._points.set_locked(self.editor.locked)
        self._show_layers()

    def _tear_down(self) -> None:
        self._view.close()
        self._drawing.remove()
        self._points.remove()
        self._volume.remove()

    def _on_scene_closed(self) -> None:
        """Slicer removed every node; the points are in the editor."""
        if self._film is None:
            return
        self.editor.end()
        self._placing.remove()
        self._lost, self._film, self._hovered = self._film, None, None
        self._tear_down()
        self._notify(None)

    def _on_edit(self, change: Change) -> None:
        if change.kind == LOCKED:
            self._points.set_locked(self.editor.locked)
            if self.editor.locked:
                self._placing.stop()
        if change.kind in _OTHER_POINTS and self._film is not None:
            self._turn()
        self._refresh(change)

    def _refresh(self, change: Optional[Change]) -> None:
        self._measurements = None
        if self._film is not None:
            self._draw()
        self._notify(change)

    def _draw(self) -> None:
        if not (self._points.are_there and self._drawing.is_there and self._volume.node is not None):
            self._build()  # the user removed one of the nodes
        xy, found = self._visible_xy, self.measurements
        doubtful = {name for name, _ in found.doubtful}
        self._points.show(self.editor.xy, np.array([name in doubtful for name in VERTEBRAE]))
        self._drawing.draw_lines("bodies", body_lines(xy, found, self._shown))
        self._drawing.draw_lines("cobb", cobb_lines(xy, found.curves))
        self._draw_texts()

    def _draw_texts(self) -> None:
        """What depends on the zoom besides the points."""
        if self._film is None or self._scene.IsClosing():
            return
        xy, found, pixel = self._visible_xy, self.measurements, self._view.pixel_size
        height = self._body_height(xy)
        in_view = 0.0 if height is None else height / pixel
        shows_labels = "labels" in self._shown
        is_close = shows_labels and in_view >= _POINT_LABELS_FROM_PX
        names = []
        if shows_labels and not is_close:
            if in_view >= _NAMES_FROM_PX:
                names = name_texts(xy, found, _GAP_PX * pixel)
            names = [text._replace(y=text.y + FONT_PX["names"] * pixel) for text in names]
            names += self._hover_text(pixel)
        self._drawing.write_texts("names", names)
        letter = _LETTER * FONT_PX["angles"] * pixel
        self._drawing.write_texts("angles", angle_texts(xy, found.curves, self.frame.upright.width, letter))
        for kind in KINDS:
            self._points.set_labels(kind, is_close)

    def _hover_text(self, pixel: float) -> list[Text]:
        if self._hovered is None:
            return []
        xy, (v, p) = self.frame.to_upright(self.editor.xy), self._hovered
        if not np.isfinite(xy[v, p]).all() or p == _CENTER:
            return []
        x, y = xy[v, p] + (_HOVER_PX * pixel, 0)
        return [Text(float(x), float(y), label_of(VERTEBRAE[v], POINTS[p]))]

    @property
    def _visible_xy(self) -> np.ndarray:
        """``(V, P, 2)`` upright pixels of what the film shows, NaN elsewhere."""
        return np.where(self.measurements.visible[..., None], self.frame.to_upright(self.editor.xy), np.nan)

    @property
    def _shown(self) -> set[str]:
        return set(LAYERS) - self._hidden_layers

    def _show_layers(self) -> None:
        if self._film is None:
            return
        shown = self._shown
        self._view.show_image("film" in shown)
        for kind in KINDS:
            self._points.set_visible(kind, kind in shown)
        self._drawing.set_visible("bodies", bool(shown & {"outlines", "endplates"}))
        for role, layer in (("cobb", "angles"), ("angles", "angles"), ("names", "labels")):
            self._drawing.set_visible(role, layer in shown)
        self._draw()

    def _body_height(self, xy: np.ndarray) -> Optional[float]:
        heights = body_heights(corners_of(xy))
        heights = heights[np.isfinite(heights)]
        return float(np.median(heights)) if len(heights) else None

    def _on_begin(self, v: int, p: int) -> None:
        self._hovered = (v, p)
        self.editor.begin()

    def _on_move(self, v: int, p: int, place: np.ndarray) -> None:
        before = self.editor.xy[v]
        is_visible = np.isfinite(before[p]).all()
        if self.editor.locked:
            self._draw()  # moved by other means than the mouse, which the locked nodes refuse: put it back
        elif not is_visible or self._drag_mode == POINT:
            self.editor.place(v, p, place)
        elif self._drag_mode == VERTEBRA or p == _CENTER:
            self.editor.move_vertebra(v, place - before[p])
        else:
            pivot = pivot_of(before)
            (x0, y0), (x1, y1) = before[p] - pivot, place - pivot
            self.editor.rotate_vertebra(v, np.degrees(np.arctan2(x0 * y1 - y0 * x1, x0 * x1 + y0 * y1)))

    def _on_unset(self, v: int, p: int) -> None:
        if self.editor.locked:
            self._draw()
        else:
            self.editor.hide(v, p)

    def _on_hover(self, at: Optional[tuple[int, int]]) -> None:
        if at != self._hovered:
            self._hovered = at
            self._draw_texts()

    def _notify(self, change: Optional[Change]) -> None:
        for listener in tuple(self._listeners):
            listener(change)


def _near(xy: np.ndarray, v: int, reach: int) -> np.ndarray:
    """Visible points ``(N, 2)`` of the vertebrae that are ``reach`` away."""
    rows = [row for row in {v - reach, v + reach} if 0 <= row < len(xy)]
    points = xy[rows].reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]
