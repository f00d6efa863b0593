"""One training round: labels, stages, publishing."""
