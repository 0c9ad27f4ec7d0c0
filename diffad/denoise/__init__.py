"""Denoisers: networks of every kind, and what wraps them, asked the one question of samplers."""

from typing import Any

from diffad.denoise.network import PREDICTIONS as PREDICTIONS
from diffad.denoise.network import NetworkDenoiser as NetworkDenoiser
from diffad.denoise.network import call_network as call_network
from diffad.denoise.network import clean_estimate as clean_estimate
from diffad.denoise.network import learns_variance as learns_variance
from diffad.denoise.network import marks_anomalies as marks_anomalies
from diffad.denoise.network import network_conditions as network_conditions
from diffad.denoise.network import null_label as null_label
from diffad.denoise.network import rebuild_weight as rebuild_weight
from diffad.denoise.network import split_answer as split_answer
from diffad.denoise.network import takes_neighbours as takes_neighbours
from diffad.denoise.network import takes_place as takes_place
from diffad.denoise.network import takes_whole as takes_whole
from diffad.denoise.network import training_target as training_target
from diffad.denoise.plain import PlainDenoiser as PlainDenoiser
from diffad.denoise.plain import as_denoiser as as_denoiser
from diffad.denoise.wrapper import ClampedDenoiser as ClampedDenoiser
from diffad.denoise.wrapper import ConditionedDenoiser as ConditionedDenoiser
from diffad.denoise.wrapper import DenoiserWrapper as DenoiserWrapper
from diffad.denoise.wrapper import GuidedDenoiser as GuidedDenoiser
from diffad.denoise.wrapper import bind as bind

FORMER = {"unclipped": "without_clamp", "unguided": "without_guidance", "taken": "select"}
"""Former functions of this module, which parts of other distributions may still import, by their methods."""


def __getattr__(name: str) -> Any:
    if name not in FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda denoiser, *items: getattr(as_denoiser(denoiser), FORMER[name])(*items)
