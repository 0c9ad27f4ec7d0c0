"""Golden facts of MAD-AD's cells and DAE's coarse noise, as corruptions of scans and codes."""

import math

import pytest
import torch

from diffad.data.corruptions import corrupt, corrupt_batch, corrupt_codes, make_corruption
from diffad.data.corruptions.cells import Cells
from diffad.noise.coarse import CoarseNoise
from diffad.registry import CORRUPTIONS
from tests.data.test_corruptions import generator


def seeds(count, first=0):
    return [generator(first + i) for i in range(count)]


def draw_codes(count, side=32, channels=4):
    """Return codes of variance 1 in a range that no noise leaves."""
    codes = torch.randn(count, channels, side, side, generator=generator(1))
    codes[..., 0, 0], codes[..., 0, 1] = -60, 60
    brain = torch.ones(count, 1, side, side)
    brain[..., :2, :2] = 0
    return codes, brain


class TestCells:
    def test_madad_4_clean_cells_stay_bit_for_bit_and_noised_ones_have_the_share_of_their_level(self):
        codes, brain = draw_codes(150)
        level = 0.8
        damaged, weight = make_corruption("cells")(codes, brain, level=level, generators=seeds(150))
        cells = (weight > 0).expand_as(codes)
        assert torch.equal(damaged[~cells], codes[~cells])
        kept = math.sqrt(1 - level**2)
        rest = (damaged - kept * codes)[cells]
        assert rest.var().item() == pytest.approx(level**2, rel=0.03)
        assert damaged[cells].var().item() == pytest.approx(1, rel=0.03)

    def test_madad_3_drawn_levels_are_those_of_a_cosine(self):
        levels = torch.tensor([Cells().draw_level(g) for g in seeds(4000)]).double()
        share = (2 / math.pi * levels.clamp(max=1).asin()).sort().values
        uniform = (torch.arange(4000) + 0.5) / 4000
        assert (share - uniform).abs().max() < 0.03

    def test_madad_5_a_fifth_of_the_codes_is_noised(self):
        codes, brain = torch.randn(1500, 1, 32, 32), torch.ones(1500, 1, 32, 32)
        _, weight = make_corruption("cells")(codes, brain, level=1.0, generators=seeds(1500))
        assert 0.18 <= float((weight > 0).double().mean()) <= 0.23

    @pytest.mark.parametrize(("side", "unit"), [(32, 1), (128, 4), (256, 8), (16, 1)])
    def test_madad_5_sides_grow_with_the_image(self, side, unit):
        mask = Cells()._scale_mask(side)
        expected = [1, 1, 2, 4] if side == 16 else [unit, 2 * unit, 4 * unit, 8 * unit]
        assert list(mask.sides) == [max(1, s) for s in expected]
        assert mask.block == (1 if side == 16 else 2 * unit)

    def test_madad_6_rim_of_the_brain_is_never_noised(self):
        rows, columns = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
        brain = (rows**2 + columns**2 <= 25**2)[None, None]
        x = torch.rand(1, 1, 64, 64, generator=generator(1)) * brain
        noised = torch.zeros_like(brain)
        for g in seeds(60):
            noised |= make_corruption("cells")(x, brain, level=1.0, generators=[g])[1] > 0
        blocks = torch.nn.functional.avg_pool2d(brain.float(), 4) >= 0.9
        assert torch.equal(noised, blocks.repeat_interleave(4, 2).repeat_interleave(4, 3) & brain)

    def test_the_same_cells_and_noise_at_any_level(self):
        codes, brain = draw_codes(2)
        weak, strong = (
            make_corruption("cells")(codes, brain, level=level, generators=seeds(2)) for level in (0.1, 0.9)
        )
        assert torch.equal(weak[1] > 0, strong[1] > 0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"across": 0}, "at least 1 unit across"), ({"chances": [1.0]}, "a chance for each of 4 sides")],
    )
    def test_options_that_do_not_fit(self, options, message):
        with pytest.raises(ValueError, match=message):
            CORRUPTIONS.build("cells", **options)


