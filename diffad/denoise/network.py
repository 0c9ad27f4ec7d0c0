"""Networks of every kind, adapted once to the one question samplers ask: what was the clean image?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffad.protocols import (
    Conditional,
    Denoiser,
    LearnsVariance,
    MarksAnomalies,
    RebuildsTwice,
    TakesLabels,
    TakesNeighbours,
    TakesPlace,
    TakesWhole,
)
from diffad.schedule import ColdSchedule, Schedule, StraightSchedule

PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow", "cold")
STRAIGHT_PREDICTIONS = ("sample", "flow")
"""What is defined at all levels of straight paths, whose last holds nothing of the scan."""


def clean_estimate(output: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule, prediction: str) -> Tensor:
    r"""Turn what a network predicts into the clean image.

    .. math::
        \hat x = (x_t - \sigma_t \hat\epsilon) / \alpha_t, \quad
        \hat x = \alpha_t x_t - \sigma_t \hat v, \quad \hat x = \hat x_0, \quad
        \hat x = (x_t - \sigma_t \hat u) / (\alpha_t + \sigma_t)

    Args:
        output: Network output, (B, C, *S).
        x_t: State at level t, (B, C, *S).
        t: Level, () or (B,).
        schedule: Amplitudes by level.
        prediction: "epsilon", "v_prediction" (in diffusion), "sample", or "flow", the velocity
            :math:`u = z - x` from the image to the noise, as diffusers has it; "cold" is the image, too,
            where damage stands in the place of noise.

    Reference:
        Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022), section 4.
        Flow Straight and Fast (Liu et al., 2023), eq. 1, in the other direction.
    """
    alpha, sigma = schedule.amplitudes(t, x_t)
    if prediction == "epsilon":
        return (x_t - sigma * output) / alpha
    if prediction == "v_prediction":
        return alpha * x_t - sigma * output
    if prediction == "flow":
        return (x_t - sigma * output) / (alpha + sigma)
    return output


def training_target(x: Tensor, z: Tensor, t: Tensor, schedule: Schedule, prediction: str) -> Tensor:
    """Return what a network of this prediction type should answer for clean ``x``, noise ``z`` (B, C, *S)."""
    alpha, sigma = schedule.amplitudes(t, x)
    if prediction == "epsilon":
        return z
    if prediction == "v_prediction":
        return alpha * z - sigma * x
    if prediction == "flow":
        return z - x
    return x


def call_network(network: Callable[..., Any], x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
    """Call a network with label t - 1 as a (B,) tensor and unwrap its answer."""
    labels = (torch.as_tensor(t, device=x_t.device) - 1).expand(x_t.shape[0]).long()
    output = network(x_t, labels, **cond)
    if isinstance(output, Tensor):
        return output
    return output[0] if isinstance(output, tuple) else output.sample


def network_conditions(network: Any, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return what a network must know of ``image`` (B, C, *S) in [0, 1], by name; most need nothing."""
    return network.conditions(image, mask) if isinstance(network, Conditional) else {}


def null_label(network: Any) -> int | None:
    """Return the label of no class that a network takes, or none where it takes no labels."""
    return network.null if isinstance(network, TakesLabels) else None


def takes_place(network: Any) -> bool:
    """Tell whether a network may be told the place of a slice in the brain."""
    return isinstance(network, TakesPlace) and network.takes_place


def takes_neighbours(network: Any) -> int:
    """Return how many slices below and above its own a network is shown."""
    return network.takes_neighbours if isinstance(network, TakesNeighbours) else 0


def takes_whole(network: Any) -> bool:
    """Tell whether a network is shown the image noised everywhere beside its state."""
    return isinstance(network, TakesWhole) and network.takes_whole


def rebuild_weight(network: Any) -> float:
    """Return the weight of what a network answers beside the rest in training, or 0."""
    return network.rebuild_weight if isinstance(network, RebuildsTwice) else 0.0


def marks_anomalies(network: Any) -> bool:
    """Tell whether the last channel of a network's answer says how likely a voxel is not healthy."""
    return isinstance(network, MarksAnomalies) and network.marks


