"""Guidance schemes: each wraps a denoiser into one that is steered."""