class TestCoarse:
    def test_dae_3_noise_has_the_published_deviation_and_correlation(self):
        x = torch.zeros(300, 1, 128, 128)
        x[..., 0, 0], x[..., 0, 1] = -9, 9
        brain = torch.ones_like(x, dtype=torch.bool)
        brain[..., 0, :2] = False
        damaged, _ = make_corruption("coarse")(x, brain, level=1.0, generators=seeds(300))
        z = (damaged - x)[..., 1:, :]
        assert z.std().item() == pytest.approx(0.134, abs=0.002)
        correlation = (z[..., 8:] * z[..., :-8]).mean() / z.var()
        assert correlation.item() == pytest.approx(0.25, abs=0.04)  # .272 with nodes 8.47 apart, 8 here
        assert (z[..., 24:] * z[..., :-24]).mean().abs() / z.var() < 0.02

    def test_dae_3_nothing_outside_the_mask(self):
        x = torch.rand(2, 1, 40, 40, generator=generator(1))
        brain = torch.zeros_like(x, dtype=torch.bool)
        brain[..., 8:30, 8:30] = True
        damaged, weight = make_corruption("coarse")(x, brain, generators=seeds(2))
        assert torch.equal(damaged[~brain], x[~brain])
        assert set(weight.unique().tolist()) == {0.0, 1.0}

    def test_level_is_the_deviation_over_that_of_the_option(self):
        codes, brain = draw_codes(1)
        inside = (brain > 0).expand_as(codes)
        noise = CoarseNoise(8, 0.5)(codes, generator=seeds(1))
        damaged, weight = CORRUPTIONS.build("coarse", resolution=8, sigma=0.5)(
            codes, brain, level=0.3, generators=seeds(1)
        )
        torch.testing.assert_close((damaged - codes)[inside], 0.3 * noise[inside], rtol=1e-4, atol=1e-5)
        assert weight.max() == pytest.approx(0.3)


def test_batches_are_damaged_by_both_and_by_the_kinds_that_draw_by_numpy():
    images = torch.rand(40, 1, 24, 24, generator=generator(3))
    brains = torch.ones_like(images, dtype=torch.bool)
    batch = corrupt_batch(images, brains, ("coarse", "sink", "cells"), 0.8, seeds(40))
    assert 0.6 < batch.label.double().mean() < 0.95
    assert torch.equal(batch.image[~batch.mask], images[~batch.mask])
    assert (batch.strength[batch.label == 1] > 0).all()
    alone = corrupt_batch(images[7:8], brains[7:8], ("coarse", "sink", "cells"), 0.8, seeds(1, 7))
    assert torch.equal(alone.image[0], batch.image[7])
    assert alone.strength[0] == batch.strength[7]


def test_codes_of_a_batch_follow_from_their_generators_alone():
    codes, brain = draw_codes(6, side=16)
    brain[4] = 0
    damaged, damage = corrupt_codes(codes, brain, ("cells", "coarse"), 0.7, seeds(6))
    alone, also = corrupt_codes(codes[2:3], brain[2:3], ("cells", "coarse"), 0.7, seeds(1, 2))
    assert torch.equal(alone[0], damaged[2])
    assert torch.equal(also[0], damage[2])
    assert torch.equal(damaged[4], codes[4])
    unchanged = (damage == 0).expand_as(codes)
    assert torch.equal(damaged[unchanged], codes[unchanged])
    none, _ = corrupt_codes(codes, brain, ("cells",), 0.0, seeds(6))
    assert torch.equal(none, codes)


def test_a_kind_that_leaves_its_range_is_named():
    class Loud:
        """Doubles everything."""

        def __call__(self, x, mask, *, level=None, generators):
            return 2 * x, mask.double()

    images = torch.full((1, 1, 8, 8), 0.9)
    brains = torch.ones_like(images, dtype=torch.bool)
    with CORRUPTIONS.scope():
        CORRUPTIONS.register("loud")(Loud)
        refusal = r"corruption 'loud': expected intensities in \[0, 1\], got 1.8"
        with pytest.raises(ValueError, match=refusal):
            corrupt_batch(images, brains, ("loud",), 1.0, seeds(1))
        with pytest.raises(ValueError, match=refusal):
            corrupt(images[0], brains[0], "loud", generator())


@pytest.mark.parametrize("kind", ["sink", "fluid", "walk"])
def test_a_kind_without_a_strength_goes_its_level_of_the_way(kind):
    x = torch.rand(2, 1, 30, 26, generator=generator(4))
    brain = torch.ones_like(x, dtype=torch.bool)
    half, whole = (make_corruption(kind)(x, brain, level=level, generators=seeds(2)) for level in (0.5, 1.0))
    torch.testing.assert_close(half[0] - x, (whole[0] - x) / 2)
    torch.testing.assert_close(half[1], whole[1] / 2, rtol=1e-4, atol=1e-6)
