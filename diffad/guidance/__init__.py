"""Guidance schemes: each wraps a denoiser into one that is steered."""

from diffad.guidance import classifier as classifier
from diffad.guidance import conditions as conditions
from diffad.guidance import encoder as encoder
from diffad.guidance import free as free
