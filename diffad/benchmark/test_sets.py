"""What methods are tested on: sets of scans or slices whose lesions are known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffad.benchmark.config import DataConfig
from diffad.data.volume import Volume
from diffad.evaluation.samples import Bools

HEALTHY = "healthy"
"""Name of the set without lesions, which is scored together with each of the others."""


@dataclass(frozen=True)
class TestItem:
    """One scan or slice and what is true of it.

    Args:
        name: Its name.
        subject: Who was scanned.
        scan: A slice (1, H, W) in [0, 1], or a volume.
        truth: True lesions, (*S).
        brain: Brain mask, (*S).
        group: What rows can be told apart by.
        ignored: Voxels that count neither way, (*S), or none.
        label: 1 anomalous, 0 healthy, none where the truth says.
    """

    name: str
    subject: str
    scan: Tensor | Volume
    truth: Bools
    brain: Bools
    group: str = ""
    ignored: Bools | None = None
    label: int | None = None

    @property
    def image(self) -> NDArray[np.float32]:
        """The scan, (*S), in [0, 1]."""
        if isinstance(self.scan, Volume):
            return np.clip(self.scan.data[0] / self.top, 0, 1)
        return np.asarray(self.scan[0].numpy(), dtype=np.float32)

    @property
    def top(self) -> float:
        """Intensity that is shown as 1."""
        if isinstance(self.scan, Volume):
            return max(float(self.scan.data[0][self.brain].max(initial=0)), 1e-6)
        return 1.0


@dataclass(frozen=True)
class TestSet:
    """Scans that one unit of work makes maps of.

    Args:
        name: Name of the set, and of its files.
        kind: What it is tested for: a kind of lesion, a data set, or ``HEALTHY``.
        read: Returns the scans.
        digest: Hash of the scans and masks.
    """

    __test__ = False  # pytest takes the name for one of its own

    name: str
    kind: str
    read: Callable[[], list[TestItem]]
    digest: str


@dataclass(frozen=True)
class SliceTests:
    """Healthy slices of one data folder.

    Args:
        train: Slices to learn from, (N, 1, H, W), in [0, 1].
        val: Slices to test on, (M, 1, H, W).
        brain: Their brain mask, (1, 1, H, W), bool.
        names: Names of those to test on.
    """

    train: Tensor
    val: Tensor
    brain: Tensor
    names: list[str]

    @classmethod
    def read(cls, data: DataConfig) -> SliceTests:
        """Read them.

        Raises:
            OSError: If a file is missing or cannot be read.
            ValueError: If a slice has another shape than the mask.
        """
        from diffad.evaluation.implanted import load_slices

        folder = Path(str(data.slices))
        train, val, brain = load_slices(folder, data.size)
        names = [path.stem for path in sorted((folder / "val").glob("*.png"))]
        return cls(train, val[: data.limit], brain, names[: data.limit])

    def made(self, data: DataConfig, seed: int) -> list[TestSet]:
        """Make the lesions of one seed; the slices without any are a set of their own."""
        none = torch.zeros_like(self.val)
        found = {HEALTHY: (self.val, none)}
        for family, kinds in _chosen(data).items():
            from diffad.evaluation.corrupted import lesion_maker

            make = lesion_maker(family, kinds, list(self.train) if family == "corrupted" else ())
            found |= make(self.val, self.brain, seed)
        return [self._set(kind, x, y > 0.5) for kind, (x, y) in found.items()]

    def _set(self, kind: str, x: Tensor, truth: Tensor) -> TestSet:
        brain = self.brain[0, 0].numpy()
        rows = zip(self.names, x, truth, strict=True)
        items = [TestItem(f"{n}_{kind}", n, scan, mask[0].numpy(), brain, kind) for n, scan, mask in rows]
        return TestSet(kind, kind, partial(list, items), hash_tensors(x, truth, self.brain))


def _chosen(data: DataConfig) -> dict[str, Sequence[str] | None]:
    asked: dict[str, Sequence[str] | None] = {
        "implanted": data.lesions.implanted,
        "corrupted": data.lesions.corrupted,
    }
    return {family: kinds for family, kinds in asked.items() if kinds} or {"implanted": None}


def hash_tensors(*tensors: Tensor) -> str:
    """Return the SHA-256 of tensors and their shapes."""
    found = hashlib.sha256()
    for x in tensors:
        found.update(str(tuple(x.shape)).encode() + x.contiguous().numpy().tobytes())
    return found.hexdigest()


class Tests:
    """All test sets of a benchmark; those of made lesions are kept by seed.

    Args:
        data: What methods are tested on.
    """

    __test__ = False

    def __init__(self, data: DataConfig) -> None:
        self.data = data
        self.slices = SliceTests.read(data) if data.slices else None
        self._made: dict[int, list[TestSet]] = {}

    def of(self, seed: int) -> list[TestSet]:
        """Return the sets of one seed; those of a data set are the same for every seed."""
        key = seed if self.data.root is None else 0
        if key not in self._made:
            self._made[key] = self._make(seed)
        return self._made[key]

    def _make(self, seed: int) -> list[TestSet]:
        if self.data.root is None:
            assert self.slices is not None
            return self.slices.made(self.data, seed)
        from diffad.benchmark.datasets import list_chunks

        return list_chunks(self.data)
