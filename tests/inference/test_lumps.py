"""Far more flagged than in healthy scans: one large piece is not scattered voxels."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffad.inference.domain import DomainCheck
from diffad.inference.flagged import LUMP, FlaggedShare
from diffad.inference.headline import judge_result
from diffad.inference.lumps import measure_lump

SHAPE, SPACING = (64, 72, 60), (2.0, 2.0, 2.5)
GRID = np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij"))
BRAIN = torch.from_numpy((((GRID.T - GRID.mean((1, 2, 3))) / (60, 68, 70)) ** 2).sum(-1).T < 1)


def draw_blob(radius):
    return torch.from_numpy(radius**2 > ((GRID.T - (80, 70, 70)) ** 2).sum(-1).T) & BRAIN


def draw_scatter(share, sigma):
    """Mark the highest values of noise, white or smooth."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), sigma)
    return torch.from_numpy(noise > np.quantile(noise[BRAIN.numpy()], 1 - share)) & BRAIN


def flag(marks):
    share = float(marks.sum() / BRAIN.sum())
    return FlaggedShare(share, 0.1, 0.01, 1, 1, measure_lump(marks, BRAIN, SPACING))


@pytest.mark.parametrize("radius", [34, 48])
def test_a_large_blob_may_be_a_lesion(radius):
    share = flag(draw_blob(radius))
    assert share.share > 0.1
    assert share.lump > LUMP
    assert share.is_credible
    kind, text = judge_result(share, {"p_value": 1.0, "floor": 0.02}, True)
    assert kind == "detections"
    assert "in one piece: a large lesion is possible, look" in text
    assert "outside what the model knows" in judge_result(share, None, True, True)[1]
    assert "a large lesion is possible" in share.list_warnings()[0]
    assert DomainCheck(True, 0.01).judge(share).status == "inside"
    assert "in one dense piece, which a large lesion could explain" in str(share)


@pytest.mark.parametrize("sigma", [0, 1, 3])
@pytest.mark.parametrize("share", [0.15, 0.3])
def test_scattered_voxels_are_not_credible_though_they_hang_together(share, sigma):
    marks = draw_scatter(share, sigma)
    labels, _ = ndimage.label(marks.numpy(), np.ones((3, 3, 3)))
    if (share, sigma) == (0.3, 0):
        assert np.bincount(labels.ravel())[1:].max() > 0.9 * int(marks.sum())
    flagged = flag(marks)
    assert flagged.lump < LUMP / 2
    assert not flagged.is_credible
    kind, text = judge_result(flagged, None, True)
    assert kind == "not credible"
    assert "all over the brain; the scan is not one the model knows" in text
    assert "lies all over the brain" in flagged.list_warnings()[0]
    assert DomainCheck(True, 0.01).judge(flagged).status == "outside"


def test_most_of_a_brain_is_no_lesion():
    assert not flag(BRAIN).is_credible


def test_the_lump_counts_in_slices_too_and_nothing_has_none():
    assert measure_lump(draw_blob(40)[:, :, 28], BRAIN[:, :, 28], (1.0, 1.0)) > LUMP
    assert measure_lump(torch.zeros_like(BRAIN), BRAIN, SPACING) == 0
