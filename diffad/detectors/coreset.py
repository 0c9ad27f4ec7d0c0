"""A few features that stand for many: a fair sample of a stream, and a greedy choice among it."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

SHARE = 0.5
"""Share of the memory of a machine that a bank may take."""
GIGABYTE = 1e9
LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Where a container says how many bytes it may use."""


class PatchSample:
    """Keeps a fair sample of all rows that it is shown, each of them once.

    Each row draws a number, and the rows of the largest numbers stay; so the sample depends on the seed
    and the order of the rows alone, not on how they are cut into batches.

    Args:
        limit: Rows that are kept.
        seed: Seed of the numbers.
    """

    def __init__(self, limit: int, seed: int) -> None:
        self.limit, self.generator = limit, torch.Generator().manual_seed(seed)
        self.rows: Tensor | None = None
        self.keys = torch.zeros(0, dtype=torch.float64)
        self.seen = 0

    def add(self, rows: Tensor) -> None:
        """Show it rows (N, F)."""
        rows = rows.detach().float().cpu()
        keys = torch.rand(len(rows), generator=self.generator, dtype=torch.float64)
        self.seen += len(rows)
        self.rows = rows if self.rows is None else torch.cat([self.rows, rows])
        self.keys = torch.cat([self.keys, keys])
        if len(self.keys) > self.limit:
            largest = self.keys.topk(self.limit).indices.sort().values
            self.rows, self.keys = self.rows[largest], self.keys[largest]


def choose_core(rows: Tensor, count: int, seed: int, width: int = 128) -> Tensor:
    r"""Choose rows greedily, each the farthest from those chosen before.

    .. math:: i_{k+1} = \arg\max_i \min_{j \le k} \lVert P (r_i - r_{i_j}) \rVert

    Args:
        rows: What is chosen from, (N, F).
        count: How many; fewer where there are not as many.
        seed: Seed of the first row and of the random projection P to ``width`` numbers.
        width: Numbers that distances are measured in where there are more of them.

    Returns:
        Numbers of the rows, (count,), in the order of choice.

    Reference:
        Towards Total Recall in Industrial Anomaly Detection (Roth et al., CVPR 2022), algorithm 1.
    """
    generator = torch.Generator().manual_seed(seed)
    first = int(torch.randint(len(rows), (), generator=generator))
    if rows.shape[1] > width:
        rows = rows @ (torch.randn(rows.shape[1], width, generator=generator) / width**0.5)
    core, nearest = [first], torch.full((len(rows),), torch.inf)
    while len(core) < min(count, len(rows)):
        nearest = torch.minimum(nearest, (rows - rows[core[-1]]).square().sum(1))
        nearest[core[-1]] = -1.0
        core.append(int(nearest.argmax()))
    return torch.tensor(core)


def require_memory(numbers: int, what: str) -> None:
    """Refuse what would not fit into the memory of this machine.

    Args:
        numbers: Floating-point numbers that are kept.
        what: What they are, and which options make them fewer.

    Raises:
        ValueError: If they take more than half of it; both are said.
    """
    estimate, memory = 4 * numbers / GIGABYTE, read_memory() / GIGABYTE
    if estimate > SHARE * memory:
        raise ValueError(
            f"expected {what} to take at most half of the {memory:.1f} GB of memory, "
            f"estimated {estimate:.1f} GB"
        )


def read_memory() -> float:
    """Return the memory of this machine, in bytes, or what its container may use of it."""
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    text = LIMIT.read_text().strip() if LIMIT.is_file() else "max"
    return min(memory, float(text)) if text.isdecimal() else memory
