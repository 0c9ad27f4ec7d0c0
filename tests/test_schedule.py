"""The noise levels: 0 is clean, t is index t - 1 of the table."""

import pytest
import torch

from diffad.schedule import Schedule
from tests.helpers.toys import linear_schedule, white_noise


def test_level_zero_is_clean_and_level_t_is_index_t_minus_one():
    schedule = linear_schedule()
    assert schedule.alpha_bar(0) == 1
    assert schedule.alpha_bar(250) == schedule.alphas_cumprod[249]
    assert schedule.alpha_bar(torch.tensor([1, 1000])).tolist() == schedule.alphas_cumprod[[0, -1]].tolist()


@pytest.mark.parametrize("t", [-1, 1001, torch.tensor([3, 1001])])
def test_levels_outside_the_schedule_raise(t):
    with pytest.raises(ValueError, match=r"levels must be in 0\.\.1000, got"):
        linear_schedule().alpha_bar(t)


@pytest.mark.parametrize("shape", [(3, 2, 8, 8), (3, 1, 4, 4, 4)])
def test_each_item_is_noised_to_its_own_level(shape, generators):
    schedule, x = linear_schedule(), torch.rand(shape)
    z = white_noise(x, generator=generators(0, 1, 2))
    together = schedule.add_noise(x, z, torch.tensor([0, 10, 900]))
    for i, t in enumerate([0, 10, 900]):
        assert torch.equal(together[i : i + 1], schedule.add_noise(x[i : i + 1], z[i : i + 1], t))
    assert torch.equal(together[0], x[0])


def test_amplitudes_keep_unit_variance_and_the_dtype_of_the_image():
    x = torch.zeros(2, 1, 4, 4)
    alpha, sigma = linear_schedule().amplitudes(torch.tensor([5, 500]), x)
    assert alpha.shape == (2, 1, 1, 1)
    assert alpha.dtype == x.dtype
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(2, 1, 1, 1))


def test_signal_to_noise_ratio_falls_from_infinity():
    snr = linear_schedule().snr(torch.arange(1001))
    assert snr[0] == float("inf")
    assert (snr[1:] < snr[:-1]).all()
    assert snr[1] == pytest.approx(0.9999 / 0.0001)


def test_num_levels_counts_the_table():
    assert Schedule(torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)).num_levels == 3
