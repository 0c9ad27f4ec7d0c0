"""Surfaces, counts and components against MONAI and scikit-learn on whole, uncropped grids."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice, get_confusion_matrix
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from diffad.evaluation import Counts, hd95, surface_dice
from diffad.evaluation.metrics.lesions import label_components

CASES = [((40, 33), (1.0, 1.0)), ((40, 33), (0.7, 2.0)), ((24, 20, 18), (1.0, 0.8, 3.0))]


def blobs(shape, seed):
    """Smooth random masks, which reach the border of the grid."""
    rng = np.random.default_rng(seed)
    return [gaussian_filter(rng.standard_normal(shape), 2.5) > 0.05 for _ in range(2)]


def batched(mask):
    return torch.from_numpy(mask)[None, None]


@pytest.mark.parametrize(("shape", "spacing"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_surfaces_are_those_of_the_whole_grid(shape, spacing, seed):
    pred, truth = blobs(shape, seed)
    pair = (batched(pred), batched(truth))
    options = {"include_background": True, "spacing": list(spacing)}
    far = compute_hausdorff_distance(*pair, percentile=95, **options).item()
    assert far > 0
    assert hd95(pred, truth, spacing) == pytest.approx(far)
    for tolerance in (0.0, 1.0, 2.5):
        near = compute_surface_dice(*pair, [tolerance], **options).item()
        assert surface_dice(pred, truth, spacing, tolerance) == pytest.approx(near)


@pytest.mark.parametrize(("shape", "spacing"), CASES)
def test_counts_are_those_of_monai(shape, spacing):
    pred, truth = blobs(shape, 2)
    tp, fp, tn, fn = get_confusion_matrix(batched(pred).int(), batched(truth).int())[0, 0].tolist()
    assert Counts.of(pred, truth) == Counts(int(tp), int(fp), int(fn), int(tn))


@pytest.mark.parametrize(("shape", "spacing"), CASES)
def test_voxels_of_one_component_are_those_chained_by_steps_of_one(shape, spacing):
    mask = blobs(shape, 3)[0] & (np.random.default_rng(3).random(shape) < 0.3)
    labels, count = label_components(mask)
    voxel = np.argwhere(mask)
    near = cdist(voxel, voxel, "chebyshev") <= 1
    component = np.arange(len(voxel))
    while (lower := np.where(near, component, len(voxel)).min(1)).tolist() != component.tolist():
        component = lower
    assert len(np.unique(component)) == count
    assert len({*zip(component.tolist(), labels[mask].tolist(), strict=True)}) == count
