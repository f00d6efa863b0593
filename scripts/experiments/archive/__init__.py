"""Measurements of predictions over archives."""
