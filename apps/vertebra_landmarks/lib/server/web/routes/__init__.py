"""The routes, one file per URL prefix."""
