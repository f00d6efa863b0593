"""Inference: from a Radiograph to a Prediction."""
