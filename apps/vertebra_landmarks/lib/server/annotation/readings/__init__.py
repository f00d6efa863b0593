"""The readings of a study: rows and slots, what is hidden from whom, the next image, and adjudication."""
