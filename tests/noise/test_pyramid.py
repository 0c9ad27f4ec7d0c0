"""Options and modes of pyramid noise."""

import math

import pytest
import torch

from diffad.noise import pyramid
from diffad.noise.pyramid import (
    PyramidNoise,
    count_nodes,
    count_reference_nodes,
    draw_lattice,
    split_variance,
)


@pytest.mark.parametrize("value", [0, -0.5, 1.1, float("nan"), "high", True, None])
def test_names_a_discount_that_is_out_of_range(value):
    with pytest.raises(ValueError, match=r"expected discount in \(0, 1\], got"):
        PyramidNoise(discount=value)


@pytest.mark.parametrize("discount", [0.2, 0.8, 1.0])
def test_has_unit_variance_for_any_discount(discount, generators):
    z = PyramidNoise(discount)(torch.zeros(300, 1, 30, 44), generator=generators(*range(300)))
    energy = z.square().mean(dim=(1, 2, 3))
    assert energy.mean() == pytest.approx(1, abs=4 * float(energy.std()) / math.sqrt(300))


def test_shares_add_up_to_one_and_white_noise_has_the_most():
    parts = split_variance([40.0, 8.0, 1.0], 0.8)
    assert sum(parts) == pytest.approx(1)
    assert parts[0] == max(parts)
    assert parts[-1] == pytest.approx(parts[0] * 0.8**6 / 2)


def test_nodes_fall_from_level_to_level_to_a_single_one(generators):
    (g,) = generators(0)
    for longest in (3, 32, 128, 256, 1000):
        nodes = count_nodes(longest, torch.rand(10, generator=g).tolist())
        assert nodes == sorted(nodes, reverse=True)
        assert nodes[-1] == 1
        assert all(2 <= w <= longest / 2 for w in nodes[:-1])


def test_lattice_repeats_what_linear_interpolation_gives(generators):
    g, same = generators(3, 3)
    z = draw_lattice(torch.Size([2, 13, 9]), 4.0, (0.0, 0.0), g)
    grid = torch.randn((2, 5, 4), generator=same)
    theirs = torch.nn.functional.interpolate(grid[None], (17, 13), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(z * (2 / 3), theirs[:, :13, :9], atol=1e-5, rtol=0)


def test_lattice_begins_between_two_nodes(generators):
    g, same = generators(3, 3)
    whole = draw_lattice(torch.Size([1, 12, 1]), 4.0, (0.0, 0.0), g)
    late = draw_lattice(torch.Size([1, 9, 1]), 4.0, (0.75, 0.0), same)
    assert late.shape == whole[:, 3:].shape
    torch.testing.assert_close(late, whole[:, 3:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("offset", [(0.5,), (0.5, 0.5, 0.5)], ids=str)
def test_lattice_wants_an_offset_for_every_axis(offset, generators):
    with pytest.raises(ValueError, match="zip"):
        draw_lattice(torch.Size([1, 6, 6]), 2.0, offset, generators(0)[0])


@pytest.mark.parametrize("pitch", [2.5, 8.0, 40.0])
def test_lattice_has_unit_variance_at_every_voxel_over_all_offsets(pitch):
    offsets = [(k + 0.5) / 500 for k in range(500)]
    variance = sum(pyramid._weigh_nodes(13, pitch, o).square().sum(1) for o in offsets) / 500
    torch.testing.assert_close(variance, torch.ones(13, dtype=torch.float64), atol=1e-4, rtol=0)


def test_every_level_begins_at_an_offset_of_its_own(monkeypatch, generators):
    offsets = []

    def record(shape, pitch, offset, generator):
        offsets.append(offset)
        return draw_lattice(shape, pitch, offset, generator)

    monkeypatch.setattr(pyramid, "draw_lattice", record)
    PyramidNoise()(torch.zeros(30, 1, 64, 64), generator=generators(*range(30)))
    numbers = torch.tensor(offsets).flatten()
    assert len(numbers) == len(set(numbers.tolist())) >= 150
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert numbers.mean() == pytest.approx(0.5, abs=0.1)


def test_every_item_has_ratios_of_its_own(generators):
    draws = [torch.rand(3, 10, generator=g, dtype=torch.float64) for g in generators(0, 1)]
    first, second = (count_nodes(128, uniforms[0].tolist()) for uniforms in draws)
    assert first != second


def test_reference_takes_ratios_and_scale_from_the_whole_batch(generators):
    noise, like = PyramidNoise(reference=True), torch.zeros(4, 1, 32, 32)
    batch = noise(like, generator=generators(0, 1, 2, 3))
    alone = noise(like[:1], generator=generators(0))
    assert batch.std() == pytest.approx(1, abs=1e-5)
    assert alone.std() == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(batch[:1], alone, atol=1e-3)


def test_reference_differs_from_the_batch_by_one_factor_for_the_first_item(generators):
    noise, like = PyramidNoise(reference=True), torch.zeros(4, 1, 32, 32)
    ratio = noise(like, generator=generators(0, 1, 2, 3))[0] / noise(like[:1], generator=generators(0))[0]
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(3, 2, 16, 24), (2, 1, 6, 12, 10), (2, 1, 1, 12, 10)], ids=str)
def test_reference_works_for_any_shape(shape, generators):
    z = PyramidNoise(reference=True)(torch.zeros(shape), generator=generators(*range(shape[0])))
    assert z.shape == shape
    assert z.std() == pytest.approx(1, abs=1e-5)


def test_reference_shrinks_every_axis_by_the_same_ratios():
    assert count_reference_nodes((128, 64, 1), [0.0, 0.5, 0.5, 0.5]) == [
        [128, 64, 1],
        [42, 21, 1],
        [4, 2, 1],
        [1, 1, 1],
    ]
