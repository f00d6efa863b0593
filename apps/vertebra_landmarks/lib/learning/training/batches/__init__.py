"""Random views and patches of whole batches, made on the device that trains."""
