"""Readers of labelled images, one file per format; ``registry`` lists them."""
