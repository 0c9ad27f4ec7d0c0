"""What every noise generator shares: checks at the border and one draw for each item."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from diffad.types import Generators, generators_for

T = TypeVar("T")


def check_like(like: Tensor) -> None:
    """Require a floating tensor (B, C, *S) with two or three spatial axes.

    Raises:
        TypeError: If ``like`` is not a floating point tensor.
        ValueError: If ``like`` has another number of axes, or an empty one.
    """
    if not isinstance(like, Tensor) or not like.is_floating_point():
        kind = like.dtype if isinstance(like, Tensor) else type(like).__name__
        raise TypeError(f"expected a floating point tensor as `like`, got {kind}")
    if like.ndim not in (4, 5) or like.numel() == 0:
        shape = tuple(like.shape)
        raise ValueError(f"expected `like` of shape (B, C, *S), 2 or 3 spatial axes, none empty, got {shape}")


def check_number(name: str, value: float, requirement: str, ok: Callable[[float], bool]) -> float:
    """Return the value of an option that must be a number.

    Raises:
        ValueError: If it is no number, or not ``ok``; NaN never is.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not ok(value):
        raise ValueError(f"expected {name} {requirement}, got {value!r}")
    return value


def per_item(like: Tensor, generator: Generators, draw: Callable[[torch.Generator], T]) -> list[T]:
    """Check ``like`` and call ``draw`` once for each item, so that item i depends on generator i only."""
    check_like(like)
    return [draw(g) for g in generators_for(generator, like.shape[0])]


def levels_of(t: Tensor | None, batch: int) -> Tensor:
    """Spread levels ``t`` () or (B,) over the batch, (B,) in double precision; None is level 0.

    Raises:
        ValueError: If ``t`` has another shape.
    """
    levels = torch.zeros(()) if t is None else torch.as_tensor(t)
    if levels.shape not in {torch.Size([]), torch.Size([batch])}:
        raise ValueError(f"expected levels `t` of shape () or ({batch},), got {tuple(levels.shape)}")
    return levels.to("cpu", torch.float64).expand(batch)
