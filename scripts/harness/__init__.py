"""What tests and snapshots need around the app: local servers, and Slicer without a desktop."""
