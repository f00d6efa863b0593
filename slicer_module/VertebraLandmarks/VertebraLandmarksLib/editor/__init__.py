"""The points of one image: moves, undo, placement, measurements, overlay geometry; no Slicer."""
