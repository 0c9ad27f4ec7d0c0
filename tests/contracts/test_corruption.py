"""What every registered corruption promises, in 2-D and 3-D."""

import pytest
import torch

from diffad.capabilities import give_sources, takes_codes
from diffad.protocols import Corruption
from diffad.registry import CORRUPTIONS
from tests.data.test_corruptions import phantom

SHAPES = [(3, 1, 40, 34), (2, 2, 20, 22, 18)]
LEVELS = (0.0, 0.3, 0.6, 1.0)
CODES = ("cells", "coarse")

everything = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture(params=sorted(CORRUPTIONS))
def name(request):
    return request.param


@pytest.fixture
def corruption(name):
    return CORRUPTIONS.build(name)


def draw_scans(shape, seed=0):
    """Return images (B, C, *S) in [0, 1] and brains (B, 1, *S)."""
    pairs = [phantom(*shape[2:], channels=shape[1], seed=seed + i) for i in range(shape[0])]
    return tuple(torch.stack(parts) for parts in zip(*pairs, strict=True))


def test_follows_the_protocol(corruption):
    assert isinstance(corruption, Corruption)


@everything
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_shape_dtype_and_device_stay(corruption, shape, dtype, generators):
    x, mask = draw_scans(shape)
    y, weight = corruption(x.to(dtype), mask, level=1.0, generators=generators(*range(len(x))))
    assert (y.shape, y.dtype, y.device) == (x.shape, dtype, x.device)
    assert (weight.shape, weight.device) == (mask.shape, x.device)
    assert weight.is_floating_point()
    assert 0 <= y.min() <= y.max() <= 1
    assert 0 <= weight.min() <= weight.max() <= 1


@everything
@pytest.mark.parametrize("level", [None, 0.5, 1.0])
def test_item_alone_equals_item_in_batch(corruption, shape, level, generators):
    x, mask = draw_scans(shape)
    y, weight = corruption(x, mask, level=level, generators=generators(*range(len(x))))
    for i in range(len(x)):
        alone = corruption(x[i : i + 1], mask[i : i + 1], level=level, generators=generators(i))
        assert torch.equal(alone[0][0], y[i])
        assert torch.equal(alone[1][0], weight[i])


def test_each_item_has_a_level_of_its_own(corruption, generators):
    x, mask = draw_scans(SHAPES[0])
    levels = torch.tensor([0.0, 0.4, 1.0])
    y, weight = corruption(x, mask, level=levels, generators=generators(5, 6, 7))
    for i, seed in enumerate((5, 6, 7)):
        alone = corruption(x[i : i + 1], mask[i : i + 1], level=float(levels[i]), generators=generators(seed))
        assert torch.equal(alone[0][0], y[i])
        assert torch.equal(alone[1][0], weight[i])
    assert torch.equal(y[0], x[0])


@everything
def test_seed_decides_and_nothing_else(corruption, shape, generators):
    x, mask = draw_scans(shape)
    before, state = (x.clone(), mask.clone()), torch.get_rng_state()
    seeds = range(len(x))
    first, again = (corruption(x, mask, level=None, generators=generators(*seeds)) for _ in range(2))
    others = corruption(x, mask, level=None, generators=generators(*(s + 50 for s in seeds)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], others[0])
    assert torch.equal(x, before[0])
    assert torch.equal(mask, before[1])
    assert torch.equal(torch.get_rng_state(), state)


@everything
def test_level_0_changes_nothing(corruption, shape, generators):
    x, mask = draw_scans(shape)
    y, weight = corruption(x, mask, level=0.0, generators=generators(*range(len(x))))
    assert torch.equal(y, x)
    assert not weight.any()


@everything
def test_larger_levels_change_more(corruption, shape, generators):
    shape = (12, *shape[1:])
    x, mask = draw_scans(shape)
    changes, weights = [], []
    for level in LEVELS:
        y, weight = corruption(x, mask, level=level, generators=generators(*range(12)))
        changes.append(float((y - x).abs().mean()))
        weights.append(float(weight.mean()))
    assert changes == sorted(set(changes))
    assert weights == sorted(set(weights))


