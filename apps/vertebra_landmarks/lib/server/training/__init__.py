"""Training: request, dataset, stages, publish gate."""
