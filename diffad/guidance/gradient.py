"""How a state must change for a classifier to find a class more likely."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diffad.denoise import call_network


def find_target_gradient(classifier: Callable[..., Any], x_t: Tensor, t: Tensor, target: int) -> Tensor:
    r"""Return :math:`\nabla_{x_t} \log p(y \mid x_t, t)` in single precision, or in double if ``x_t`` is.

    Args:
        classifier: Called as ``classifier(x_t, labels)``; answers logits (B, K).
        x_t: States, (B, C, *S).
        t: Levels, (B,).
        target: Class y.

    Raises:
        ValueError: If the classifier does not fit the states or the target.
    """
    _check_channels(classifier, x_t)
    dtype = torch.promote_types(x_t.dtype, torch.float32)
    # a sampler runs without gradients, and a pipeline perhaps in a narrow type
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(x_t.device.type, enabled=False):
        x = x_t.clone().to(dtype).detach().requires_grad_()
        logits = call_network(classifier, x, t)
        if logits.ndim != 2 or len(logits) != len(x):
            raise ValueError(f"expected logits ({len(x)}, K) of the classifier, got {tuple(logits.shape)}")
        check_target(target, logits.shape[1])
        total = logits.to(dtype).log_softmax(1)[:, target].sum()
        (gradient,) = torch.autograd.grad(total, x)
    return gradient


def widen(classifier: Callable[..., Any]) -> Callable[..., Any]:
    """Return a classifier in single precision at least, itself if it is: small gradients are 0 in half."""
    if not isinstance(classifier, nn.Module):
        return classifier
    narrow = any(p.is_floating_point() and p.dtype.itemsize < 4 for p in classifier.parameters())
    # not by the method of diffusers, which warns of every cast
    return nn.Module.float(copy.deepcopy(classifier)) if narrow else classifier


def check_target(target: int, classes: int) -> None:
    """Refuse a class that the classifier does not know.

    Raises:
        ValueError: If there are no more than ``target`` classes.
    """
    if target >= classes:
        raise ValueError(f"expected a target among the {classes} classes of the classifier, got {target}")


def check_finite(gradient: Tensor, t: Tensor, items: Tensor) -> None:
    """Refuse a gradient that would spoil an image without a word.

    Args:
        gradient: Of each state, (B, C, *S).
        t: Levels, (B,).
        items: Number of each state, (B,), for the message.

    Raises:
        ValueError: If a voxel is not finite.
    """
    if gradient.isfinite().all():
        return
    bad = int((~gradient.isfinite()).flatten(1).any(1).nonzero()[0])
    value = gradient[bad][~gradient[bad].isfinite()][0]
    raise ValueError(
        f"expected a finite gradient of the classifier, got {value.item()} at level {int(t[bad])} "
        f"of item {int(items[bad])}"
    )


def _check_channels(classifier: Callable[..., Any], x_t: Tensor) -> None:
    channels = getattr(getattr(classifier, "config", None), "in_channels", x_t.shape[1])
    if channels != x_t.shape[1]:
        raise ValueError(
            f"expected a classifier of scans with {x_t.shape[1]} channels, got one of {channels} channels"
        )
