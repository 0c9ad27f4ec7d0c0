"""Facts about IterMask2 and IterMask3D (Liang et al., 2024 and 2025): condition, masks, threshold, stop."""

import math
from itertools import pairwise

import pytest
import torch

from diffad.models.detail import high_pass
from diffad.samplers.bend import find_bend
from diffad.samplers.itermask import IterMask
from diffad.samplers.uncover import keep_largest
from tests.helpers.toys import Toy, linear_schedule, white_noise

SHAPES = {"2-D": (2, 1, 16, 14), "3-D": (2, 1, 8, 7, 6)}
REMOVED = {(128, 128): 0.043, (192, 192): 0.019, (224, 224): 0.014, (192, 192, 192): 0.002}
"""Share of the spectrum within 15 frequencies of the middle."""


class Blurred(Toy):
    """Answers a mean of what it is shown and of the scan, so that errors differ and shrink with the mask."""

    def __init__(self, x, share=0.5):
        super().__init__()
        self.x, self.share = x, share

    def select(self, items):
        chosen = Blurred(self.x[items], self.share)
        chosen.schedule, chosen.levels = self.schedule, self.levels
        return chosen

    def estimate(self, x_t, t):
        return self.share * x_t + (1 - self.share) * self.x


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def x(request):
    return torch.rand(request.param, generator=torch.Generator().manual_seed(3)) * 2 - 1


def run(x, sampler, share=0.5, mask=None):
    """Run a sampler; return what came out and the masks of its passes, as the network saw them."""
    shown = []
    generators = [torch.Generator().manual_seed(s) for s in range(len(x))]
    denoiser = Blurred(x, share)
    found = sampler(
        x, denoiser, white_noise, generator=generators, mask=mask, on_step=lambda r: shown.append(r.x_t != x)
    )
    return found, shown


def test_masks_are_nested_and_shrink(x):
    found, masks = run(x, IterMask(threshold=0.01, stop=0.0, passes=6))
    assert len(masks) > 3
    for before, after in pairwise(masks):
        assert not (after & ~before).any()
    assert not ((found.map > 0) & ~masks[-1]).any()


def test_threshold_above_every_error_empties_the_mask_in_one_pass(x):
    found, masks = run(x, IterMask(threshold=1e9, share=None))
    assert found.nfe == len(masks) == 1
    assert not found.map.any()


def test_threshold_of_0_keeps_all_and_stops_at_the_next_pass(x):
    found, masks = run(x, IterMask(threshold=0.0, share=None))
    assert found.nfe == len(masks) == 2
    assert (found.map > 0).all()


def test_perfect_network_empties_the_mask_in_one_pass(x):
    found, masks = run(x, IterMask(threshold=0.0, share=None), share=0.0)
    assert found.nfe == len(masks) == 1
    assert not found.map.any()
    torch.testing.assert_close(found.image, x)


def test_first_mask_is_60_percent_of_the_brain(x):
    brain = torch.ones_like(x, dtype=torch.bool)
    brain[..., :2] = False
    error = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    kept, least = keep_largest(error, brain, 0.6)
    assert kept.flatten(1).sum(1).tolist() == [round(0.6 * int(brain[0].sum()))] * len(x)
    assert not (kept & ~brain).any()
    assert (error[kept].reshape(len(x), -1) >= least[:, None]).all()


def test_whole_brain_is_hidden_first_and_nothing_else(x):
    brain = torch.ones_like(x)
    brain[..., -3:] = 0
    _, masks = run(x, IterMask(threshold=0.01), mask=brain)
    assert torch.equal(masks[0], brain > 0)


def test_each_pass_hides_with_noise_of_its_own(x):
    states = []
    generators = [torch.Generator().manual_seed(s) for s in range(len(x))]
    sampler = IterMask(threshold=0.0, share=None, stop=0.0, passes=2)
    sampler(x, Blurred(x), white_noise, generator=generators, on_step=lambda r: states.append(r.x_t))
    assert len(states) == 3
    for before, after in pairwise(states):
        assert abs(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1]) < 0.2
    assert states[0].std().item() == pytest.approx(1 / 3, abs=0.03)


