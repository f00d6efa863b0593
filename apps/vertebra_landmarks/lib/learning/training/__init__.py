"""Training: loop, the two networks' trainers, losses."""
