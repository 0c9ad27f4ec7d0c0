"""Noise generators: what corrupts the scan before the network rebuilds it."""

if __name__ != "diffad.noise":
    raise ImportError(f"this folder is the package diffad.noise: import it so, not as {__name__!r}")

from diffad.noise import bank as bank
from diffad.noise import coarse as coarse
from diffad.noise import gaussian as gaussian
from diffad.noise import mixed as mixed
from diffad.noise import pyramid as pyramid
from diffad.noise import simplex as simplex
