"""3D Slicer's Qt, scene and slice view without a desktop, on Slicer's own libraries."""
