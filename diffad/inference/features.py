"""What is measured of a scan to tell whether it is one of those that a model knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.brain_box import find_brain_box, pool_brain_box
from diffad.data.volume import Volume
from diffad.inference.side_gaps import measure_side_gap
from diffad.inference.tissues import TissueContrast, fit_tissues

BRIGHT_END = 90.0
"""Percentile of the brain that intensities are divided by."""
FINE_SHAPE = (72, 90, 72)
"""Cells of the box in which edges are measured, about 2 mm each."""
HISTOGRAM = (1, 5, 10, 25, 50, 75, 95, 99)
"""Percentiles of the brain that stand for its histogram."""


@dataclass(frozen=True)
class ScanFeatures:
    """Numbers and a small picture of one sequence of a scan.

    Args:
        numbers: By name; see ``FEATURES`` in ``known``.
        means: Mean intensities in the cells of the brain's box, as shares of the bright end, (16, 20, 16).
        cover: Share of brain in the cells, (16, 20, 16).
        tissues: Which tissue is bright and which dark; none where a brain does not fill its box.
    """

    numbers: dict[str, float]
    means: Tensor
    cover: Tensor
    tissues: TissueContrast | None


def measure_features(volume: Volume, brain: Tensor, channel: int = 0) -> ScanFeatures:
    """Measure one sequence of a scan.

    Args:
        volume: The scan, in RAS and mm.
        brain: Brain mask, (I, J, K), boolean.
        channel: Which sequence.

    Raises:
        ValueError: If the mask is empty, or the brain dark throughout.
    """
    image = torch.from_numpy(volume.data[channel]).float()
    box, spacing = find_brain_box(brain), torch.tensor(volume.spacing.tolist())
    values = torch.quantile(_thin_out(image[brain]), torch.tensor([BRIGHT_END, *HISTOGRAM]) / 100)
    bright = float(values[0])
    if bright <= 0:
        raise ValueError(f"{volume.name}: expected a brain with intensities above 0, found none")
    means, cover = pool_brain_box(image[None] / bright, brain)
    tissues = _fit_if_filled(means[0], cover)
    edges = (b.stop - b.start for b in box)
    width, length, height = (n * float(mm) for n, mm in zip(edges, spacing, strict=True))
    numbers = {
        "volume": float(brain.sum() * spacing.prod()) / 1000,
        "width": width,
        "length": length,
        "height": height,
        "thickness": float(spacing.max()),
        "grain": _measure_grain(image[box] / bright, brain[box]),
    }
    fine, fine_cover = pool_brain_box(image[None] / bright, brain, FINE_SHAPE)
    numbers["sharpness"] = _measure_edges(fine[0], fine_cover)
    numbers["gap"] = measure_side_gap(fine[0], fine_cover, tissues, width * length * height / 1000)
    numbers |= {f"p{q}": float(v) / bright for q, v in zip(HISTOGRAM, values[1:], strict=True)}
    if tissues is not None:
        numbers |= {"fluid": tissues.fluid, "grey": tissues.grey, "white": tissues.white}
    return ScanFeatures(numbers, means[0], cover, tissues)


def measure_channels(volume: Volume, brain: Tensor) -> list[ScanFeatures]:
    """Measure every sequence of a scan; see ``measure_features``."""
    return [measure_features(volume, brain, c) for c in range(len(volume.data))]


def measure_tissues(volume: Volume, brain: Tensor) -> TissueContrast | None:
    """Measure which tissue is bright in a scan of one sequence; none where its brain does not fill its box.

    Args:
        volume: The scan, in RAS and mm.
        brain: Brain mask, (I, J, K), boolean.
    """
    image = torch.from_numpy(volume.data[0]).float()
    bright = float(torch.quantile(_thin_out(image[brain]), BRIGHT_END / 100)) if brain.any() else 0.0
    if bright <= 0:
        return None
    means, cover = pool_brain_box(image[None] / bright, brain)
    return _fit_if_filled(means[0], cover)


def _thin_out(values: Tensor, most: int = 100_000) -> Tensor:
    """Take evenly spaced values, as quantiles of all would cost more than they tell."""
    return values[:: max(1, len(values) // most)]


def _fit_if_filled(means: Tensor, cover: Tensor) -> TissueContrast | None:
    try:
        return fit_tissues(means, cover)
    except ValueError:
        return None


def _measure_edges(means: Tensor, cover: Tensor) -> float:
    """Return the mean absolute difference of neighbours at about 2 mm, inside the brain."""
    inside = cover > 0.99
    pairs = [(means.diff(dim=a).abs(), _both(inside, a)) for a in range(3)]
    return float(sum(float(d[m].mean()) for d, m in pairs if m.any()) / 3)


def _measure_grain(image: Tensor, brain: Tensor) -> float:
    """Return the lower quartile of absolute second differences of voxels: noise, as edges are few."""
    quartiles = []
    for axis in range(3):
        other = (slice(None),) * ((axis + 1) % 3) + (slice(None, None, 4),)
        values, inside = image[other], brain[other]
        is_line = _both(_both(inside, axis), axis)
        if is_line.any():
            differences = _thin_out(values.diff(n=2, dim=axis)[is_line].abs())
            quartiles.append(float(torch.quantile(differences, 0.25)))
    return sum(quartiles) / max(1, len(quartiles))


def _both(inside: Tensor, axis: int) -> Tensor:
    n = inside.shape[axis]
    return inside.narrow(axis, 0, n - 1) & inside.narrow(axis, 1, n - 1)


def correlate(a: ScanFeatures, means: Tensor, cover: Tensor) -> float:
    """Correlate the picture of a scan with another, over the cells that both cover; 0 where none are."""
    cells = (a.cover > 0.5) & (cover > 0.5)
    if cells.sum() < 2:
        return 0.0
    pair = torch.stack([a.means[cells], means[cells]])
    pair = F.normalize(pair - pair.mean(1, keepdim=True), dim=1)
    return float((pair[0] * pair[1]).sum())


def overlap(a: ScanFeatures, cover: Tensor) -> float:
    """Return the overlap (intersection over union) of a scan's brain with another in their boxes."""
    both, either = torch.minimum(a.cover, cover).sum(), torch.maximum(a.cover, cover).sum()
    return float(both / either.clamp(min=1e-6))
