"""Phantoms: procedural radiographs of the spine with exact landmarks, and images without a spine."""

from .lateral import OTHER_VIEWS, other_view
from .render import Phantom, render_phantom
from .spec import COLLIMATIONS, IMPLANTS, PhantomSpec, random_curves, random_spec
from .spineless import SPINELESS, random_spineless, spineless_kind

__all__ = [
    "COLLIMATIONS",
    "IMPLANTS",
    "OTHER_VIEWS",
    "SPINELESS",
    "Phantom",
    "PhantomSpec",
    "other_view",
    "random_curves",
    "random_spec",
    "random_spineless",
    "render_phantom",
    "spineless_kind",
]
