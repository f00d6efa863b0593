"""HTTP client of the MONAI Label server: standard library only."""
