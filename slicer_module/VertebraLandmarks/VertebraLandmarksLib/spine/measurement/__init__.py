"""Measurements of a spine: Cobb angles, anatomy checks, intervals, warnings, reports."""
