"""PNG, JPEG, TIFF and other raster files."""
