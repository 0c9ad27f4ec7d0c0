"""DDIM inversion: a scan is encoded by the noise its network finds in it, and decoded by the same levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import as_level, check_call, level_option, levels_down, noise_to_level
from diffad.samplers.slipped import check_reference, climb_slipped, list_slipped_levels
from diffad.step import DDIM
from diffad.types import Generators, Reconstruction, StepRecord

OnStep = Callable[[StepRecord], None]


@SAMPLERS.register("inversion")
class Inversion:
    r"""Climbs from the clean image to a level without noise, unsteered, and comes back with the guidance.

    .. math:: x_t = \frac{\alpha_t}{\alpha_s} x_s + \Big(\sigma_t - \frac{\alpha_t \sigma_s}{\alpha_s}\Big)
              \hat\epsilon(x_s, t), \quad s < t

    A pair of levels asks the network about its upper one in both directions, so that the way back undoes the
    way up for the same answer. ``refine`` asks again at the :math:`x_t` of the answer, which is what the way
    back will see. Nothing is clamped and nothing is drawn: an image has one code.

    Args:
        level: Level of the code, in 1..T.
        steps: Moves in each direction, evenly spaced; one per level when absent.
        refine: Fixed-point iterations of each move up.
        reference: Go as the published code does: the scan is noised to level 1 and taken for one of level 2,
            and its code, of level L + 1, for one of level L - 1; estimates keep the clamp of the denoiser.

    Raises:
        TypeError: If an option is no integer.
        ValueError: If an option is out of range, or ``reference`` has steps or refinements.

    Reference:
        Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022), algorithm 1. Refined: Effective
        Real Image Editing with Accelerated Iterative Diffusion Inversion (Pan et al., 2023).
    """

    def __init__(
        self, level: int = 500, steps: int | None = None, refine: int = 0, reference: bool = False
    ) -> None:
        self.level = level_option("level", level)
        self.steps = None if steps is None else level_option("steps", steps)
        self.refine = level_option("refine", refine, 0)
        self.reference = reference
        if reference:
            check_reference(level, steps=steps, refine=refine or None)
        self.levels = list_slipped_levels(level) if reference else levels_down(self.level, self.steps)

    @property
    def highest(self) -> int:
        """Highest level that is visited."""
        return self.level + self.reference

    @property
    def cost(self) -> int:
        """Network evaluations that the code of an image takes."""
        return (len(self.levels) - 1) * (1 + self.refine)

    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in [-1, 1], the whole image; ``on_step`` sees the way back."""
        check_call(x, denoiser, self.highest, generator)
        start = self._noise_scan(x, denoiser, noise, generator) if self.reference else x
        reconstruction = self.decode(self.encode(start, denoiser), denoiser, on_step)
        return Reconstruction(reconstruction, nfe=self.cost + len(self.levels) - 1)

    def _noise_scan(
        self, x: Tensor, denoiser: Denoiser, noise: NoiseGenerator, generator: Generators
    ) -> Tensor:
        """Return the scan at level 1, of size 1 as a clean one is."""
        return noise_to_level(x, 1, denoiser, noise, generator) / float(denoiser.schedule.size(1))

    def sweep(self, x: Tensor, denoiser: Denoiser, denoisers: Sequence[Denoiser]) -> list[Reconstruction]:
        """Decode one code with several denoisers, such as one guidance at several scales.

        Args:
            x: Images in [-1, 1], (B, C, *S).
            denoiser: What encodes.
            denoisers: What decodes; the evaluations of the code count in the first reconstruction.

        Raises:
            ValueError: If ``reference``, whose code is drawn.
        """
        if self.reference:
            raise ValueError("sweep expected an inversion without reference, whose code follows from chance")
        x_t, moves = self.encode(x, denoiser), len(self.levels) - 1
        reconstructions = [self.decode(x_t, decoder) for decoder in denoisers]
        return [
            Reconstruction(reconstruction, moves + (0 if n else self.cost))
            for n, reconstruction in enumerate(reconstructions)
        ]

    @torch.no_grad()
    def encode(self, x: Tensor, denoiser: Denoiser) -> Tensor:
        """Return the code (B, C, *S) of clean ``x`` (B, C, *S) in [-1, 1]; no guidance takes part.

        Raises:
            TypeError: If the image is not floating point.
            ValueError: If its shape or the level does not fit.
        """
        check_call(x, denoiser, self.highest, torch.Generator())  # stands in: nothing is drawn
        if self.reference:
            return climb_slipped(x, as_denoiser(denoiser).without_guidance(), self.level)
        free_denoiser, x_s = as_denoiser(denoiser).without_guidance().without_clamp(), x
        for s, t in pairwise(reversed(self.levels)):
            size_s, size_t = (float(denoiser.schedule.size(level)) for level in (s, t))
            x_t = size_t / size_s * x_s
            for _ in range(1 + self.refine):
                x_t = _climb(x_s, x_t, free_denoiser(x_t, as_level(t, x)), s, t, denoiser)
            x_s = x_t
        return x_s

    @torch.no_grad()
    def decode(self, x_t: Tensor, denoiser: Denoiser, on_step: OnStep | None = None) -> Tensor:
        """Return the image (B, C, *S) of a code ``x_t`` (B, C, *S), as ``denoiser`` steers it.

        Raises:
            TypeError: If the code is not floating point.
            ValueError: If its shape or the level does not fit.
        """
        check_call(x_t, denoiser, self.highest, torch.Generator())  # stands in: nothing is drawn
        free_denoiser, move, no_noise = as_denoiser(denoiser), DDIM(), torch.zeros_like(x_t)
        if not self.reference:
            free_denoiser = free_denoiser.without_clamp()
        for t, s in pairwise(self.levels):
            x_hat = free_denoiser(x_t, as_level(t, x_t))
            x_s = move(x_t, x_hat, t, s, denoiser.schedule, no_noise)
            if on_step is not None:
                on_step(StepRecord(t, s, x_t, x_hat, x_s))
            x_t = x_s
        return x_t


def _climb(x_s: Tensor, state: Tensor, x_hat: Tensor, s: int, t: int, denoiser: Denoiser) -> Tensor:
    """Move from level s up to t along the noise that the network sees in a ``state`` taken for level t."""
    # floats, as the weight of the noise is a small difference that low precision would lose
    abar_s, abar_t = (float(denoiser.schedule.alpha_bar(level)) for level in (s, t))
    size_s, size_t = (float(denoiser.schedule.size(level)) for level in (s, t))
    shrink, sigma_t = (abar_t / abar_s) ** 0.5, (1 - abar_t) ** 0.5
    epsilon = (state / size_t - abar_t**0.5 * x_hat) / sigma_t
    return size_t * (shrink * x_s / size_s + (sigma_t - shrink * (1 - abar_s) ** 0.5) * epsilon)
