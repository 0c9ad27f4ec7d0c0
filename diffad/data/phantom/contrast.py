"""From tissues to intensities: what each modality shows, before the flaws of the scanner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from diffad.data.phantom.anatomy import load_head
from diffad.data.phantom.spline import draw_field
from diffad.data.phantom.tissue import Tissue


@dataclass(frozen=True)
class Contrast:
    """What a modality shows of a brain.

    Args:
        name: Last word of the names of its files.
        fluid: Value of cerebrospinal fluid.
        grey: Value of grey matter.
        white: Value of white matter.
        jitter: Standard deviation of each value among persons.
        noise: Standard deviation of the noise of the scanner.
        ct: Whether values are Hounsfield units; else 1 is about the brightest tissue.
    """

    name: str
    fluid: float
    grey: float
    white: float
    jitter: float = 0.015
    noise: float = 0.022
    ct: bool = False


CONTRASTS: Mapping[str, Contrast] = MappingProxyType(
    {
        "t1": Contrast("T1w", fluid=0.2, grey=0.58, white=0.84),
        "t2": Contrast("T2w", fluid=1.0, grey=0.56, white=0.4),
        "flair": Contrast("FLAIR", fluid=0.12, grey=0.6, white=0.48),
        "ct": Contrast("ct", fluid=8.0, grey=39.0, white=30.0, jitter=0.6, noise=2.5, ct=True),
    }
)
"""The modalities of a phantom."""

GAP, SKULL, SCALP = 2.5, 6.5, 6.0
"""Mean widths of the layers around the brain in a CT: fluid, bone and scalp, in mm."""

AIR, SOFT, MARROW, TABLE = -1000.0, 40.0, 700.0, 1250.0
"""Hounsfield units of air, scalp, and the middle and the faces of the skull."""


def paint(contrast: Contrast, tissue: Tissue, generator: torch.Generator) -> Tensor:
    """Give every tissue its value, slightly different in each person; (I, J, K), 0 outside the brain."""
    values = torch.tensor([contrast.fluid, contrast.grey, contrast.white])
    deviations = contrast.jitter * torch.randn(3, generator=generator).clamp(-2, 2)
    return tissue.mix(*(values + deviations).tolist())


def draw_surroundings(
    brain: Tensor, points: Tensor, axes: tuple[Tensor, ...], spacing: float, generator: torch.Generator
) -> Tensor:
    r"""Return what a CT shows around the brain, in Hounsfield units; 0 where the brain is.

    From the inside: fluid; a skull of varying thickness with marrow in its middle; scalp; air.

    Args:
        brain: Fraction of the brain in each voxel, (I, J, K).
        points: Positions in the template, (3, I, J, K), in mm.
        axes: Positions of the voxels along each axis, in mm.
        spacing: Edge of a voxel, in mm.
        generator: Source of the thickness of skull and scalp.
    """
    hull, skin = load_head().sample(points)
    bone, flesh = (draw_field(45.0, axes, generator) for _ in range(2))
    outer = GAP + SKULL * (1 + 0.8 * bone)
    depth = ((hull - GAP) / (outer - GAP)).clamp(0, 1)
    skull = MARROW + (TABLE - MARROW) * (2 * depth - 1) ** 2
    scan = AIR + (SOFT - AIR) * _voxel_fraction(skin - outer - SCALP * (1 + 0.8 * flesh), spacing)
    scan = torch.lerp(scan, skull, _voxel_fraction(hull - outer, spacing))
    fluid = torch.full_like(scan, CONTRASTS["ct"].fluid)
    return (1 - brain) * torch.lerp(scan, fluid, _voxel_fraction(hull - GAP, spacing))


def _voxel_fraction(distance: Tensor, spacing: float) -> Tensor:
    """Return the fraction of a voxel behind a surface, from the signed distance of its centre, in mm."""
    return (0.5 - distance / spacing).clamp(0, 1)
