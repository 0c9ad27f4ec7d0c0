"""Facts measured on the published denoising autoencoder (Kascenas et al., MIDL 2022)."""

import numpy as np
import torch
from scipy import ndimage

from diffad.inference.median_filter import median_filter
from diffad.inference.postprocess import Postprocess, erode_by_average, remove_small

PUBLISHED = Postprocess(
    erosion=2, median=5, min_size=21, erosion_rule="average", median_first=False, filled=True
)


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


def published_map(e, m):
    """Mask by an average of 5 x 5, then a median of 5 x 5 that mirrors, in scipy's words."""
    near = ndimage.uniform_filter(m.astype(np.float64), 5, mode="constant")
    return ndimage.median_filter(np.where(near > 0.95, e, 0), 5, mode="mirror")


def test_maps_are_masked_first_and_smoothed_after():
    rng = np.random.default_rng(0)
    e, m = rng.random((32, 32), dtype=np.float32), np.zeros((32, 32), dtype=bool)
    m[4:28, 6:26] = True
    m[10, 12] = m[20:24, 24:] = False
    scores, mask = (torch.from_numpy(a)[None, None] for a in (e, m))
    np.testing.assert_array_equal(PUBLISHED.smooth(scores, mask)[0, 0].numpy(), published_map(e, m))
    masked_after = Postprocess(erosion=2, erosion_rule="average").smooth(scores, mask)
    assert not torch.equal(masked_after, PUBLISHED.smooth(scores, mask))


def test_erosion_of_a_rectangle_leaves_2816_pixels_of_a_map():
    mask = torch.zeros(1, 1, 128, 128, dtype=torch.bool)
    mask[..., 30:98, 40:88] = True
    sharp = Postprocess(erosion=2, erosion_rule="average", median=1, median_first=False)
    assert (sharp.smooth(torch.ones(1, 1, 128, 128), mask) > 0).sum() == 2816


def test_one_pixel_hole_and_the_border_of_the_image_are_treated_as_published():
    mask = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    mask[..., 4, 4] = False
    sharp = Postprocess(erosion=2, erosion_rule="average", median=1)
    kept = sharp.smooth(torch.ones(1, 1, 9, 9), mask) > 0
    assert kept.sum() == 25
    assert kept[..., 2:7, 2:7].all()


def test_detections_of_21_voxels_stay_and_of_20_go():
    assert PUBLISHED.binarise(line(21).float(), 0.5).sum() == 21
    assert not PUBLISHED.binarise(line(20).float(), 0.5).any()
    shell = torch.zeros(1, 1, 9, 9)
    shell[..., 2:7, 2:7] = 1
    shell[..., 3:6, 3:6] = 0
    assert PUBLISHED.binarise(shell, 0.5).sum() == 16
    assert not Postprocess(min_size=21).binarise(shell, 0.5).any()
