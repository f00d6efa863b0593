"""A trained model for other programs: ONNX, TorchScript, torch.export, and a MONAI bundle. See docs/EXPORT.md."""
