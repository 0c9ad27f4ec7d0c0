"""What all saliencies share: a checked scan, and a map that ends at the mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def check_scan(x: Tensor, mask: Tensor | None) -> Tensor:
    """Check a scan and its mask, and return the scan in single precision at least.

    Raises:
        ValueError: If the scan is not (B, C, *S), or the mask not (B, 1, *S).
    """
    if x.ndim not in (4, 5):
        raise ValueError(f"expected x of shape (B, C, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}")
    if mask is not None and mask.shape != (len(x), 1, *x.shape[2:]):
        shape = (len(x), 1, *x.shape[2:])
        raise ValueError(f"expected mask of shape {shape}, got {tuple(mask.shape)}")
    return x.detach().to(torch.promote_types(x.dtype, torch.float32))


def mask_maps(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Set maps (B, C, *S) to zero outside the mask (B, 1, *S)."""
    return scores if mask is None else scores.masked_fill(~mask.to(scores.device).bool(), 0)


def scale_by_peak(scores: Tensor) -> Tensor:
    """Divide the maps (B, C, *S) of each item by their largest value; what is zero everywhere stays so."""
    peak = scores.amax(dim=tuple(range(1, scores.ndim)), keepdim=True)
    return torch.where(peak > 0, scores / peak.where(peak > 0, torch.ones_like(peak)), 0)


def map_in_parts(x: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
    """Look at scans (B, C, *S) one by one on a CPU, whose networks round a batch otherwise than an item.

    Gradients of a few units of rounding decide which voxel is above a quantile, and a region must not depend
    on the other items. Accelerators look at all at once.

    Args:
        x: Scans, (B, C, *S).
        look: Maps (B, C, *S) to (k, B, C, *S).
    """
    return torch.cat([look(item) for item in torch.split(x, 1)], 1) if x.device.type == "cpu" else look(x)


@contextmanager
def enable_gradients(device: torch.device) -> Iterator[None]:
    """Record gradients in the precision of the tensors, whatever surrounds the call."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield
