"""Networks of every kind, adapted once to the one question samplers ask: what was the clean image?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from einops import repeat
from torch import Tensor

from diffad.protocols import Denoiser
from diffad.schedule import Schedule

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def clean_estimate(output: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule, prediction: str) -> Tensor:
    r"""Turn what a network predicts into the clean image.

    .. math::
        \hat x = (x_t - \sigma_t \hat\epsilon) / \alpha_t, \quad
        \hat x = \alpha_t x_t - \sigma_t \hat v, \quad \hat x = \hat x_0

    Args:
        output: Network output, (B, C, *S).
        x_t: State at level t, (B, C, *S).
        t: Level, () or (B,).
        schedule: Amplitudes by level.
        prediction: "epsilon", "v_prediction" or "sample".

    Reference:
        Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022), section 4.
    """
    alpha, sigma = schedule.amplitudes(t, x_t)
    if prediction == "epsilon":
        return (x_t - sigma * output) / alpha
    if prediction == "v_prediction":
        return alpha * x_t - sigma * output
    return output


def training_target(x: Tensor, z: Tensor, t: Tensor, schedule: Schedule, prediction: str) -> Tensor:
    """Return what a network of this prediction type should answer for clean ``x``, noise ``z`` (B, C, *S)."""
    alpha, sigma = schedule.amplitudes(t, x)
    if prediction == "epsilon":
        return z
    if prediction == "v_prediction":
        return alpha * z - sigma * x
    return x


def call_network(network: Callable[..., Any], x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
    """Call a network with label t - 1 as a (B,) tensor and unwrap its answer."""
    labels = (torch.as_tensor(t, device=x_t.device) - 1).expand(x_t.shape[0]).long()
    output = network(x_t, labels, **cond)
    if isinstance(output, Tensor):
        return output
    return output[0] if isinstance(output, tuple) else output.sample


class NetworkDenoiser:
    """Estimates the clean image with a network that predicts noise, velocity or the image itself.

    Args:
        network: Called as ``network(x_t, labels)``; answers a tensor, a tuple or an output with ``.sample``.
        schedule: Amplitudes by level.
        prediction_type: "epsilon", "v_prediction" or "sample".
        clip: Clamp the estimate to the model range [-1, 1].

    Raises:
        ValueError: If the prediction type is unknown, or a level is outside 1..T on call.
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
        self.network = network
        self.prediction_type = prediction_type
        self.clip = clip
        self._schedule = schedule

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        return self._schedule

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        t = torch.as_tensor(t, device=x_t.device)
        if int(t.min()) < 1:
            raise ValueError(f"a network is called at levels 1..{self.schedule.num_levels}, got {t.tolist()}")
        output = call_network(self.network, x_t, t, **cond).to(x_t.dtype)
        x_hat = clean_estimate(output, x_t, t, self.schedule, self.prediction_type)
        return x_hat.clamp(-1, 1) if self.clip else x_hat

    def unclipped(self) -> NetworkDenoiser:
        """Return the same denoiser without the clamp."""
        return NetworkDenoiser(self.network, self.schedule, self.prediction_type, clip=False)

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what the network must know of ``image`` (B, C, *S) in [0, 1]; most need nothing."""
        ask = getattr(self.network, "conditions", None)
        return ask(image, mask) if ask is not None else {}


@dataclass(frozen=True)
class Bound:
    """A denoiser together with what it must know of one batch of scans.

    Args:
        denoiser: The denoiser.
        cond: Conditions by name, one row for each of the b scans.
    """

    denoiser: Denoiser
    cond: Mapping[str, Tensor]

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        return self.denoiser.schedule

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Denoise a stack "(k b)" of k states of each scan, (k b, C, *S), at levels () or (k b,)."""
        known = {name: _repeated(value, len(x_t)) for name, value in self.cond.items()}
        return self.denoiser(x_t, t, **known, **cond)

    def unclipped(self) -> Denoiser:
        """Return the same denoiser without the clamp, where it has one."""
        return Bound(unclipped(self.denoiser), self.cond)

    def unguided(self) -> Denoiser:
        """Return the same denoiser without its steering, where it has any."""
        return Bound(unguided(self.denoiser), self.cond)

    def taken(self, items: Tensor) -> Denoiser:
        """Return the denoiser of some states of a stack "(k b)" of the b scans, by their numbers (n,)."""
        cond = {k: value[(items % len(value)).to(value.device)] for k, value in self.cond.items()}
        return Bound(taken(self.denoiser, items), cond)


def _repeated(value: Tensor, length: int) -> Tensor:
    if length % len(value):
        raise ValueError(f"expected a batch that stacks {len(value)} scans k times, got {length} states")
    return repeat(value, "b ... -> (k b) ...", k=length // len(value))


def bind(denoiser: Denoiser, cond: Mapping[str, Tensor]) -> Denoiser:
    """Tie conditions to a denoiser for one run, so that samplers need not know of them."""
    return Bound(denoiser, cond) if cond else denoiser


def unclipped(denoiser: Denoiser) -> Denoiser:
    """Return the denoiser without its clamp to [-1, 1], where it has one."""
    free = getattr(denoiser, "unclipped", None)
    return free() if free is not None else denoiser


def unguided(denoiser: Denoiser) -> Denoiser:
    """Return the denoiser without what steers it, as an image is encoded; most are not steered."""
    free = getattr(denoiser, "unguided", None)
    return free() if free is not None else denoiser


def taken(denoiser: Denoiser, items: Tensor) -> Denoiser:
    """Return the denoiser of some scans of its batch, by their numbers (n,); most know of no batch."""
    part = getattr(denoiser, "taken", None)
    return part(items) if part is not None else denoiser
