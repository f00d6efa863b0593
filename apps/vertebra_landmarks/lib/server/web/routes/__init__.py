"""Routes, one file per URL prefix."""
