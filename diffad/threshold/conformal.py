"""How often healthy voxels score as high: conformal p-values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.io.wording import shorten

GROUPINGS = ("scan", "voxel")


@dataclass(frozen=True)
class Survival:
    r"""How large a share of a healthy scan's voxels reaches a score, averaged over scans, as a table.

    .. math:: S(a) = \frac{1}{n} \sum_j \frac{\#\{ i : a_{ij} \ge a \}}{N_j}

    Between two scores of the table the share of the lower one holds, so that p-values err upwards.

    Args:
        scores: Scores, (K,), ascending.
        shares: Share :math:`S` at each of them, (K,), descending; the first is 1.
        scans: Healthy scans :math:`n`.
        voxels: Voxels of all of them.

    Raises:
        ValueError: If the table is empty, not sorted, or its columns differ in length.
    """

    scores: tuple[float, ...]
    shares: tuple[float, ...]
    scans: int
    voxels: int

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.shares):
            raise ValueError(
                f"expected as many shares as scores, got {len(self.shares)} and {len(self.scores)}"
            )
        scores, shares = itertools.pairwise(self.scores), itertools.pairwise(self.shares)
        if not all(a < b for a, b in scores) or not all(a >= b for a, b in shares):
            raise ValueError("expected scores that rise and shares that fall, got others")
        if not all(map(math.isfinite, self.scores)) or not 0 <= self.shares[-1] <= self.shares[0] <= 1:
            raise ValueError("expected finite scores and shares in [0, 1], got others")
        if self.scans < 1 or self.voxels < 1:
            raise ValueError(f"expected scans and voxels, got {self.scans} and {self.voxels}")

    @classmethod
    def of(cls, scans: Sequence[Tensor]) -> Survival:
        """Measure healthy scans.

        Args:
            scans: Scores inside the brain of each, (N_j,).
        """
        sorted_scans = [values.double().sort().values for values in scans]
        all_scores = torch.cat(sorted_scans).sort().values
        scores = torch.unique(all_scores[_spread_ranks(len(all_scores))])
        shares = torch.stack([1 - torch.searchsorted(a, scores) / len(a) for a in sorted_scans]).mean(0)
        shares[0] = 1.0
        return cls(tuple(scores.tolist()), tuple(shares.tolist()), len(scans), len(all_scores))

    def p_values(self, scores: Tensor, by: str = "scan") -> Tensor:
        r"""Return how surprising scores are, were their voxels healthy.

        .. math:: p = \frac{1 + n \, S(a)}{1 + n}

        By scan, a randomly chosen voxel of a new healthy scan has :math:`P(p \le \alpha) \le \alpha`, if that
        scan is exchangeable with those calibrated on; p is then never below 1 / (n + 1). By voxel, n counts
        voxels: p goes much lower, but the promise holds only if voxels were exchangeable too, which
        those of one scan are not.

        Args:
            scores: Any shape.
            by: "scan" or "voxel".

        Raises:
            ValueError: If ``by`` is neither.

        Reference:
            Distribution-free prediction sets for two-layer hierarchical models (Dunn, Wasserman and Ramdas,
            2022), pooling of CDFs; Algorithmic learning in a random world (Vovk et al., 2005).
        """
        if by not in GROUPINGS:
            raise ValueError(f"expected p-values by {' or '.join(GROUPINGS)}, got {by!r}")
        n = self.scans if by == "scan" else self.voxels
        table = torch.tensor((1.0, *self.shares), dtype=torch.float64)
        index = torch.searchsorted(
            torch.tensor(self.scores).double(), scores.detach().cpu().double(), right=True
        )
        return ((1 + n * table[index]) / (1 + n)).float().to(scores.device)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        table = {"scores": [*self.scores], "shares": [round(s, 9) for s in self.shares]}
        return {**table, "scans": self.scans, "voxels": self.voxels}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Survival:
        """Build a table from what ``to_dict`` gave.

        Raises:
            ValueError: If a key is missing or unknown, or the table is not sorted.
        """
        keys = {"scores", "shares", "scans", "voxels"}
        if not isinstance(values, Mapping) or set(values) != keys:
            raise ValueError(f"expected a table with {sorted(keys)}, got {shorten(values)}")
        scores, shares = (tuple(float(v) for v in values[key]) for key in ("scores", "shares"))
        return cls(scores, shares, int(values["scans"]), int(values["voxels"]))


def _spread_ranks(n: int) -> Tensor:
    """Spread ranks of n sorted scores: evenly for the bulk, and ever closer towards the highest."""
    bulk = torch.linspace(0, 0.95 * (n - 1), 64)
    tail = (n - 1) - torch.logspace(0, torch.tensor(0.05 * n).clamp(min=1).log10().item(), 128).sub(1)
    return torch.unique(torch.cat([bulk, tail]).round().long().clamp(0, n - 1))
