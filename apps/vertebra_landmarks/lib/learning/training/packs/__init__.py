"""Training from a pack: one file with all images and labels, and a schedule against the clock."""
