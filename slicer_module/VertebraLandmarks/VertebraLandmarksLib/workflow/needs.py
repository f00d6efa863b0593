"""What the controller needs of the logic and its editor, so that it can be run without a scene."""

from __future__ import annotations

from typing import Callable, Optional, Protocol

import numpy as np

from ..client.provenance import UNKNOWN, Origin
from ..client.responses import Answer, Film
from ..editor.spine_editor import SpineEditor
from ..spine.imaging.image_frame import ImageFrame


class Logic(Protocol):
    """The film and its points, see ``logic.VertebraLandmarksLogic``."""

    editor: SpineEditor

    @property
    def film(self) -> Optional[Film]:
        """The film that is shown."""

    @property
    def image_frame(self) -> ImageFrame:
        """What measuring needs to know about the film."""

    @property
    def image_left_is(self) -> Optional[str]:
        """The patient's side at the left of the upright image; ``None`` where nobody knows."""

    def set_side(self, side: Optional[str]) -> None:
        """Let the person say which of the patient's sides is at the left of the upright image."""

    def show_film(self, film: Film) -> None:
        """Show a film without points, in place of the one before."""

    def close_film(self) -> None:
        """Show nothing."""

    def restore(self) -> bool:
        """Show again what a closed scene took away; returns whether there was something."""

    def begin_local(self, path: str) -> Callable[[], Film]:
        """Begin to read a file without a server; what is returned gives the film, on any thread.

        Both raise ValueError or OSError with a sentence.
        """

    def set_answer(self, answer: Answer) -> bool:
        """Show what the server found; returns whether that is a step that can be undone."""

    def follow_answer(self, answer: Answer) -> bool:
        """Show what the server found around the last edit, as a part of it; returns whether that was done."""

    def set_label(
        self, markups: bytes, touched: Optional[np.ndarray] = None, origin: Origin = UNKNOWN, is_own: bool = False
    ) -> None:
        """Show the points of a ``.mrk.json`` file; raises ValueError where it is none."""

    def markups(self) -> bytes:
        """The points as content of a ``.mrk.json`` file, exactly as it is submitted."""
