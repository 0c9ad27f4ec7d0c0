"""Classes that a network must be told, one for each item."""

from __future__ import annotations

import torch
from torch import Tensor


def check_class_count(classes: int, name: str) -> None:
    """Refuse a negative number of classes; 0 is a network without them.

    Raises:
        ValueError: If ``classes`` is negative.
    """
    if classes < 0:
        raise ValueError(f"{name} expected classes of at least 0, got {classes}")


def check_class_labels(y: Tensor | None, classes: int, batch: int, name: str) -> None:
    """Refuse labels that a network has no use for, and their absence where it needs them.

    A network that was always told a class answers nonsense without, and it would look like an answer.

    Args:
        y: Class of each item, int64, (B,), or None.
        classes: Classes that the network was built for; 0 for none.
        batch: Items B of the state.
        name: Network, for the message.

    Raises:
        ValueError: If the labels are missing, surplus, of another shape or kind, or none of 0..classes - 1.
    """
    if not classes:
        if y is not None:
            raise ValueError(f"{name} expected no classes, as it was built with classes = 0, got some")
        return
    expected = f"{name} expected the class of each item, one of 0..{classes - 1}, as it was never without"
    if y is None:
        raise ValueError(f"{expected}, got none: guidance 'classifier' with reference = true names it")
    if y.dtype != torch.long or y.shape != (batch,):
        raise ValueError(f"{expected}, got {y.dtype} of shape {tuple(y.shape)} for {batch} items")
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise ValueError(f"{expected}, got {y.tolist()}, where {classes} is unknown: see data.labels")
