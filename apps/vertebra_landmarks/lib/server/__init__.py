"""How landmarks are served: the MONAI Label tasks."""
