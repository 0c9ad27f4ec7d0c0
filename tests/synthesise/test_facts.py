"""Numbers of the published method: where a way begins, its rates, its kernel, its sharpened maps."""

import pytest
import torch
from diffusers import DDIMScheduler

from diffad.schedule import Schedule
from diffad.synthesise.losses import lose_attention
from diffad.synthesise.options import find_start
from diffad.synthesise.steering import find_decay, find_rate, scores_image
from diffad.synthesise.word_maps import WordExtent, make_kernel, measure_extent, sharpen_words, smooth_maps


@pytest.mark.parametrize(
    ("steps", "strength", "start"),
    [
        (200, 0.3, 140),
        (200, 0.25, 150),
        (50, 0.25, 38),
        (100, 0.25, 75),
        (50, 0, 50),
        (50, 1, 0),
        (100, 0.29, 71),
    ],
)
def test_way_begins_where_published(steps, strength, start):
    assert find_start(steps, strength) == start


def test_timesteps_and_amplitudes_are_published():
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    scheduler.set_timesteps(200)
    timesteps = scheduler.timesteps.tolist()
    assert timesteps[:3] == [996, 991, 986]
    assert timesteps[-2:] == [6, 1]
    assert (timesteps[140], timesteps[150]) == (296, 246)
    schedule = Schedule.from_diffusers(scheduler)
    for index, signal, noise in ((296, 0.772805, 0.634644), (246, 0.824829, None)):
        alpha, sigma = schedule.amplitudes(index + 1, torch.zeros(1, dtype=torch.float64))
        assert float(alpha) == pytest.approx(signal, abs=2e-6)
        assert noise is None or float(sigma) == pytest.approx(noise, abs=2e-6)


def test_rates_and_decay_are_published():
    assert find_rate(0) == 0.02
    assert find_rate(60) == pytest.approx(0.014)
    assert find_rate(1000) == 1e-4
    assert find_decay(0, 60) == 1
    assert find_decay(59, 60) == 0.5
    assert find_decay(0, 1) == 1


def test_image_is_scored_in_the_last_steps_alone():
    assert next(step for step in range(60) if scores_image(step, 60)) == 43


def test_kernel_is_published_and_keeps_constants():
    line = make_kernel()
    kernel = torch.outer(line, line)
    assert line.tolist() == pytest.approx([0.21194, 0.57612, 0.21194], abs=1e-5)
    assert float(kernel[1, 1]) == pytest.approx(0.3319, abs=1e-4)
    assert float(kernel[0, 1]) == pytest.approx(0.1221, abs=1e-4)
    assert float(kernel[0, 0]) == pytest.approx(0.0449, abs=1e-4)
    constant = torch.full((1, 2, 16, 16), 0.3)
    assert torch.allclose(smooth_maps(constant), constant)


def test_sharpened_maps_share_each_pixel_among_the_tokens():
    maps = torch.rand(2, 16, 16, 77, generator=torch.Generator().manual_seed(0)) / 77
    words = sharpen_words(maps, range(1, 76), 75)
    assert torch.allclose(words.sum(1), torch.ones(2, 16, 16), atol=1e-5)
    uniform = sharpen_words(torch.full((1, 16, 16, 77), 1 / 77), [8], 75)
    assert torch.allclose(uniform, torch.full((1, 1, 16, 16), 1 / 75))


@pytest.mark.parametrize("tokens", [[], [0], [76]])
def test_tokens_beyond_those_that_compete_are_refused(tokens):
    with pytest.raises(ValueError, match=r"expected tokens in 1\.\.75"):
        sharpen_words(torch.zeros(1, 16, 16, 77), tokens, 75)


def test_attention_loss_is_zero_where_all_tokens_are_seen_and_one_where_none_is():
    everywhere = torch.ones(1, 1, 4, 4)
    seen = torch.zeros(1, 2, 4, 4)
    assert float(lose_attention(seen, everywhere)) == 1
    seen[:, 0, 1, 1] = 1
    assert float(lose_attention(seen, everywhere)) == 1  # the worst token counts
    seen[:, 1, 2, 2] = 1
    assert float(lose_attention(seen, everywhere)) == 0


def test_attention_loss_asks_for_the_word_in_the_mask():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 1, 1] = 1
    inside, outside = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    inside[..., 1, 1], outside[..., 3, 3] = 1, 1
    assert float(lose_attention(inside, mask)) == 0
    assert float(lose_attention(outside, mask)) == 1
    assert float(lose_attention(torch.zeros(1, 1, 4, 4), mask)) == 0.5


def test_updates_end_where_the_word_is_found_in_the_mask_alone():
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, :, 4:8, 4:8] = 1
    mask[1, :, 12:, 12:] = 1
    wide = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    found = torch.zeros(2, 1, 16, 16)
    found[..., 4:8, 4:8] = 1
    localisation = WordExtent(mask)
    assert localisation.scale(wide, 1.0).tolist() == [1, 1]
    factor = localisation.scale(found, 0.25)
    share = measure_extent(found) / measure_extent(wide)
    assert float(factor[0]) == 0
    assert float(factor[1]) == pytest.approx(0.5 * float(share[1]))
    assert float(localisation.scale(wide, 1.0)[0]) == 0  # for good
