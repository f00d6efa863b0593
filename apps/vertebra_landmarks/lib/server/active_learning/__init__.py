"""Which image comes next: strategies, background scores, predictions ahead of time."""
