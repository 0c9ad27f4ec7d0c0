"""Test sets from a folder of healthy slices, into which lesions of known extent are put."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from diffad.benchmark.config import DataConfig
from diffad.benchmark.items import HEALTHY, TestItem, TestSet, hash_tensors


@dataclass(frozen=True)
class HealthySlices:
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
    def read(cls, data: DataConfig) -> HealthySlices:
        """Read them.

        Raises:
            ValueError: If a file is missing or cannot be read.
            ValueError: If a slice has another shape than the mask.
        """
        from diffad.data.slice_folder import load_slices

        folder = Path(str(data.slices))
        train, val, brain = load_slices(folder, data.size)
        names = [path.stem for path in sorted((folder / "val").glob("*.png"))]
        return cls(train, val[: data.limit], brain, names[: data.limit])

    def make_sets(self, data: DataConfig, seed: int) -> list[TestSet]:
        """Make a set for each kind of lesion; the slices without lesions are a set of their own."""
        from diffad.evaluation.corrupted import lesion_maker

        pairs = {HEALTHY: (self.val, torch.zeros_like(self.val))}
        for family, kinds in _choose_kinds(data).items():
            make_lesions = lesion_maker(family, kinds, list(self.train) if family == "corrupted" else ())
            pairs |= make_lesions(self.val, self.brain, seed)
        return [self._make_set(kind, x, y > 0.5) for kind, (x, y) in pairs.items()]

    def _make_set(self, kind: str, x: Tensor, truth: Tensor) -> TestSet:
        brain = self.brain[0, 0].numpy()
        rows = zip(self.names, x, truth, strict=True)
        items = [TestItem(f"{n}_{kind}", n, scan, mask[0].numpy(), brain, kind) for n, scan, mask in rows]
        return TestSet(kind, kind, partial(list, items), hash_tensors(x, truth, self.brain))


def _choose_kinds(data: DataConfig) -> dict[str, Sequence[str] | None]:
    """Return the kinds of each family that is used; every implanted kind if the file names none."""
    families: dict[str, Sequence[str] | None] = {
        "implanted": data.lesions.implanted,
        "corrupted": data.lesions.corrupted,
    }
    return {family: kinds for family, kinds in families.items() if kinds} or {"implanted": None}
