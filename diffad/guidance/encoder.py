"""Where the condition of a conditioned network comes from: the scan itself, or a control."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.denoise import DenoiserWrapper
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES

SOURCES = ("self", "mirror", "neighbour", "shuffled", "zero")


@GUIDANCES.register("encoder")
class EncoderCondition:
    """Conditions a network on another image than the one it denoises, or on none.

    A condition made from the scan itself may carry its lesion into the reconstruction. The controls tell
    that from what a condition is for: contrast and anatomy.

    Args:
        source: "self" for the scan as it is; "mirror" for its left-right mirror image; "neighbour" for the
            next slice of the stack, and for the last one the slice before; "shuffled" for another slice of
            the stack; "zero" for a vector of zeros, which still is a condition.
        seed: Which shuffle.

    Raises:
        ValueError: If the source is unknown, or once conditions are made, if the network takes none.

    Reference:
        Guided Reconstruction with Conditioned Diffusion Models for Unsupervised Anomaly Detection in Brain
        MRIs (Behrendt et al., 2025), whose condition is "self".

    Example:
        >>> guided = GUIDANCES.build("encoder", source="mirror")(denoiser)
    """

    def __init__(self, source: str = "self", seed: int = 0) -> None:
        if source not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
        self.source, self.seed = source, seed

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser whose conditions are made of images from the source."""
        return ReferenceDenoiser(denoiser, self.source, self.seed)


@dataclass(frozen=True, eq=False)
class ReferenceDenoiser(DenoiserWrapper):
    """A denoiser whose conditions are made of images from a source, which is no steering.

    Args:
        inner: The denoiser.
        source: As for ``EncoderCondition``.
        seed: Which shuffle.
    """

    source: str = "self"
    seed: int = 0

    def reference(self, x: Tensor) -> Tensor:
        """Return what image the condition of each item is made from.

        Args:
            x: All slices of one scan in their order, (N, C, H, W), or volumes (N, C, I, J, K), in [0, 1].

        Returns:
            As many images of the same shape.

        Raises:
            ValueError: If the source is another item, and there is none.
        """
        if self.source == "mirror":
            return x.flip(lateral_axis(x))
        if self.source == "neighbour":
            return x[neighbour_indices(len(x))]
        return x[shuffle_indices(len(x), self.seed)] if self.source == "shuffled" else x

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what the denoiser must know of ``image`` (B, C, *S), which is from ``reference`` already.

        Raises:
            ValueError: If it takes no conditions.
        """
        conditions = self.inner.conditions(image, mask)
        if not conditions:
            raise ValueError(
                "expected a conditioned network for the guidance 'encoder', got one without conditions"
            )
        if self.source == "zero":
            return {name: torch.zeros_like(value) for name, value in conditions.items()}
        return conditions


def lateral_axis(x: Tensor) -> int:
    """Return the axis that runs from left to right: columns of slices (N, C, H, W), I of (N, C, I, J, K).

    Sagittal slices have none; their columns run from posterior to anterior.
    """
    return 2 if x.ndim == 5 else 3


def neighbour_indices(count: int) -> Tensor:
    """Return the index of the next of ``count`` slices for each; for the last that of the one before.

    Raises:
        ValueError: If there is none.
    """
    _expect_others(count)
    return torch.tensor([*range(1, count), count - 2])


def shuffle_indices(count: int, seed: int) -> Tensor:
    """Return a shuffle of ``count`` items that leaves none where it was: one random ring through all.

    Raises:
        ValueError: If there is one item only.
    """
    _expect_others(count)
    ring = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    order = torch.empty_like(ring)
    order[ring] = ring.roll(1)
    return order


def _expect_others(count: int) -> None:
    if count < 2:
        raise ValueError(f"expected at least 2 images to take one from another, got {count}")
