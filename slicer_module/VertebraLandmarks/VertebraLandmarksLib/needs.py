"""What the controller needs of the logic and its editor, so that it can be run without a scene."""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol

import numpy as np

from .answers import Answer, Film
from .spine.schema import Spine


class Editor(Protocol):
    """The points of the open film, see ``editing.SpineEditor``."""

    touched: np.ndarray

    @property
    def xy(self) -> np.ndarray:
        """``(V, P, 2)`` pixels, NaN where not visible."""

    @property
    def edits(self) -> int:
        """How many changes were made."""

    def load(self, spine: Spine, touched: Optional[np.ndarray] = None) -> None:
        """Begin with these points, of which the person has set those where the ``(V, P)`` mask is true."""

    def spine(self) -> Spine:
        """The points as they are."""

    def fixed(self) -> dict[str, dict[str, list[float]]]:
        """What the person has set and is visible, for ``Client.infer``."""

    def subscribe(self, listener: Callable[[Any], object]) -> Callable[[], object]:
        """Call the listener after every change; returns what ends that."""


class Logic(Protocol):
    """The film and its points, see ``logic.VertebraLandmarksLogic``."""

    editor: Any
    film: Optional[Film]

    def show_film(self, film: Film) -> None:
        """Show a film without points, in place of the one before."""

    def close_film(self) -> None:
        """Show nothing."""

    def load_local(self, path: str) -> Film:
        """Read a file without a server, and show it; raises ValueError or OSError with a sentence."""

    def set_answer(self, answer: Answer) -> None:
        """Show what the server found; points that the person touched stay as they are."""

    def set_label(self, markups: bytes) -> None:
        """Show the points of a ``.mrk.json`` file; raises ValueError where it is none."""

    def markups(self) -> bytes:
        """The points as content of a ``.mrk.json`` file, exactly as it is submitted."""
