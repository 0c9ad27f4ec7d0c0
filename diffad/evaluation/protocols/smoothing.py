"""What a protocol does to a map before its pixels count."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.stacks import plane_shape, stack_slices, unstack_slices
from diffad.evaluation.samples import Bools, Sample
from diffad.inference.median_filter import median_filter
from diffad.inference.postprocess import erode_by_average, peel_layers


def postprocess_sample(sample: Sample, protocol: Protocol) -> NDArray[Any]:
    """Blur, zero outside the eroded brain, then smooth by the median: the order of the papers."""
    scores, axis = sample.scores, sample.axis
    if protocol.sigma:
        scores = unstack_slices(_blur_slices(stack_slices(scores, axis), protocol.sigma), axis)
    if protocol.masked:
        scores = np.where(_erode_brain(sample, protocol), scores, 0).astype(np.float32)
    if protocol.median > 1:
        slice_wise = protocol.median_axes == 2 or scores.ndim == 2
        if slice_wise:
            stack = median_filter(stack_slices(scores, axis), protocol.median, protocol.median_border)
            scores = unstack_slices(stack, axis)
        elif protocol.median % 2 == 0:
            scores = _smooth_evenly(scores, protocol.median)
        else:
            volume = torch.from_numpy(np.ascontiguousarray(scores))[None, None]
            scores = median_filter(volume, protocol.median, protocol.median_border)[0, 0].numpy()
    return scores


def _smooth_evenly(scores: NDArray[Any], width: int) -> NDArray[Any]:
    """Take the upper of the two middle values in a window without a middle voxel, as in scipy."""
    from scipy.ndimage import median_filter as median_filter_of_scipy

    smooth: NDArray[Any] = median_filter_of_scipy(scores, size=width, mode="reflect")
    return smooth


def _erode_brain(sample: Sample, protocol: Protocol) -> Bools:
    layers = protocol.erosion
    if protocol.erosion_per:
        layers = min(plane_shape(sample)) // protocol.erosion_per
    stack = stack_slices(sample.brain, sample.axis)
    if protocol.erosion_rule == "average":
        return unstack_slices(erode_by_average(stack, 2 * layers + 1), sample.axis)
    return unstack_slices(peel_layers(stack, layers), sample.axis)


def _blur_slices(stack: Tensor, sigma: float) -> Tensor:
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(stack.numpy(), (0, 0, sigma, sigma)))
