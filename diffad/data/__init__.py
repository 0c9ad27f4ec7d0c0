"""Volumes, slices and data sets."""

from diffad.data import auto as auto
from diffad.data import images as images
from diffad.data import mix as mix
from diffad.data import synthetic as synthetic
from diffad.data import toy as toy
from diffad.data import volumes as volumes
