"""What a spine is: names, points, files and geometry (standard library and numpy only)."""