@everything
@pytest.mark.parametrize("level", [None, 0.5, 1.0])
def test_only_the_brain_changes_and_only_where_the_weight_says_so(corruption, shape, level, generators):
    x, mask = draw_scans(shape)
    y, weight = corruption(x, mask, level=level, generators=generators(*range(len(x))))
    outside = (weight == 0).expand_as(x)
    assert torch.equal(y[outside], x[outside])
    assert not weight[~mask].any()
    changed = (y != x).any(1, keepdim=True)
    assert changed.any()
    # what was damaged may by chance keep its value, but next to none of it does
    assert changed.sum() >= 0.9 * (weight > 0).sum()


def test_mask_may_be_a_share_of_each_pixel(corruption, generators):
    x, mask = draw_scans(SHAPES[0])
    y, weight = corruption(x, mask, level=0.7, generators=generators(1, 2, 3))
    same, also = corruption(x, mask.float(), level=0.7, generators=generators(1, 2, 3))
    assert torch.equal(y, same)
    assert torch.equal(weight, also)


def test_patches_come_from_other_images_where_a_kind_takes_them(name, corruption, generators):
    x, mask = draw_scans(SHAPES[0])
    told = give_sources(corruption, list(1 - x))
    own, foreign = (c(x, mask, level=1.0, generators=generators(1, 2, 3))[0] for c in (corruption, told))
    takes = name in ("blend", "cross_blend", "disyre", "foreign", "fpi")
    assert torch.equal(own, foreign) != takes


def test_codes_are_damaged_by_noise_and_refused_by_kinds_that_read_intensities(name, corruption, generators):
    codes = torch.randn(3, 4, 16, 16, generator=generators(9)[0])
    brain = torch.ones(3, 1, 16, 16)
    assert takes_codes(corruption) == (name in CODES)
    if name in CODES:
        y, weight = corruption(codes, brain, level=1.0, generators=generators(1, 2, 3))
        assert not torch.equal(y, codes)
        assert torch.equal((y != codes).any(1, keepdim=True), weight > 0)
    else:
        with pytest.raises(
            ValueError, match=rf"corruption '{name}': expected intensities in \[0, 1\], got -"
        ):
            corruption(codes, brain, level=1.0, generators=generators(1, 2, 3))


class TestRefusals:
    x, mask = draw_scans(SHAPES[0])

    def refuse(self, corruption, text, x=None, mask=None, error=ValueError, seeds=3, level=0.5):
        items = [torch.Generator().manual_seed(s) for s in range(seeds)]
        with pytest.raises(error, match=text):
            corruption(
                self.x if x is None else x,
                self.mask if mask is None else mask,
                level=level,
                generators=items,
            )

    def test_shapes(self, corruption):
        self.refuse(corruption, r"images \(B, C, \*S\) and masks .*got \(3, 40, 34\)", x=self.x[:, 0])
        self.refuse(corruption, r"of one size, got .* and \(3, 1, 40, 33\)", mask=self.mask[..., 1:])
        self.refuse(corruption, "one generator for each of 3 items, got 2", seeds=2)

    @pytest.mark.parametrize("level", [-0.1, 1.01, float("nan"), torch.tensor([0.5, 2.0, 0.1])])
    def test_levels_outside_0_to_1(self, corruption, level):
        self.refuse(corruption, r"levels in \[0, 1\], got", level=level)

    def test_wrong_number_of_levels(self, corruption):
        self.refuse(corruption, r"levels of shape \(\) or \(3,\), got \(2,\)", level=torch.tensor([0.1, 0.2]))

    def test_empty_mask(self, corruption):
        mask = self.mask.clone()
        mask[1] = False
        self.refuse(corruption, "brain mask with voxels in it, got an empty one for item 1", mask=mask)

    def test_values_that_are_not_finite(self, corruption):
        x = self.x.clone()
        x[0, 0, 3, 4] = torch.nan
        self.refuse(corruption, "finite images, found 1 values that are not", x=x)

    def test_integers(self, corruption):
        self.refuse(corruption, "floating point images, got torch.int64", x=self.x.long(), error=TypeError)
