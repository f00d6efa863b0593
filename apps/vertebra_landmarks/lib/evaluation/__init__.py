"""Evaluation of predicted spines: metrics, box matching, calibration, tables of figures."""