def learns_variance(network: Any) -> bool:
    """Tell whether a network answers how wide a move is, where one asks for it."""
    return isinstance(network, LearnsVariance) and network.learns_variance


def split_answer(output: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """Split an answer into that for the image, (B, C, *S), and the logits of anomalies (B, 1, *S), if any."""
    answer, logits = output[:, :channels], output[:, channels:]
    return answer, logits if logits.shape[1] else None


class NetworkDenoiser(Denoiser):
    """Estimates the clean image with a network that predicts noise, velocity or the image itself.

    Args:
        network: Called as ``network(x_t, labels)``; answers a tensor, a tuple or an output with ``.sample``.
        schedule: Amplitudes by level.
        prediction_type: "epsilon", "v_prediction", "sample", "flow" or "cold", see ``clean_estimate``.
        clip: Clamp the estimate to the model range [-1, 1].

    Raises:
        ValueError: If the prediction type is unknown or not of straight paths or of damage, where these are,
            or a level is outside 1..T on call.
    """

    def __init__(
        self,
        network: Callable[..., Any],
        schedule: Schedule,
        prediction_type: str = "epsilon",
        clip: bool = True,
    ) -> None:
        if prediction_type not in PREDICTIONS:
            raise ValueError(f"prediction_type must be one of {PREDICTIONS}, got {prediction_type!r}")
        if isinstance(schedule, StraightSchedule) and prediction_type not in STRAIGHT_PREDICTIONS:
            names = " or ".join(STRAIGHT_PREDICTIONS)
            raise ValueError(f"prediction_type must be {names} on straight paths, got {prediction_type!r}")
        if isinstance(schedule, ColdSchedule) != (prediction_type == "cold"):
            expected = "cold on" if isinstance(schedule, ColdSchedule) else "another without"
            raise ValueError(f"prediction_type must be {expected} levels of damage, got {prediction_type!r}")
        self.network = network
        self.clip = clip
        self._prediction_type = prediction_type
        self._schedule = schedule

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        return self._schedule

    @property
    def prediction_type(self) -> str:
        """What the network predicts."""
        return self._prediction_type

    @property
    def clamps(self) -> bool:
        """Whether estimates are clamped to [-1, 1]."""
        return self.clip

    @property
    def null_label(self) -> int | None:
        """Label of no class; none where the network takes no labels."""
        return null_label(self.network)

    @property
    def takes_place(self) -> bool:
        """Whether it may be told the place of a slice in the brain, as ``place`` (B, 2)."""
        return takes_place(self.network)

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own the network is shown."""
        return takes_neighbours(self.network)

    @property
    def takes_whole(self) -> bool:
        """Whether the network is shown the image noised everywhere beside its state."""
        return takes_whole(self.network)

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        return self.estimate(x_t, t, **cond)[0]

    def estimate(self, x_t: Tensor, t: Tensor, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """Return x_hat, and the probability (B, 1, *S) of an anomaly where the network marks them."""
        t = torch.as_tensor(t, device=x_t.device)
        if int(t.min()) < 1:
            raise ValueError(f"a network is called at levels 1..{self.schedule.num_levels}, got {t.tolist()}")
        if "neighbour_noise" in cond:
            clean, z = cond.pop("neighbours"), cond.pop("neighbour_noise")
            cond["neighbours"] = self.schedule.add_noise(clean, z, t)
        output = call_network(self.network, x_t, t, **cond).to(x_t.dtype)
        logits = None
        if marks_anomalies(self.network):
            output, logits = split_answer(output, x_t.shape[1])
        x_hat = clean_estimate(output, x_t, t, self.schedule, self.prediction_type)
        return x_hat.clamp(-1, 1) if self.clip else x_hat, None if logits is None else logits.sigmoid()

    def without_clamp(self) -> NetworkDenoiser:
        """Return the same denoiser without the clamp; itself where it has none."""
        if not self.clip:
            return self
        return NetworkDenoiser(self.network, self.schedule, self.prediction_type, clip=False)

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what the network must know of ``image`` (B, C, *S) in [0, 1]; most need nothing."""
        return network_conditions(self.network, image, mask)
