"""Trained models that come with the package: safetensors and JSON, no code."""
