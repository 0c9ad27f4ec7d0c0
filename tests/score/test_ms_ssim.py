"""Weight-free perceptual maps: structure at several scales, and gradient magnitudes."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from torch.nn.functional import avg_pool2d

from diffad.registry import SCORES
from diffad.score.gms import GradientMagnitude
from diffad.score.ms_ssim import MultiScaleSSIM
from diffad.score.ssim import SSIMScore
from diffad.types import Reconstruction


def pair_of(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator)
    return x, Reconstruction((x + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1), nfe=1)


def test_one_scale_is_plain_ssim():
    x, reconstruction = pair_of((2, 2, 24, 20))
    assert torch.equal(MultiScaleSSIM(scales=1)(x, reconstruction), SSIMScore(11, 1.5)(x, reconstruction))


def test_map_is_the_mean_of_the_scales():
    x, reconstruction = pair_of((1, 1, 64, 64))
    fine, coarse = x, reconstruction.image
    maps = []
    for factor in (1, 2, 4, 8):
        level = SSIMScore(5, 1.5)(fine, Reconstruction(coarse, nfe=1))
        maps.append(torch.nn.functional.interpolate(level, scale_factor=factor, mode="bilinear"))
        fine, coarse = avg_pool2d(fine, 2), avg_pool2d(coarse, 2)
    expected = sum(maps) / 4
    torch.testing.assert_close(MultiScaleSSIM(4, window=5)(x, reconstruction), expected)


def test_scales_too_short_for_the_window_are_left_out():
    x, reconstruction = pair_of((1, 1, 40, 11))
    many, fitting = (MultiScaleSSIM(scales=k)(x, reconstruction) for k in (4, 2))
    assert torch.equal(many, fitting)
    assert not torch.equal(fitting, MultiScaleSSIM(scales=1)(x, reconstruction))
    with pytest.raises(ValueError, match="expected axes longer than 5 for window 11"):
        MultiScaleSSIM()(x[..., :5], Reconstruction(reconstruction.image[..., :5], nfe=1))


@pytest.mark.parametrize("shape", [(1, 1, 45, 37), (1, 1, 17, 15, 14)])
def test_a_faint_blob_stays_in_its_place(shape):
    x = torch.full(shape, 0.5)
    x += 0.02 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    box = tuple(slice(n // 2 - 2, n // 2 + 3) for n in shape[2:])
    reconstruction = x.clone()
    reconstruction[(0, 0, *box)] -= 0.1
    scores = MultiScaleSSIM(scales=3, window=3)(x, Reconstruction(reconstruction, nfe=1))
    box_mean = scores[(0, 0, *box)].mean()
    scores[(0, 0, *box)] = 0
    assert box_mean > 5 * scores.mean()


@pytest.mark.parametrize("options", [{"scales": 0}, {"window": 4}, {"sigma": -1.0}, {"data_range": 0.0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=f"expected {next(iter(options))} .* got"):
        MultiScaleSSIM(**options)


def test_gradients_are_those_of_prewitt():
    x, reconstruction = pair_of((1, 1, 13, 17), seed=3)
    filters = np.array([[1, 0, -1]] * 3) / 3
    squares = []
    for image in (x, reconstruction.image):
        flat = image[0, 0].double().numpy()
        squares.append(sum(convolve(flat, f, mode="nearest") ** 2 for f in (filters, filters.T)))
    m, m_hat = (np.sqrt(s) for s in squares)
    expected = 1 - (2 * m * m_hat + 0.0026) / (m**2 + m_hat**2 + 0.0026)
    np.testing.assert_allclose(GradientMagnitude()(x, reconstruction)[0, 0].numpy(), expected, atol=1e-5)


def test_an_even_shift_has_the_same_gradients_and_a_flat_twin_has_none():
    ramp = (torch.arange(20.0) / 40).expand(1, 1, 20, 20)
    score = GradientMagnitude(c=0.01)
    assert score(ramp, Reconstruction(ramp + 0.25, nfe=1)).max() < 1e-6
    flat = score(ramp, Reconstruction(torch.zeros_like(ramp), nfe=1))[..., 1:-1]
    # m is the difference over two voxels, 1/20
    torch.testing.assert_close(flat, torch.full_like(flat, 1 - 0.01 / (0.05**2 + 0.01)))


def test_gradients_of_volumes_reduce_to_those_of_equal_slices():
    x, reconstruction = pair_of((1, 1, 12, 14))
    deep, deep_hat = (v[..., None].expand(-1, -1, -1, -1, 5) for v in (x, reconstruction.image))
    maps = GradientMagnitude()(deep, Reconstruction(deep_hat, nfe=1))
    torch.testing.assert_close(maps[..., 2], GradientMagnitude()(x, reconstruction))


@pytest.mark.parametrize("c", [0.0, float("inf")])
def test_bad_constants_are_refused(c):
    with pytest.raises(ValueError, match="expected c positive and finite"):
        SCORES.build("gms", c=c)
