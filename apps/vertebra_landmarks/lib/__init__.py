"""Vertebra Landmarks: 17 centers and 68 corners of T1-L5 on anteroposterior spine radiographs."""

__version__ = "0.8.0"
