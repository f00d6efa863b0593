"""Work on one image from the browser page: measurements while points move, labels, and who else is at work."""
