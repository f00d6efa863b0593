"""How good predicted spines are: errors, box matching, calibration, tables of figures."""
