"""Samplers: how a scan becomes its pseudo-healthy reconstruction."""

if __name__ != "diffad.samplers":
    raise ImportError(f"this folder is the package diffad.samplers: import it so, not as {__name__!r}")

from diffad.samplers import chain as chain
from diffad.samplers import direct as direct
from diffad.samplers import ensemble as ensemble
from diffad.samplers import fusion as fusion
from diffad.samplers import gated as gated
from diffad.samplers import harmonised as harmonised
from diffad.samplers import inversion as inversion
from diffad.samplers import itermask as itermask
from diffad.samplers import levels as levels
from diffad.samplers import oneshot as oneshot
from diffad.samplers import patched as patched
from diffad.samplers import resampled as resampled
from diffad.samplers import severities as severities
from diffad.samplers import solver as solver
