"""Losses that several detectors share: of outlined voxels, and of two groups of errors held apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    r"""Return the cross-entropy of each item in which sure voxels count little, (B,).

    .. math:: L = -\operatorname{mean} (1 - p_t)^\gamma \log p_t

    with :math:`p_t` the probability that is given to what is true.

    Args:
        logits: Of being a lesion, (B, 1, *S).
        target: 1 in lesions, else 0, (B, 1, *S).
        gamma: 0 is the plain cross-entropy.

    Reference:
        Focal Loss for Dense Object Detection (Lin et al., ICCV 2017), without its weight of classes.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((1 - torch.exp(-entropy)) ** gamma * entropy).flatten(1).mean(1)


def dice_loss(probability: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    r"""Return how far a batch is from a full overlap, ().

    .. math:: L = 1 - \frac{2 \sum p y + s}{\sum p + \sum y + s}

    All items are counted together: one that is healthy has no overlap of its own, and next to no gradient.

    Args:
        probability: Of being a lesion, (B, 1, *S).
        target: 1 in lesions, else 0, (B, 1, *S).
        smooth: Voxels s that are added, so that no lesion that is not found has no loss.
    """
    overlap = (probability * target).sum()
    return 1 - (2 * overlap + smooth) / (probability.sum() + target.sum() + smooth)


def separation_loss(
    lesions: Tensor, healthy: Tensor, beta: float = 0.8, spread: float = 1.0, healthy_spread: float = 0.1
) -> Tensor:
    r"""Hold the errors of lesions and of healthy tissue apart, and each of the two groups together, ().

    .. math:: L = \max(0, \beta - \bar r_P) + \lambda_P \operatorname{var} r_P
        + \bar r_N + \lambda_N \operatorname{var} r_N

    A group of one has no variance, and one of none plays no part.

    Args:
        lesions: Errors :math:`r_P`, (P,).
        healthy: Errors :math:`r_N`, (N,).
        beta: Mean error of lesions from which on there is no more to gain.
        spread: Weight :math:`\lambda_P`.
        healthy_spread: Weight :math:`\lambda_N`.

    Reference:
        Cascaded Generative and Discriminative Learning for Microcalcification Detection in Breast Mammograms
        (Zhang et al., CVPR 2019).
    """
    loss = (lesions.sum() + healthy.sum()) * 0
    if len(lesions):
        loss = loss + (beta - lesions.mean()).clamp(min=0) + spread * _vary(lesions)
    if len(healthy):
        loss = loss + healthy.mean() + healthy_spread * _vary(healthy)
    return loss


def _vary(values: Tensor) -> Tensor:
    return values.var() if len(values) > 1 else values.sum() * 0
