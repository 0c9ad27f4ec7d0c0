"""Options of a call by the names that diffusers gives them, made those of the house."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import torch

from diffad.method import Method
from diffad.registry import SAMPLERS


def draw_seed(seed: int, generator: Any = None) -> int:
    """Return the seed of a run: the one given, or the next whole number that a generator draws.

    Args:
        seed: Seed of all noise.
        generator: A ``torch.Generator``, whose state moves on, or none.

    Raises:
        TypeError: If it is something else.
        ValueError: If there is a seed beside it.
    """
    if generator is None:
        return seed
    if not isinstance(generator, torch.Generator):
        kind = type(generator).__name__
        raise TypeError(f"generator: expected one torch.Generator, which the seed is drawn from, got {kind}")
    if seed:
        raise ValueError(f"expected seed or generator, got both, seed={seed} and a generator")
    return int(torch.randint(2**31, (), generator=generator, device=generator.device))


def set_steps(method: Method, steps: int | None) -> Method:
    """Return a method whose sampler makes so many steps; the method itself for none.

    Args:
        method: Method with a sampler by name.
        steps: Steps of the sampler, its option of that name.

    Raises:
        ValueError: If the sampler has no such option, or the number is below 1.
    """
    if steps is None:
        return method
    sampler = dict(method.sampler or {})
    options = list(inspect.signature(SAMPLERS[sampler["name"]]).parameters)
    if "steps" not in options:
        has = f"which has {', '.join(options)}"
        raise ValueError(
            f"num_inference_steps: expected a sampler with steps, got {sampler['name']!r}, {has}"
        )
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"num_inference_steps: expected a whole number of at least 1, got {steps!r}")
    return replace(method, sampler={**sampler, "steps": steps})
