"""All test sets of a benchmark, by seed."""

from __future__ import annotations

from diffad.benchmark.config import DataConfig
from diffad.benchmark.datasets import list_chunks
from diffad.benchmark.items import TestSet
from diffad.benchmark.slices import HealthySlices


class TestSets:
    """The test sets of every seed; each seed's are made once.

    Args:
        data: What methods are tested on.
    """

    __test__ = False  # pytest takes the name for one of its own

    def __init__(self, data: DataConfig) -> None:
        self.data = data
        self.slices = HealthySlices.read(data) if data.slices else None
        self._cache: dict[int, list[TestSet]] = {}

    def list_sets(self, seed: int) -> list[TestSet]:
        """Return the sets of one seed; those of a data set are the same for every seed."""
        key = seed if self.data.root is None else 0
        if key not in self._cache:
            self._cache[key] = self._make_sets(seed)
        return self._cache[key]

    def _make_sets(self, seed: int) -> list[TestSet]:
        if self.data.root is not None:
            return list_chunks(self.data)
        assert self.slices is not None
        return self.slices.make_sets(self.data, seed)
