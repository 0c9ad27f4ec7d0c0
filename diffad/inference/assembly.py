"""The parts of a method around a trained network, put together for one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffad.capabilities import attach_networks, check_asking_score
from diffad.config import PartSpec, SpaceConfig, from_dict
from diffad.data.space import Space
from diffad.denoise import NetworkDenoiser, takes_neighbours
from diffad.inference.detector import DetectorRun
from diffad.inference.postprocess import Postprocess
from diffad.inference.precision import PRECISIONS, resolve_precision
from diffad.method import Method
from diffad.models.chunked import Chunked
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES, NOISES, SAMPLERS, SCORES, Registry
from diffad.schedule import Schedule, find_prediction


def assemble_detector(
    pipe: Any, method: Method, seed: int, batch_size: int, precision: str, progress: Callable[[int], Any]
) -> DetectorRun:
    """Put together what ``AnomalyPipeline.detector`` returns.

    Args:
        pipe: Pipeline with its networks, its scheduler and its settings.
        method: Parts by name.
        seed: Seed of all noise.
        batch_size: Slices per network evaluation.
        precision: Number format of the network.
        progress: Called with the number of slices just finished.

    Raises:
        ValueError: If an option of a part, or the precision, cannot be used.
        UnknownNameError: If a part or an option is unknown.
    """
    networks = pipe.networks

    def build(registry: Registry, spec: PartSpec | None) -> Any:
        part = registry.build(**(spec or {}))
        attach_networks(part, networks)
        return part

    precision = resolve_precision(precision, pipe.device, pipe.engine.name)
    engine_network = pipe.engine.bind(pipe.network, precision, batch_size)
    network, schedule = (
        Chunked(engine_network, batch_size, pipe.memory),
        Schedule.from_diffusers(pipe.scheduler),
    )
    is_image = not pipe.coding.is_coded
    denoiser: Denoiser = NetworkDenoiser(network, schedule, find_prediction(pipe.scheduler), clip=is_image)
    if method.guidance:
        denoiser = build(GUIDANCES, method.guidance)(denoiser)
    space = Space(from_dict(SpaceConfig, dict(pipe.config.space)))
    score = build(SCORES, method.score)
    name = str((method.score or {}).get("name"))
    check_asking_score(score, name, takes_neighbours(pipe.network), pipe.coding.is_coded)
    return DetectorRun(
        denoiser=denoiser,
        noise=build(NOISES, method.noise),
        sampler=build(SAMPLERS, method.sampler),
        score=score,
        post=Postprocess.from_options(pipe.config.postprocess),
        space=space,
        seed=seed,
        batch_size=batch_size,
        device=pipe.device,
        autocast=PRECISIONS[precision],
        progress=progress,
        memory=pipe.memory,
        networks=tuple(networks.values()),
        coding=pipe.coding,
    )
