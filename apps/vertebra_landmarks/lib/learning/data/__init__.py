"""From files to tensors: data sets, labelled items, random views, patches, rehearsal.

An item is a dict with the keys below.
"""

IMAGE = "image"
"""Path, ``Radiograph`` or ``(H, W)`` array at first; then a ``(1, H, W)`` tensor in 0...1."""
LABEL = "label"
"""``(V, P, 3)`` x, y, state; optional."""
MATRIX = "matrix"
"""``(3, 3)`` from original pixels to pixels of ``IMAGE``."""
