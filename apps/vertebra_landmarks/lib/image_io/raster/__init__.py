"""PNG, JPEG, BMP and TIFF files."""
