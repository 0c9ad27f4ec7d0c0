"""Guidance schemes: each wraps a denoiser into one that is steered."""

from diffad.guidance import encoder as encoder
