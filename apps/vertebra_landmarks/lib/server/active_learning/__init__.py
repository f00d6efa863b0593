"""Choice of the next image: strategies, background scoring and predictions ahead of time."""
