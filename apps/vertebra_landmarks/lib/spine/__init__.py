"""The spine: schema, geometry, label files and measurement (standard library and numpy only)."""
