"""Label files: Markups, exchange formats, checks against their image."""
