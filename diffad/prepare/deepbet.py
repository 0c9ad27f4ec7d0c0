"""Finding the brain of an MRI by the network of deepbet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from diffad.data.volume import Array
from diffad.io.extras import import_extra
from diffad.prepare.record import count_threads


@cache
def _load_network() -> Any:
    """Load the two networks of deepbet (TorchScript, in its wheel), without its graphical interface."""
    return import_extra("deepbet.bet", "prepare").BrainExtraction(no_gpu=True)


def find_brain_deepbet(image: Array, threads: int = 0) -> Array:
    """Find the brain in a head.

    deepbet works on voxels, not on mm: only the axes must run to the right, anterior and superior.

    Args:
        image: Scan of a head, (I, J, K) in RAS; the network was trained on T1.
        threads: Threads; 0 for all cores.

    Returns:
        Brain mask, (I, J, K), bool; empty if there is none.

    Raises:
        ImportError: If deepbet is missing.

    Reference:
        deepbet: Fast brain extraction of T1-weighted MRI using CNNs (Fisch et al., 2024).
    """
    network = _load_network()
    with _limit_threads(count_threads(threads)):
        try:
            mask = network.run_model(np.array(image, dtype=np.float32)) > 0.5
            return np.asarray(network.postprocess(mask), dtype=bool)
        except (AssertionError, ValueError) as error:  # how deepbet reports a scan without a brain
            if not _is_empty(error):
                raise
            return np.zeros(image.shape, dtype=bool)


def _is_empty(error: Exception) -> bool:
    return "foreground" in str(error) or "empty sequence" in str(error)


@contextmanager
def _limit_threads(count: int) -> Iterator[None]:
    old_count = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(old_count)
