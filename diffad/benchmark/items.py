"""What methods are tested on: scans or slices with their ground truth, and named sets of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diffad.data.volume import Volume
from diffad.evaluation.samples import Bools

HEALTHY = "healthy"
"""Name of the set without lesions, which is scored together with each of the others."""


@dataclass(frozen=True)
class TestItem:
    """One scan or slice and its ground truth.

    Args:
        name: Its name.
        subject: Who was scanned.
        scan: A slice (1, H, W) in [0, 1], or a volume.
        truth: Ground truth of the lesions, (*S).
        brain: Brain mask, (*S).
        group: What rows can be told apart by.
        ignored_mask: Voxels that count neither as lesion nor as healthy, (*S), or none.
        label: 1 anomalous, 0 healthy; none if the ground truth decides.
    """

    __test__ = False  # pytest takes the name for one of its own

    name: str
    subject: str
    scan: Tensor | Volume
    truth: Bools
    brain: Bools
    group: str = ""
    ignored_mask: Bools | None = None
    label: int | None = None

    @property
    def image(self) -> NDArray[np.float32]:
        """The scan, (*S), in [0, 1]."""
        if isinstance(self.scan, Volume):
            return np.clip(self.scan.data[0] / self.maximum, 0, 1)
        return np.asarray(self.scan[0].numpy(), dtype=np.float32)

    @property
    def maximum(self) -> float:
        """Highest intensity in the brain, which is 1 in the image."""
        if isinstance(self.scan, Volume):
            return max(float(self.scan.data[0][self.brain].max(initial=0)), 1e-6)
        return 1.0


@dataclass(frozen=True)
class TestSet:
    """Scans or slices whose maps are one unit of work.

    Args:
        name: Name of the set, and of its files.
        kind: What it is tested for: a kind of lesion, a data set, or ``HEALTHY``.
        read: Returns the scans.
        digest: Hash of the scans and masks.
    """

    __test__ = False

    name: str
    kind: str
    read: Callable[[], list[TestItem]]
    digest: str


def hash_tensors(*tensors: Tensor) -> str:
    """Return the SHA-256 of tensors and their shapes."""
    digest = hashlib.sha256()
    for x in tensors:
        digest.update(str(tuple(x.shape)).encode() + x.contiguous().numpy().tobytes())
    return digest.hexdigest()
