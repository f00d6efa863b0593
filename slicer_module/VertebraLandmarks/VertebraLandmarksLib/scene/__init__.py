"""MRML nodes, VTK and files of the open image; no Qt and no HTTP."""
