"""What a training step minimises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from einops import reduce
from torch import Tensor

from diffad.denoise import call_network, split_answer, training_target
from diffad.schedule import Schedule
from diffad.training.auxiliary import marking_loss as marking_loss
from diffad.training.auxiliary import sum_auxiliary
from diffad.training.variational import variational_bound
from diffad.types import Example


def snr_weight(t: Tensor, schedule: Schedule, prediction: str, gamma: float | None) -> Tensor:
    r"""Weight levels by min(SNR, gamma), expressed for the network's target.

    .. math::
        w_t = \min(\mathrm{SNR}_t, \gamma) \cdot \{1 / \mathrm{SNR}_t,\; 1 / (\mathrm{SNR}_t + 1),\; 1,\;
        1 / (\sqrt{\mathrm{SNR}_t} + 1)^2\} \text{ for } \epsilon, v, x_0, u

    Args:
        t: Levels, (B,).
        schedule: Amplitudes by level.
        prediction: What the network predicts.
        gamma: Cap; none weighs every level 1.

    Reference:
        Efficient Diffusion Training via Min-SNR Weighting Strategy (Hang et al., 2023), section 3.4.
    """
    if gamma is None:
        return torch.ones(t.shape)
    snr = schedule.snr(t)
    scales = {"epsilon": snr, "v_prediction": snr + 1, "sample": torch.ones_like(snr)}
    scales |= {"flow": (snr.sqrt() + 1) ** 2, "cold": scales["sample"]}
    return (snr.clamp(max=gamma) / scales[prediction]).float()


def denoising_loss(
    network: Callable[..., Any],
    example: Example,
    t: Tensor,
    schedule: Schedule,
    prediction: str,
    kind: str = "l2",
    gamma: float | None = None,
    cond: Mapping[str, Tensor] | None = None,
    mark: float = 0.0,
    auxiliary: Mapping[str, float] | None = None,
    variance: bool = False,
    rebuild: float = 0.0,
) -> Tensor:
    """Return the weighted loss of each item, (B,).

    Args:
        network: Predicts noise, velocity or image.
        example: What it sees and should find.
        t: Levels, (B,).
        schedule: Amplitudes by level.
        prediction: What the network predicts.
        kind: "l1" or "l2".
        gamma: Cap of the min-SNR weight, or none.
        cond: What else the network is given, by name.
        mark: Weight of the cross-entropy of what the network marks as damaged, where it does.
        auxiliary: Weights of further losses by name, which take its place.
        variance: Train how wide a move is, too, of a network that ``learns_variance``.
        rebuild: Weight of the error of its second answer, over the whole image, see ``RebuildsTwice``.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), eq. 14.
    """
    asked: dict[str, Any] = {**(cond or {}), **({"variance": True} if variance else {})}
    output = call_network(network, example.x_t, t, **asked).float()
    bound = variational_bound(output, example, t, schedule, prediction) if variance else None
    output, extra = split_answer(output, example.x.shape[1])
    target = training_target(example.x, example.z, t, schedule, prediction)
    per_item = mean_over(_measure_error(output, target, kind), example.region)
    if bound is None and rebuild and extra is not None:
        per_item = per_item + rebuild * mean_over(_measure_error(extra, target, kind), None)
        extra = None
    loss = per_item * snr_weight(t.cpu(), schedule, prediction, gamma).to(output.device)
    if bound is not None:
        return loss + mean_over(bound, example.region)
    if extra is None:
        return loss
    return loss + sum_auxiliary(auxiliary or {"marks_entropy": mark}, extra, example)


def _measure_error(output: Tensor, target: Tensor, kind: str) -> Tensor:
    error = output - target
    return error.abs() if kind == "l1" else error.square()


def mean_over(error: Tensor, region: Tensor | None) -> Tensor:
    """Average the error (B, C, *S) of each item over its region (B, 1, *S), or over everything, to (B,)."""
    if region is None:
        return reduce(error, "b ... -> b", "mean")
    weight = region.to(error.dtype).expand_as(error)
    total, voxels = (reduce(v, "b ... -> b", "sum") for v in (error * weight, weight))
    return total / voxels.clamp(min=1)


def learning_rate(step: int, base: float, warmup: int, steps: int, floor: float = 0.0) -> float:
    """Return the rate at ``step``: linear warm-up to ``base``, then one cosine down to ``floor``."""
    if step < warmup:
        return base * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return floor + (base - floor) * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * progress))))


def check_loss(loss: float, step: int, accelerator: Any) -> float:
    """Return the loss of a step; refuse one that no later step can mend.

    Args:
        loss: Mean loss over all processes.
        step: Steps that were taken.
        accelerator: The processes of the run.

    Raises:
        ValueError: If the loss is not finite.
    """
    # the gradient scaler of fp16 skips steps that overflow, and lowers its scale
    if not math.isfinite(loss) and accelerator.scaler is None:
        raise ValueError(f"expected a finite loss, got {loss} at step {step}; a lower train.lr may help")
    return loss
