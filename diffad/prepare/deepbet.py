"""The brain of an MRI, found by deepbet's network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from diffad.data.volume import Array
from diffad.prepare.extras import count_threads, import_extra


@cache
def _network() -> Any:
    """Load deepbet's two networks (TorchScript, in its wheel); its own window toolkit is not imported."""
    return import_extra("deepbet.bet").BrainExtraction(no_gpu=True)


def deepbet_brain(image: Array, threads: int = 0) -> Array:
    """Find the brain in a head.

    deepbet looks at voxels, not at mm: only the axes must run to the right, anterior and superior.

    Args:
        image: Scan of a head, (I, J, K) in RAS; T1 is what it was trained on.
        threads: Threads; 0 for all cores.

    Returns:
        Brain mask, (I, J, K), bool; empty if there is none.

    Raises:
        ImportError: If deepbet is missing.

    Reference:
        deepbet: Fast brain extraction of T1-weighted MRI using CNNs (Fisch et al., 2024).
    """
    network = _network()
    with _threads(count_threads(threads)):
        try:
            found = network.run_model(np.array(image, dtype=np.float32)) > 0.5
            return np.asarray(network.postprocess(found), dtype=bool)
        except (AssertionError, ValueError) as error:  # its words for a scan in which it sees no brain
            if not _is_empty(error):
                raise
            return np.zeros(image.shape, dtype=bool)


def _is_empty(error: Exception) -> bool:
    return "foreground" in str(error) or "empty sequence" in str(error)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
