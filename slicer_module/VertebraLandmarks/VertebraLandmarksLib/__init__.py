"""The library of the Slicer module; ``ARCHITECTURE.md`` of the project says which file may import which."""
