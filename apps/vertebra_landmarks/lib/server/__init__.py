"""How landmarks are served: MONAI Label tasks, the studies folder, and the web application."""