def test_condition_does_not_know_the_mean(x):
    torch.testing.assert_close(high_pass(x + 3, 0.117), high_pass(x, 0.117), rtol=0, atol=1e-5)
    torch.testing.assert_close(high_pass(3 * x, 0.117), 3 * high_pass(x, 0.117), rtol=0, atol=1e-5)
    assert high_pass(x, 0.117).flatten(1).mean(1).abs().max() < 1e-6


@pytest.mark.parametrize("shape", REMOVED)
def test_same_radius_hides_less_of_a_larger_image(shape):
    axes = torch.meshgrid(*(torch.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    removed = sum(axis**2 for axis in axes) < 15**2
    assert removed.double().mean().item() == pytest.approx(REMOVED[shape], abs=5e-4)
    if len(shape) == 2:
        x = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0))
        left = torch.fft.fftn(high_pass(x, 15 / shape[0]), dim=(2, 3))[0, 0].abs() > 1e-2
        assert not (left & removed).any()
        assert (left | removed).double().mean() > 0.999


def test_published_condition_is_next_to_a_plain_high_pass():
    """Its low frequencies keep an amplitude of 1, of a transform that sums over 128 x 128 pixels."""
    x = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0)) * 6 - 3
    spectrum = torch.fft.fftn(x.double(), dim=(2, 3))
    axes = torch.meshgrid(*(torch.fft.fftfreq(128, 1 / 128),) * 2, indexing="ij")
    low = sum(axis**2 for axis in axes) < 15**2
    published = torch.fft.ifftn(torch.where(low, spectrum / spectrum.abs(), spectrum), dim=(2, 3)).real
    difference = published - high_pass(x, 15 / 128)
    bound = int(low.sum()) / 128**2  # all in phase
    assert 0 < difference.abs().max() < bound
    assert difference.square().sum() / published.square().sum() < 1e-4


def test_tangent_first_exceeds_a_slope_of_02_at_79():
    percents = torch.arange(1, 101, dtype=torch.float64)
    thresholds = (0.01 * percents).tan() / 36
    assert percents[find_bend(thresholds, percents, 0.02 / 36)] == 79
    slopes = [0.01 / math.cos(0.01 * i) ** 2 for i in (78, 79)]
    assert slopes[0] < 0.02 < slopes[1]


def test_curve_that_is_no_tangent_is_followed_by_its_differences():
    percents = torch.arange(1, 101, dtype=torch.float64)
    stairs = torch.where(percents < 50, percents * 1e-5, 0.05 + (percents - 50) * 1e-5)
    place = find_bend(stairs, percents, 1e-3)
    assert abs(percents[place] - 50) <= 3


def test_flat_curve_bends_nowhere():
    percents = torch.arange(5, 100, 5, dtype=torch.float64)
    assert find_bend(torch.zeros(19), percents, 0.01) == 18


def test_curve_gives_each_item_a_threshold_of_its_own(x):
    sampler = IterMask(share=None, rule="curve", looks=5, regrow=True)
    assert sampler.calibrated()
    found, masks = run(x, sampler)
    assert len(masks) == found.nfe >= 1 + 4
    sizes = [mask.flatten(1).sum(1) for mask in masks[1:5]]
    count = x[0].numel()
    assert [int(s[0]) for s in sizes] == [round(count * k / 5) for k in (4, 3, 2, 1)]


def test_schedule_is_of_no_concern(x):
    outcomes = [
        IterMask(threshold=0.01)(
            x,
            Blurred(x) if levels == 1000 else _with_levels(Blurred(x), levels),
            white_noise,
            generator=[torch.Generator().manual_seed(s) for s in range(2)],
        ).image
        for levels in (1000, 10)
    ]
    assert torch.equal(*outcomes)


def _with_levels(denoiser, levels):
    denoiser.schedule = linear_schedule(levels)
    return denoiser
