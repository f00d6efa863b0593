"""Frame, physical geometry and orientation of the image that points belong to."""
