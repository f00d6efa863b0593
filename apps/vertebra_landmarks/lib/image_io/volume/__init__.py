"""NIfTI and NRRD files that hold one plane."""
