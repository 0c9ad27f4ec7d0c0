"""MAD-AD as published: the ten levels, the masks of training, the gate, the map, the size of the network."""

import pytest
import torch

from diffad.config import load
from diffad.data.corruptions.cell_mask import CellMask
from diffad.models.unet2d import UNet2D
from diffad.registry import MODELS, SAMPLERS, SCORES
from diffad.schedule import Schedule
from diffad.score.blur import gaussian_blur
from diffad.training.auxiliary import measure_square
from diffad.training.parts import build_part, build_scheduler
from diffad.types import Example, Reconstruction
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, MarkingDenoiser, white_noise

ALPHA_BAR = [0.97209, 0.89871, 0.78691, 0.64748, 0.49384, 0.34081, 0.20312, 0.09405, 0.02409, 2.41e-5]
"""At indices 0 to 9."""
SIGMA = [0.4937, 0.4155, 0.3436, 0.2890, 0.2439, 0.2033, 0.1636, 0.1216, 0.0721, 0.0]
DIRECTION = [0.8557, 0.8563, 0.8239, 0.7587, 0.6683, 0.5579, 0.4316, 0.2941, 0.1507, 0.0]
"""Of the moves from indices 9 to 0, with eta .5."""
SIZES = {64: 16_142_149, 128: 64_478_853, 192: 145_010_117, 256: 257_735_941, 320: 402_656_325}
"""Published weights by width; the mask has a normalisation of its own, of twice the width."""


@pytest.fixture(scope="module")
def schedule():
    return Schedule.from_diffusers(build_scheduler(load("madad", ["variant=paper"])))


@pytest.fixture
def sampler():
    return SAMPLERS.build(**load("madad", ["variant=paper"]).sampler)


def seeds(count):
    return [torch.Generator().manual_seed(k) for k in range(count)]


def run(sampler, x, denoiser):
    return sampler(x, denoiser, white_noise, generator=seeds(len(x)))


class Marked(ConstantDenoiser):
    """Knows the clean code, and marks what a rule says of the state and the level."""

    def __init__(self, x, schedule, rule):
        super().__init__(x, schedule)
        self.rule = rule

    def __call__(self, x_t, t, **cond):
        return self.x.expand_as(x_t)


class Ruled(MarkingDenoiser):
    def estimate(self, x_t, t, **cond):
        return self.inner(x_t, t), self.inner.plain.rule(x_t, int(t))


def ruled(x, schedule, rule):
    return Ruled(Marked(x, schedule, rule))


def test_fact_1_amplitudes_of_ten_levels(schedule):
    found = schedule.alpha_bar(torch.arange(1, 11))
    torch.testing.assert_close(found, torch.tensor(ALPHA_BAR, dtype=torch.float64), rtol=2e-3, atol=1e-5)
    assert schedule.amplitudes(10, torch.zeros(1))[0].item() == pytest.approx(0.0049, abs=5e-5)


def test_fact_1_coefficients_of_the_moves(schedule, sampler):
    """Sigma from what a move does to noise alone, direction from what it does to the predicted noise."""
    one, zero = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    for k, t in enumerate(range(10, 0, -1)):
        a, s = schedule.amplitudes(t, one)
        sigma = sampler._move(zero, zero, t, t - 1, schedule, one) if t > 1 else zero
        direction = sampler._move(s * one, zero, t, t - 1, schedule, zero)
        signal = sampler._move(a * one, one, t, t - 1, schedule, zero)
        assert sigma.item() == pytest.approx(SIGMA[k], abs=2e-4)
        assert direction.item() == pytest.approx(DIRECTION[k], abs=2e-4)
        assert signal.square().item() == pytest.approx(float(schedule.alpha_bar(t - 1)), abs=1e-9)
        assert (signal.square() + direction.square() + sigma.square()).item() == pytest.approx(1, abs=1e-9)


def test_fact_2_nothing_marked_gives_the_input_bit_for_bit(schedule, sampler):
    x = torch.rand(2, 4, 8, 8)
    result = run(sampler, x, ruled(x * 0, schedule, lambda x_t, t: x_t[:, :1] * 0 + 0.5))
    assert torch.equal(result.image, x)
    assert not result.map.any()


def test_fact_2_all_marked_gives_the_estimate_whatever_the_noise(schedule, sampler):
    x, c = torch.rand(2, 4, 8, 8), torch.full((1, 4, 8, 8), 0.3)
    result = run(sampler, x, ruled(c, schedule, lambda x_t, t: x_t[:, :1] * 0 + 1))
    assert torch.equal(result.image, c.expand_as(x))
    assert (result.map == 1).all() or torch.allclose(result.map, torch.ones_like(result.map))


def test_fact_3_untrained_network_returns_its_input_and_scores_0(schedule, sampler):
    from diffad.denoise import NetworkDenoiser

    model = {**load("madad", ["variant=smoke"]).model, "name": "unet2d"}
    network = MODELS.build(**model).eval()
    assert isinstance(network, UNet2D)
    x = torch.randn(1, 4, 8, 8)
    result = run(sampler, x, NetworkDenoiser(network, schedule, "sample", clip=False))
    assert torch.equal(result.image, x)
    pair = Reconstruction(result.image, 1, reference=x)
    assert not SCORES.build("change", clip=0.125, gain=8.0, blur=5.0)(x, pair).any()


