"""One run of passes that hide a part of each image in noise, and ask a network what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diffad.capabilities import begin_run
from diffad.denoise import as_denoiser
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator
from diffad.samplers.base import as_level, check_call
from diffad.samplers.streams import SeedStreams
from diffad.types import Generators, Reconstruction, StepRecord

LEVEL = 1
"""The level that networks are asked at, which says nothing: the image is not noised, but hidden."""


@dataclass
class Passes:
    r"""Hides, asks and compares, with other noise in each pass.

    .. math:: \tilde x = m \sigma z + (1 - m) x, \quad \hat x = f(\tilde x), \quad e = a(x, \hat x)

    Args:
        x: Images in [-1, 1], (B, C, *S).
        brain: Where errors count, (B, 1, *S), bool.
        denoiser: Asked at level 1.
        noise: Draws :math:`z`.
        streams: A stream for each pass of each item, so that none depends on the others of the batch.
        sigma: Standard deviation :math:`\sigma` of what hides.
        score: The error :math:`a`, of images in [0, 1].
        on_step: Called with each pass; items that are left out of one stay as they are.
    """

    x: Tensor
    brain: Tensor
    denoiser: Denoiser
    noise: NoiseGenerator
    streams: SeedStreams
    sigma: float
    score: AnomalyScore
    on_step: Callable[[StepRecord], None] | None = None
    twin: Tensor = field(init=False)
    error: Tensor = field(init=False)
    count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.twin = self.x.clone()
        self.error = torch.zeros_like(self.x[:, :1])

    def look(self, hidden_mask: Tensor, items: Tensor) -> Tensor:
        """Hide ``hidden_mask`` (B, 1, *S), bool, in some items (n,); return their errors (n, 1, *S)."""
        from diffad.data.space import to_public  # its package imports libraries of files

        x, level = self.x[items], as_level(LEVEL, self.x)
        generators = self.streams.make_generators(self.count)
        z = self.noise(x, level, generator=[generators[i] for i in items.tolist()])
        state = torch.where(hidden_mask[items], self.sigma * z, x)
        x_hat = self.denoiser.select(items)(state, level)
        run = begin_run(self.score, x, self.denoiser.schedule)
        run.record(StepRecord(LEVEL, 0, state, x_hat, x_hat))
        rebuild = Reconstruction(to_public(x_hat), nfe=1)
        self.error[items] = run.map(to_public(x), rebuild, self.brain[items]).to(self.error)
        self.twin[items] = x_hat
        self.count += 1
        if self.on_step is not None:
            states = (self.x.index_copy(0, items, v) for v in (state, x_hat, x_hat))
            self.on_step(StepRecord(LEVEL, 0, *states))
        return self.error[items]


def begin_passes(
    x: Tensor,
    denoiser: Denoiser,
    noise: NoiseGenerator,
    sigma: float,
    score: AnomalyScore,
    *,
    generator: Generators,
    mask: Tensor | None,
    on_step: Callable[[StepRecord], None] | None,
) -> Passes:
    """Begin a run on ``x`` (B, C, *S) in [-1, 1]; without a ``mask`` (B, 1, *S) all of the image is brain.

    Raises:
        TypeError: If the image is not floating point.
        ValueError: If a shape or the number of generators does not fit, or the network predicts something
            else than the image.
    """
    check_call(x, denoiser, LEVEL, generator)
    shape = (len(x), 1, *x.shape[2:])
    if mask is not None and tuple(mask.shape) != shape:
        raise ValueError(f"expected mask of shape {shape}, got {tuple(mask.shape)}")
    source = as_denoiser(denoiser)
    if source.prediction_type not in (None, "sample"):
        raise ValueError(
            f"itermask expected a network of prediction_type 'sample', got {source.prediction_type!r}"
        )
    brain = torch.ones_like(x[:, :1], dtype=torch.bool) if mask is None else mask > 0
    return Passes(x, brain, source, noise, SeedStreams.draw(generator, len(x)), sigma, score, on_step)


def spread_items(values: Tensor, like: Tensor) -> Tensor:
    """Return one value for each item, (B,), as (B, 1, ...) beside ``like`` (B, 1, *S)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def keep_largest(error: Tensor, brain: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return the voxels of the largest errors, a share of each brain, (B, 1, *S), and the least one (B,)."""
    largest, least = torch.zeros_like(brain), error.new_zeros(len(error))
    for i, (values, voxels) in enumerate(zip(error, brain, strict=True)):
        errors = values[voxels]
        if not len(errors):
            continue
        count = max(1, round(share * len(errors)))
        least[i] = errors.kthvalue(len(errors) - count + 1).values
        largest[i] = voxels & (values >= least[i])
    return largest, least
