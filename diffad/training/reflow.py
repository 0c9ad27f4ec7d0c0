"""A network learns the way that another one takes in several moves: straighter paths, or fewer looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config
from diffad.denoise import NetworkDenoiser, bind
from diffad.protocols import Denoiser
from diffad.registry import MODELS
from diffad.samplers.base import as_level, levels_down
from diffad.schedule import Schedule
from diffad.step import EulerFlow
from diffad.training.batch import condition_kwargs
from diffad.training.distilling import ask_for, find_gap, look_consistently, walk_down
from diffad.training.parts import build_part
from diffad.training.transfer import load_weights, locate_start
from diffad.types import Example


class Teacher:
    r"""A frozen network that says what a student should find.

    By its rule, it says where the far end of a straight path leads ("path"),

    .. math:: \hat x = z + \frac{1}{N} \sum_{k=1}^{N} -u(x_{t_k}, t_k), \quad
              x_t = (1 - t / T) \hat x + (t / T) z

    or where N moves lead from the state that the student is shown ("state"), or it makes one move of N, and
    the averaged student itself says the rest ("consistency"). The two leave the state as it is.

    Args:
        network: The teacher.
        schedule: Amplitudes by level; straight paths for "path".
        steps: Moves N.
        rule: "path", "state" or "consistency".
        prediction: What the network predicts.
        levels: Lowest and highest level trained on, of which "consistency" makes N moves.

    Reference:
        Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow (Liu et al., 2023),
        algorithm 1; for the others see ``diffad.training.distilling``.
    """

    def __init__(
        self,
        network: Any,
        schedule: Schedule,
        steps: int,
        rule: str = "path",
        prediction: str = "flow",
        levels: tuple[int, int] = (1, 1000),
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.schedule, self.steps, self.rule, self.prediction = schedule, steps, rule, prediction
        self._levels = levels_down(schedule.num_levels, steps) if rule == "path" else []
        self._gap = find_gap(levels, steps)

    @classmethod
    def of(cls, config: Config, schedule: Schedule, device: torch.device) -> Teacher | None:
        """Load the teacher that a config names, if any."""
        train = config.train
        if train.teacher is None:
            return None
        network = build_part(MODELS, config.model, "model")
        load_weights(network, locate_start(train.teacher))
        recipe = (train.teacher_steps, train.teacher_rule, config.schedule.prediction_type, train.levels)
        return cls(network.to(device), schedule, *recipe)

    @torch.no_grad()
    def replace_target(
        self, example: Example, t: Tensor, find_student: Callable[[], Any] | None = None
    ) -> Example:
        """Return the examples with what the teacher makes of them as what is to be found.

        Args:
            example: Examples at levels ``t``; ``z`` (B, C, *S) are the far ends.
            t: Levels, (B,).
            find_student: Returns the student with averaged weights, which "consistency" asks.

        Raises:
            ValueError: If there is no student for "consistency".
        """
        if self.rule == "path":
            return self._follow_path(example, t)
        teacher = self._bind(self.network, example)
        if self.rule == "state":
            return ask_for(walk_down(teacher, example.x_t, t, self.steps), example, t, self.schedule)
        if find_student is None:
            raise ValueError("a teacher of rule 'consistency' expected a student to ask, got none")
        student = self._bind(find_student(), example)
        x = look_consistently(teacher, student, example.x_t, t, self._gap)
        return ask_for(x, example, t, self.schedule)

    def _follow_path(self, example: Example, t: Tensor) -> Example:
        denoiser, x_t = self._bind(self.network, example, clip=False), example.z
        for level, s in zip(self._levels, self._levels[1:], strict=False):
            x_hat = denoiser(x_t, as_level(level, x_t))
            x_t = EulerFlow()(x_t, x_hat, level, s, self.schedule, x_t)
        return replace(example, x=x_t, x_t=self.schedule.add_noise(x_t, example.z, t))

    def _bind(self, network: Any, example: Example, clip: bool = True) -> Denoiser:
        """Tie a network to what it is told of the examples."""
        inner = NetworkDenoiser(network, self.schedule, self.prediction, clip=clip)
        return bind(inner, condition_kwargs(network, example))
