"""Augmentations move image and mask together and follow from each item's generator."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from diffad.config import AugmentConfig
from diffad.data.augment import _blur, augment
from diffad.data.augment_scanner import ANCHOR, bend_tones, lay_bias, lay_noise
from diffad.data.toy import draw_toy_slice

ALL = AugmentConfig(
    flip=0.5, rotate=12.0, shift=0.1, scale=0.1, gamma=0.3, gain=0.2, blur=0.8, tone=0.1, bias=0.3, noise=0.05
)
MOVES = AugmentConfig(flip=0.5, rotate=12.0, shift=0.1, scale=0.1)


def slices(count=4, size=32):
    """Textured brains without any symmetry, and their masks."""
    masks = torch.stack([draw_toy_slice(size, i)[1] for i in range(count)])
    masks[..., : size // 2, : size // 3] = 0
    texture = torch.rand(masks.shape, generator=torch.Generator().manual_seed(0))
    return masks * (0.2 + 0.6 * texture), masks


def volumes(count=2):
    images, masks = slices(count, 24)
    return tuple(x[..., None].repeat(1, 1, 1, 1, 5) for x in (images, masks))


@pytest.mark.parametrize("batch", [slices(), volumes()], ids=["2-D", "3-D"])
def test_nothing_configured_changes_nothing(batch, generators):
    images, masks = augment(*batch, AugmentConfig(), generators(*range(len(batch[0]))))
    assert torch.equal(images, batch[0])
    assert torch.equal(masks, batch[1])


@pytest.mark.parametrize("batch", [slices(), volumes()], ids=["2-D", "3-D"])
def test_same_generators_give_the_same_and_others_do_not(batch, generators):
    seeds = range(len(batch[0]))
    first, second, third = (augment(*batch, ALL, generators(*s)) for s in (seeds, seeds, [9, *seeds[1:]]))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0][0], third[0][0])
    assert torch.equal(first[0][1:], third[0][1:])


@pytest.mark.parametrize("batch", [slices(), slices(size=31), volumes()], ids=["even", "odd", "3-D"])
def test_item_alone_equals_item_in_batch(batch, generators):
    seeds = range(len(batch[0]))
    images, masks = augment(*batch, ALL, generators(*seeds))
    for i in seeds:
        alone = augment(batch[0][i : i + 1], batch[1][i : i + 1], ALL, generators(i))
        torch.testing.assert_close(alone[0][0], images[i], rtol=0, atol=1e-6)
        assert torch.equal(alone[1][0], masks[i])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.booleans())
def test_background_stays_zero_and_values_stay_in_range(seed, solid):
    batch = volumes() if solid else slices(2)
    generators = [torch.Generator().manual_seed(seed + i) for i in range(2)]
    images, masks = augment(*batch, ALL, generators)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert not images[masks == 0].any()
    assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize("batch", [slices(), volumes()], ids=["2-D", "3-D"])
def test_mask_moves_along(batch, generators):
    disc = batch[1]
    images, masks = augment(disc, disc, MOVES, generators(*range(len(disc))))
    assert not torch.equal(masks, disc)
    # An image that equals its mask still does, but for a rim that interpolation softens.
    assert ((images > 0.5).float() != masks).float().mean() < 0.01


@pytest.mark.parametrize(("batch", "axis"), [(slices(), 3), (volumes(), 2)], ids=["2-D", "3-D"])
def test_flip_is_exact_and_happens_as_often_as_asked(batch, axis, generators):
    seeds = range(len(batch[0]))
    images, masks = augment(*batch, AugmentConfig(flip=1.0), generators(*seeds))
    assert torch.equal(images, batch[0].flip(axis))
    assert torch.equal(masks, batch[1].flip(axis))
    many = batch[0][:1].expand(200, *batch[0].shape[1:])
    images, _ = augment(many, many, AugmentConfig(flip=0.25), generators(*range(200)))
    flipped = sum(torch.equal(image, many[0].flip(axis - 1)) for image in images)
    assert 30 <= flipped <= 70


def blob(row, column, shape=(40, 60)):
    image = torch.zeros(1, 1, *shape)
    image[..., row - 2 : row + 3, column - 2 : column + 3] = 1
    return image


def middle(image):
    result = image[0, 0].nonzero().float().mean(0) + 0.5
    return result - torch.tensor(image.shape[2:]) / 2


def test_rotation_keeps_distances_even_where_sides_differ(generators):
    image = blob(10, 45)
    for seed in range(8):
        moved, _ = augment(image, torch.ones_like(image), AugmentConfig(rotate=45.0), generators(seed))
        assert float(middle(moved > 0.5).norm()) == pytest.approx(float(middle(image).norm()), abs=0.7)


def test_volume_is_turned_in_its_axial_plane_as_a_slice_is(generators):
    image = blob(10, 45)
    config = AugmentConfig(rotate=40.0, shift=0.1)
    flat, _ = augment(image, torch.ones_like(image), config, generators(4))
    # A slice lists (row, column) = (j, i), a volume (i, j, k).
    solid = image.transpose(2, 3)[..., None].repeat(1, 1, 1, 1, 3)
    turned, _ = augment(solid, torch.ones_like(solid), config, generators(4))
    torch.testing.assert_close(turned[..., 1].transpose(2, 3), flat, rtol=0, atol=1e-4)


def test_shift_and_scale_stay_within_their_bounds(generators):
    image = blob(20, 30)
    for seed in range(8):
        moved, _ = augment(image, torch.ones_like(image), AugmentConfig(shift=0.1), generators(seed))
        assert (middle(moved > 0.5).abs() <= torch.tensor([4.5, 6.5])).all()
    square = torch.zeros(1, 1, 40, 40)
    square[..., 10:30, 10:30] = 1
    areas = [
        augment(square, torch.ones_like(square), AugmentConfig(scale=0.2), generators(s))[1].sum()
        for s in range(8)
    ]
    sizes = [
        augment(square, square, AugmentConfig(scale=0.2), generators(s))[1].sum().item() for s in range(8)
    ]
    assert max(areas) <= 1600
    assert 400 * 0.78**2 < min(sizes) < 400 < max(sizes) < 400 * 1.22**2 * 1.1


def test_intensities_follow_gamma_and_gain(generators):
    images, masks = slices(1)
    (generator,) = generators(5)
    draws = torch.rand(7, generator=generator)[1:] * 2 - 1
    changed, same = augment(images, masks, AugmentConfig(gamma=0.5, gain=0.2), generators(5))
    expected = (images ** (2 ** (0.5 * draws[4])) * (1 + 0.2 * draws[5])).clamp(0, 1)
    torch.testing.assert_close(changed, expected)
    assert torch.equal(same, masks)


def test_blur_equals_scipy_and_zero_keeps_the_image():
    x = torch.rand(2, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    blurred = _blur(x, torch.tensor([0.0, 0.7]))
    assert torch.equal(blurred[0], x[0])
    expected = gaussian_filter(x[1, 0].numpy(), 0.7, radius=3, mode="constant")
    torch.testing.assert_close(blurred[1, 0], torch.from_numpy(expected))


@pytest.mark.parametrize("shape", [(20, 24), (9, 10, 11)])
def test_blurred_item_alone_equals_item_in_batch_and_background_stays_zero(shape, generators):
    x = torch.rand(3, 1, *shape, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(3, 1, *shape)
    masks[..., 2:-2, 2:-2] = 1
    config = AugmentConfig(blur=1.0)
    images, _ = augment(x * masks, masks, config, generators(0, 1, 2))
    alone, _ = augment((x * masks)[1:2], masks[1:2], config, generators(1))
    assert torch.equal(images[1:2], alone)
    assert (images[masks == 0] == 0).all()
    assert not torch.equal(images, x * masks)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.01, 0.25))
def test_tone_curves_ascend_and_keep_both_ends(seed, amplitude):
    x = torch.linspace(0, 1, 200).reshape(1, 1, 200, 1)
    y = bend_tones(x, amplitude, [torch.Generator().manual_seed(seed)])
    assert (y.diff(dim=2) >= -1e-6).all()
    assert (y - x).abs().max() <= amplitude + 1e-6
    assert y[0, 0, 0] == 0
    torch.testing.assert_close(y[x >= ANCHOR], x[x >= ANCHOR], atol=1e-6, rtol=0)


def test_bias_is_smooth_and_bounded(generators):
    x = torch.full((8, 1, 32, 32), 0.3)
    field = (lay_bias(x, 0.5, generators(*range(8))) / x).log()
    assert 0.1 < field.abs().max() <= 0.5
    assert field.diff(dim=-1).abs().max() < 0.12
    assert field.std(dim=(1, 2, 3)).unique().numel() == 8


def test_noise_is_rician(generators):
    x = torch.cat([torch.zeros(1, 1, 200, 200), torch.full((1, 1, 200, 200), 0.5)])
    level = torch.rand(1, generator=generators(3)[0]) * 0.1
    y = lay_noise(x, 0.1, generators(3, 3))
    assert y[0].mean().item() == pytest.approx(level.item() * (torch.pi / 2) ** 0.5, rel=0.02)
    assert (y[1] - x[1]).std().item() == pytest.approx(level.item(), rel=0.02)
