"""Inference: request, queue, image cache and response."""
