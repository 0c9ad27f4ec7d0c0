"""Facts measured on the published denoising autoencoder (Kascenas et al., MIDL 2022)."""

import numpy as np
import torch
from scipy import ndimage

from diffad.median import median_filter
from diffad.postprocess import erode_by_average, remove_small


def test_erosion_of_a_rectangle_leaves_2816_pixels():
    mask = torch.zeros(1, 1, 128, 128, dtype=torch.bool)
    mask[..., 30:98, 40:88] = True
    assert mask.sum() == 3264
    assert erode_by_average(mask).sum() == 64 * 44 == 2816


def test_erosion_of_nine_by_nine_leaves_25_with_or_without_a_hole():
    mask = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    assert erode_by_average(mask).sum() == 25
    mask[..., 4, 4] = False
    assert erode_by_average(mask).sum() == 25


def test_median_mirrors_without_repeating_the_edge():
    scores = np.random.default_rng(0).random((1, 1, 32, 32)).astype(np.float32)
    mirrored = ndimage.median_filter(scores, (1, 1, 5, 5), mode="mirror")
    repeated = ndimage.median_filter(scores, (1, 1, 5, 5), mode="reflect")
    ours = median_filter(torch.from_numpy(scores)).numpy()
    np.testing.assert_array_equal(ours, mirrored)
    assert (ours != repeated).any()


def line(length):
    """A diagonal of voxels in a volume, connected by corners only."""
    binary = torch.zeros(1, 1, 24, 24, 24, dtype=torch.bool)
    steps = torch.arange(length)
    binary[0, 0, steps, steps, steps] = True
    return binary


def test_component_filter_keeps_21_and_drops_20_voxels_that_touch_by_corners():
    assert remove_small(line(21), 21, filled=True).sum() == 21
    assert remove_small(line(20), 21, filled=True).sum() == 0


def test_component_filter_counts_the_filled_area():
    binary = torch.zeros(1, 1, 9, 9, 9, dtype=torch.bool)
    binary[..., 3:6, 3:6, 3:6] = True
    binary[..., 4, 4, 4] = False
    assert remove_small(binary, 27, filled=True).sum() == 26
    assert remove_small(binary, 27, filled=False).sum() == 0
