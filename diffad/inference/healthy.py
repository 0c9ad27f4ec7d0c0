"""What a model's map of healthy scans looks like at each place of the brain, and maps in units of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from diffad.data.brain_box import find_brain_box
from diffad.inference.place_sums import GRID, PlaceSums
from diffad.io.files import read_regular
from diffad.models.folder import ModelError

FILE = "healthy.safetensors"
"""Name of the statistics in the folder of a model."""
SIGMA = 1.0
"""SD of the Gaussian that sums are smoothed by, in cells."""
PRIOR_SCANS = 1.0
"""Scans of an average place that each cell starts with."""
FLOOR = 0.25
"""Least spread that is divided by, as a share of that of all places together."""
MAX_BYTES = 1_000_000
"""Bytes of the file."""


@dataclass(frozen=True)
class HealthyMaps:
    r"""Mean and spread of a model's map in healthy scans, by place.

    A place is a cell of a coarse grid in the box around the brain. Sums are smoothed and mirrored left to
    right, and :math:`k` scans of an average place (:math:`\bar a`, :math:`\overline{a^2}` over all cells) are
    added to each, so that a cell that few scans reach keeps close to the average:

    .. math::
        \mu = \frac{\sum_s w_s a_s + k \bar a}{\sum_s w_s + k}, \quad
        \sigma^2 = \frac{\sum_s w_s a_s^2 + k \overline{a^2}}{\sum_s w_s + k} - \mu^2

    Args:
        mean: Mean of the map, GRID.
        sd: Standard deviation of the map, GRID.
        floor: What is added to it before it divides.
        scans: Healthy scans they are from.

    Raises:
        ValueError: If a shape does not fit or a value is not finite, or the floor is not above 0.
    """

    mean: Tensor
    sd: Tensor
    floor: float
    scans: int

    def __post_init__(self) -> None:
        if not all(tuple(values.shape) == GRID for values in (self.mean, self.sd)):
            shapes = f"{tuple(self.mean.shape)} and {tuple(self.sd.shape)}"
            raise ValueError(f"expected mean and sd of shape {GRID}, got {shapes}")
        if not (bool(self.mean.isfinite().all()) and bool((self.sd >= 0).all() & self.sd.isfinite().all())):
            raise ValueError("expected finite means and SDs of at least 0, got others")
        if not 0 < self.floor < float("inf") or self.scans < 1:
            raise ValueError(f"expected a floor above 0 and scans, got {self.floor} and {self.scans}")

    @classmethod
    def of(cls, sums: PlaceSums) -> HealthyMaps:
        """Find mean and spread of all scans together.

        Raises:
            ValueError: If there is no scan, or nothing was analysed.
        """
        weight = float(sums.values[0].sum())
        if sums.scans < 1 or weight <= 0:
            raise ValueError(f"expected healthy scans to measure places on, got {sums.scans}")
        overall = sums.values.sum((1, 2, 3)) / weight
        smooth = ndimage.gaussian_filter(sums.values.numpy(), (0, SIGMA, SIGMA, SIGMA), mode="constant")
        both = torch.from_numpy((smooth + np.flip(smooth, 1)) / 2).clamp(min=0)
        cells = both + PRIOR_SCANS * overall.reshape(3, 1, 1, 1)
        mean, square = cells[1] / cells[0], cells[2] / cells[0]
        spread = float((overall[2] - overall[1].square()).clamp(min=0).sqrt())
        sd = (square - mean.square()).clamp(min=0).sqrt()
        # a map that is 0 everywhere has no spread; as it will be on disk
        floor = torch.tensor(max(FLOOR * spread, 1e-12)).item()
        unit = _choose_unit(mean, sd)
        return cls(_round(mean, unit), _round(sd, unit), floor, sums.scans)

    def normalise(self, anomaly: Tensor, analysed: Tensor, brain: Tensor) -> Tensor:
        r"""Return how far maps lie above those of healthy scans at the same place, in units of their spread.

        .. math:: z = \max\left(0, \frac{a - \mu}{\sigma + \text{floor}}\right)

        Between the centres of cells, mean and spread are interpolated linearly.

        Args:
            anomaly: Maps, (B, 1, I, J, K), in RAS.
            analysed: Voxels that were looked at, (B, 1, I, J, K); the others are 0 in the result.
            brain: Brain masks, (B, 1, I, J, K).

        Raises:
            ValueError: If a brain mask is empty.
        """
        scores = torch.zeros_like(anomaly)
        grids = torch.stack([self.mean, self.sd])[None].to(anomaly.device)
        for i, mask in enumerate(brain[:, 0]):
            box = (i, 0, *find_brain_box(mask.cpu()))
            part = anomaly[box]
            mean, sd = functional.interpolate(grids, tuple(part.shape), mode="trilinear")[0].to(part.dtype)
            scores[box] = ((part - mean) / (sd + self.floor)).clamp(min=0)
        return scores.masked_fill(~analysed.bool(), 0)

    def save(self, folder: Path, name: str = FILE) -> Path:
        """Write ``healthy.safetensors`` to the folder of a model, in half precision.

        Args:
            folder: The folder.
            name: Another name of the file.

        Raises:
            OSError: If it cannot be written.
        """
        from safetensors.torch import save

        unit = _choose_unit(self.mean, self.sd)
        tensors = {"mean": (self.mean / unit).half(), "sd": (self.sd / unit).half()}
        tensors |= {
            "unit": torch.tensor(unit),
            "floor": torch.tensor(self.floor),
            "scans": torch.tensor(self.scans),
        }
        path = folder / name
        path.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
        return path

    @classmethod
    def load(cls, folder: Path, name: str = FILE) -> HealthyMaps | None:
        """Read what ``save`` wrote; none where the folder has no such file.

        Args:
            folder: Folder of the model.
            name: Name of the file.

        Raises:
            ModelError: If it is something else; the file is named.
        """
        from safetensors.torch import load

        path = folder / name
        if not path.exists():
            return None
        try:
            tensors = load(read_regular(path, MAX_BYTES))
            unit = float(tensors["unit"])
            mean, sd = (tensors[name].float() * unit for name in ("mean", "sd"))
            return cls(mean, sd, float(tensors["floor"]), int(tensors["scans"]))
        except Exception as error:  # whatever safetensors says of files from a stranger
            expectation = f"mean and sd of healthy maps {GRID}"
            raise ModelError(f"{path}: expected {expectation}, found others ({error})") from error


def _choose_unit(mean: Tensor, sd: Tensor) -> float:
    """Return the power of two that the largest value does not exceed: half precision holds up to 65504."""
    largest = float(torch.stack([mean.abs().max(), sd.max()]).max())
    return float(2.0 ** math.ceil(math.log2(max(largest, 1e-12))))


def _round(values: Tensor, unit: float) -> Tensor:
    """Round to what half precision keeps of multiples of a unit."""
    return (values.float() / unit).half().float() * unit