def test_fact_4_clean_cells_are_bit_equal_and_the_others_have_the_variance_of_their_level(schedule, sampler):
    x = torch.randn(200, 4, 16, 16)
    t = torch.full((200,), 6)
    example = sampler.example(x, torch.ones(200, 1, 16, 16), t, white_noise, schedule, seeds(200))
    noised = example.damage.expand_as(x) > 0
    assert torch.equal(example.x_t[~noised], x[~noised])
    abar = float(schedule.alpha_bar(6))
    assert (example.x_t - abar**0.5 * x)[noised].var().item() == pytest.approx(1 - abar, rel=0.02)
    a, s = schedule.amplitudes(t, x)
    torch.testing.assert_close((a * x + s * example.z).float(), example.x_t, rtol=1e-4, atol=1e-5)
    assert torch.equal(example.x, x)


def test_fact_5_a_fifth_of_the_cells_is_noised():
    mask, generators = CellMask(), seeds(3000)
    share = torch.stack([mask.draw_cells((32, 32), g).mean() for g in generators])
    assert 0.2 <= share.mean().item() <= 0.2 + 0.03
    assert share.max() <= 0.4 + 1 / 16


def test_fact_5_sixteen_cells_of_8_have_1_to_7_noised():
    mask = CellMask(sides=[8], chances=[1.0])
    counts = {int(mask.draw_cells((32, 32), g).sum()) // 64 for g in seeds(400)}
    assert counts == set(range(1, 8))


def test_fact_5_sides_are_drawn_along_each_axis_on_its_own():
    mask, found = CellMask(ratio=1.0), set()
    for generator in seeds(400):
        cells = mask.draw_cells((32, 32), generator)[0]
        sides = [
            next(
                side
                for side in (8, 4, 2, 1)
                if all(torch.equal(part, part[:1].expand_as(part)) for part in rows.split(side))
            )
            for rows in (cells, cells.T)
        ]
        found.add(tuple(sides))
    assert len(found) == 16


def test_fact_6_brain_gate():
    mask = CellMask()
    assert (mask.find_brain(torch.ones(1, 1, 32, 32)) == 1).all()
    rows, columns = torch.meshgrid(torch.arange(256) - 127.5, torch.arange(256) - 127.5, indexing="ij")
    disc = (rows**2 + columns**2 <= 100**2).float()[None, None]
    blocks = torch.nn.functional.avg_pool2d(disc, 16)
    cells = mask.find_brain(torch.nn.functional.avg_pool2d(disc, 8))
    assert torch.equal(cells, (blocks >= 0.9).float().repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert 0 < cells.mean() < disc.mean()


@pytest.mark.parametrize(
    "levels", [[10], [9, 7, 5, 3, 1], [10, 7, 4, 1], [9, 5, 1], [6, 1], list(range(10, 0, -1))]
)
def test_fact_7_evaluations_are_the_levels_that_are_visited(levels, schedule):
    denoiser = GaussianDenoiser(schedule=schedule)
    result = run(SAMPLERS.build("gated", levels=levels), torch.rand(1, 1, 6, 6), MarkingDenoiser(denoiser))
    assert result.nfe == denoiser.calls == len(levels)
    assert denoiser.levels == levels


@pytest.mark.parametrize("width", SIZES)
def test_fact_7_networks_have_the_published_sizes_but_for_a_normalisation(width):
    model = {**load("madad", ["variant=paper"]).model, "channels": [width, 2 * width, 4 * width]}
    with torch.device("meta"):
        network = build_part(MODELS, model, "model")
    assert sum(p.numel() for p in network.parameters()) == SIZES[width] - 2 * width


def test_fact_8_map_before_and_after_the_blur():
    score = SCORES.build(**load("madad", ["variant=paper"]).score)
    for distance, expected in ((0.25, 1.0), (0.1, 0.4), (0.5, 1.0)):  # of [-1, 1]
        reference = torch.full((1, 1, 24, 24), 0.3)
        pair = Reconstruction(reference + distance / 2, 1, reference=reference)
        torch.testing.assert_close(score(reference * 0, pair), torch.full((1, 1, 24, 24), expected))
    assert score.blur == 5
    constant = torch.full((1, 1, 9, 9), 0.7)
    torch.testing.assert_close(gaussian_blur(constant, 5.0), constant)


def test_loss_of_the_mask_is_the_squared_error_of_what_is_kept():
    logits, noised = torch.randn(2, 1, 4, 4), (torch.rand(2, 1, 4, 4) < 0.3).float()
    keep, kept = 1 - logits.sigmoid(), 1 - noised
    expected = (keep - kept).square().mean((1, 2, 3))
    example = Example(logits, logits, logits, damage=noised)
    torch.testing.assert_close(measure_square(logits, example), expected)


def test_only_marked_cells_move_and_a_sticky_gate_stays_open(schedule):
    """Marked once, at the first level: the cell keeps a half-noised value, or is carried to the end."""
    x, c = torch.rand(1, 2, 6, 6), torch.full((1, 2, 6, 6), -0.5)

    def mark(x_t, t):
        marks = torch.zeros_like(x_t[:, :1])
        marks[..., 2, 3] = float(t == 10)
        return marks

    plain, sticky = (
        run(SAMPLERS.build("gated", sticky=sticky), x, ruled(c, schedule, mark)).image
        for sticky in (False, True)
    )
    elsewhere = torch.ones(6, 6, dtype=torch.bool)
    elsewhere[2, 3] = False
    for image in (plain, sticky):
        assert torch.equal(image[..., elsewhere], x[..., elsewhere])
    assert torch.equal(sticky[..., 2, 3], c[..., 2, 3])
    assert not torch.isclose(plain[..., 2, 3], c[..., 2, 3]).any()


def test_a_network_that_marks_nothing_is_refused(schedule, sampler):
    with pytest.raises(ValueError, match="gated expected a network that marks noise"):
        run(sampler, torch.rand(1, 1, 6, 6), GaussianDenoiser(schedule=schedule))
