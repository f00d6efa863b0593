"""Prediction over archives of images: planned once, done in parts by any number of processes, resumed after any end."""
