"""A bank of noise: fields drawn once, of which every item is a random crop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from diffad.noise.base import check_number, per_item
from diffad.protocols import NoiseGenerator
from diffad.registry import NOISES
from diffad.types import Generators, generator_for

Part = Mapping[str, Any] | NoiseGenerator
Key = tuple[torch.Size, torch.dtype, torch.device]

MAX_TABLES = 4
"""Tables that a bank keeps: those of the shapes that were asked for last."""


@NOISES.register("bank")
class NoiseBank:
    r"""Crops, mirrors and negates fields of another noise that were drawn once.

    .. math:: z_c(u) = \pm \, F_n(m(u) + o), \quad n \sim U\{1, \dots, N\}

    Field, offset :math:`o`, mirroring :math:`m` along each axis and sign are drawn for each item and channel.
    The mean of 0 and the variance of the noise are kept on average over banks. The variance of one bank is
    off by the error of a sample of :math:`N` fields (1 % at 64 fields of 256 x 256, more for small images).

    The price is that fields come again. Two draws share a field with probability :math:`1 / N`, so that among
    16 some pair does with a probability of 87 % at :math:`N = 64`. Such a pair is mirrored alike with
    probability :math:`2^{-a}` in :math:`a` axes, and then shows the same values, up to the sign, on
    :math:`(1 - (M - 1) / 3)^a` of the image on average (:math:`M \le 2`). Given the bank, random signs keep
    the expected product of two draws at zero.

    The table follows from the options and from shape, type and device of the input alone; it is no state of a
    run. It is made at the first use, shared by processes forked later, and neither pickled nor saved. It
    takes :math:`N M^a` times the memory of one channel. Levels play no part: fields are drawn without one.

    Args:
        noise: The noise, a mapping of its ``name`` and options.
        size: Number :math:`N` of fields.
        margin: Edge :math:`M` of a field in edges of the image, at least 1.
        seed: Seed of the fields.

    Raises:
        ValueError: If an option is out of range, the noise has no name, or its channels are correlated, which
            picking them one by one would undo.

    Example:
        >>> noise = NOISES.build("bank", noise={"name": "simplex", "octaves": 4}, size=32)
    """

    def __init__(
        self,
        noise: Part = MappingProxyType({"name": "simplex"}),
        size: int = 64,
        margin: float = 1.5,
        seed: int = 0,
    ) -> None:
        self.noise = dict(noise) if isinstance(noise, Mapping) else noise
        if isinstance(self.noise, dict) and "name" not in self.noise:
            raise ValueError(f"expected a noise with a name, got {self.noise}")
        self._noise = NOISES.build(**self.noise) if isinstance(self.noise, dict) else self.noise
        if getattr(self._noise, "correlated", False):
            raise ValueError("expected a noise of independent channels, got correlated=True")
        self.size = _check_whole("size", size, 1)
        self.margin = check_number("margin", margin, "of at least 1", lambda m: 1 <= m < math.inf)
        self.seed = _check_whole("seed", seed, 0)
        self._tables: dict[Key, Tensor] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle the options only."""
        return self.__dict__ | {"_tables": {}}

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); the level ``t`` plays no part."""
        count = 2 + 2 * (like.ndim - 2) if isinstance(like, Tensor) else 0

        def draw(g: torch.Generator) -> list[list[float]]:
            size = like.shape[1], count
            numbers: list[list[float]] = torch.rand(
                size, generator=g, device=g.device, dtype=torch.float64
            ).tolist()
            return numbers

        draws = per_item(like, generator, draw)
        table = self.table(like)
        z = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        for item, rows in zip(z, draws, strict=True):
            for channel, numbers in zip(item, rows, strict=True):
                _crop(table, numbers, channel)
        return z

    def table(self, like: Tensor) -> Tensor:
        """Return the fields (N, *MS) for inputs like ``like`` (B, C, *S), drawn at the first call."""
        key = like.shape[2:], like.dtype, like.device
        if key not in self._tables:
            shape = [math.ceil(self.margin * n) for n in like.shape[2:]]
            field = torch.empty((1, 1, *shape), dtype=like.dtype, device=like.device)
            generators = [generator_for(self.seed, n) for n in range(self.size)]
            fields = [self._noise(field, generator=g)[0, 0] for g in generators]
            recent_tables = list(self._tables.items())[1 - MAX_TABLES :]
            self._tables = dict([*recent_tables, (key, torch.stack(fields))])
        return self._tables[key]


def _crop(table: Tensor, numbers: list[float], out: Tensor) -> None:
    """Write into ``out`` (*S) what uniform ``numbers`` choose: field, sign, offset, mirroring."""
    field = table[int(numbers[0] * len(table))]
    for axis, n in enumerate(out.shape):
        field = field.narrow(axis, int(numbers[2 + axis] * (field.shape[axis] - n + 1)), n)
    mirror_axes = [axis for axis in range(out.ndim) if numbers[2 + out.ndim + axis] < 0.5]
    torch.mul(field.flip(mirror_axes) if mirror_axes else field, 1 if numbers[1] < 0.5 else -1, out=out)


def _check_whole(name: str, value: int, minimum: int) -> int:
    """Require a whole number of at least ``minimum``."""
    requirement = f"to be a whole number of at least {minimum}"
    return int(check_number(name, value, requirement, lambda v: isinstance(v, int) and v >= minimum))
