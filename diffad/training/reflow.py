"""Straight paths made straighter: a network learns the way that another one takes in several moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config
from diffad.denoise import NetworkDenoiser, bind
from diffad.registry import MODELS
from diffad.samplers.base import as_level, levels_down
from diffad.schedule import Schedule
from diffad.step import EulerFlow
from diffad.training.batch import condition_kwargs
from diffad.training.parts import build_part
from diffad.training.transfer import load_weights
from diffad.types import Example


class Teacher:
    r"""A frozen network of flows that says where the far end of a path leads.

    .. math:: \hat x = z + \frac{1}{N} \sum_{k=1}^{N} -u(x_{t_k}, t_k), \quad
              x_t = (1 - t / T) \hat x + (t / T) z

    Args:
        network: Predicts the velocity u.
        schedule: Straight paths.
        steps: Moves N.

    Reference:
        Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow (Liu et al., 2023),
        algorithm 1.
    """

    def __init__(self, network: Any, schedule: Schedule, steps: int) -> None:
        self.network = network.eval().requires_grad_(False)
        self.schedule = schedule
        self._levels = levels_down(schedule.num_levels, steps)

    @classmethod
    def of(cls, config: Config, schedule: Schedule, device: torch.device) -> Teacher | None:
        """Load the teacher that a config names, if any."""
        train = config.train
        if train.teacher is None:
            return None
        network = build_part(MODELS, config.model, "model")
        load_weights(network, Path(train.teacher))
        return cls(network.to(device), schedule, train.teacher_steps)

    @torch.no_grad()
    def replace_target(self, example: Example, t: Tensor) -> Example:
        """Return the examples with what the teacher makes of their far ends as what is to be found.

        Args:
            example: Examples at levels ``t``; ``z`` (B, C, *S) are the far ends.
            t: Levels, (B,).
        """
        inner = NetworkDenoiser(self.network, self.schedule, "flow", clip=False)
        denoiser, x_t = bind(inner, condition_kwargs(self.network, example)), example.z
        for level, s in zip(self._levels, self._levels[1:], strict=False):
            x_hat = denoiser(x_t, as_level(level, x_t))
            x_t = EulerFlow()(x_t, x_hat, level, s, self.schedule, x_t)
        return replace(example, x=x_t, x_t=self.schedule.add_noise(x_t, example.z, t))
