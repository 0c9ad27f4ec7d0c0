"""Slices go to the network's grid and range, and what comes back lies where it was."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.config import SpaceConfig
from diffad.data.space import Space, to_model, to_public


def slices(n=2, channels=1, shape=(20, 14), seed=0):
    """Slices with zero background and their mask."""
    x = torch.rand(n, channels, *shape, generator=torch.Generator().manual_seed(seed)) * 300 + 100
    brain = torch.zeros(n, 1, *shape, dtype=torch.bool)
    brain[..., 3:-3, 2:-2] = True
    return x * brain, brain


def test_slices_reach_the_grid_in_the_public_range_with_zero_background():
    x, brain = slices()
    y, inside, _ = Space(SpaceConfig(size=32)).place(x, brain)
    assert y.shape == inside.shape == (2, 1, 32, 32)
    assert 0 <= float(y.min()) < float(y.max()) <= 1
    assert set(inside.unique().tolist()) == {0.0, 1.0}
    assert not y[inside == 0].any()


def test_grid_of_the_scans_own_size_moves_nothing():
    x, brain = slices(shape=(16, 16))
    space = Space(SpaceConfig(size=16, high=100.0, headroom=0.0))
    y, inside, placement = space.place(x, brain)
    torch.testing.assert_close(y, x / x.max())
    assert torch.equal(inside.bool(), brain)
    assert torch.equal(space.back(y, placement), y)


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(12, 40), columns=st.integers(12, 40), size=st.sampled_from([16, 24, 33]))
def test_way_back_has_the_shape_and_place_of_the_scan(rows, columns, size):
    x, brain = slices(1, shape=(rows, columns))
    space = Space(SpaceConfig(size=size))
    _, inside, placement = space.place(x, brain, spacing=(1.0, 1.5), centre=(rows / 2, columns / 2))
    back = space.back(inside, placement)
    assert back.shape == x.shape
    overlap = 2 * float((back * brain).sum()) / float(back.sum() + brain.sum())
    assert overlap > 0.8


def test_window_of_intensities_belongs_to_the_scan_not_to_the_slice():
    x, brain = slices(2)
    x[1] *= 0.5
    y, _, placement = Space(SpaceConfig(size=20)).place(x, brain)
    assert float(y[1].max()) == pytest.approx(float(y[0].max()) / 2, rel=0.1)
    assert len(placement.window.upper) == 1


def test_each_sequence_has_its_own_window():
    x, brain = slices(1, channels=2)
    x[:, 1] *= 1000
    y, _, placement = Space(SpaceConfig(size=20)).place(x, brain)
    assert placement.window.upper[1] > 100 * placement.window.upper[0]
    assert float(y[0, 0].mean()) == pytest.approx(float(y[0, 1].mean()), rel=0.1)


def test_given_window_is_used_as_it_is():
    x, brain = slices(1)
    space = Space(SpaceConfig(size=20))
    _, _, first = space.place(x, brain)
    y, _, second = space.place(x * 0.5, brain, window=first.window)
    assert second.window == first.window
    assert float(y.max()) < 0.6


def test_headroom_is_kept_for_what_is_brighter_than_healthy():
    x, brain = slices(1, shape=(40, 40))
    y, _, _ = Space(SpaceConfig(size=40, high=99.0, headroom=0.2)).place(x, brain)
    assert float(torch.quantile(y[brain], 0.99)) == pytest.approx(0.8, abs=0.01)


def test_ct_is_windowed_in_hounsfield_units():
    x = torch.linspace(20.0, 60.0, 25).reshape(1, 1, 5, 5).clone()  # a brain, with five odd pixels in it
    x[0, 0, 0] = torch.tensor([-1000.0, 0.0, 40.0, 80.0, 3000.0])
    y, _, _ = Space(SpaceConfig(size=5, intensity="ct")).place(x, torch.ones_like(x, dtype=torch.bool))
    torch.testing.assert_close(y[0, 0, 0], torch.tensor([0, 0, 0.5, 1, 1]))
    torch.testing.assert_close(y[0, 0, 1:], x[0, 0, 1:] / 80)


def test_whole_volume_stays_on_its_own_grid():
    x, brain = slices(1, shape=(10, 9))
    x, brain = x[..., None] * torch.tensor([0.5, 1.0, 1.0]), brain[..., None].expand(-1, -1, -1, -1, 3)
    space = Space(SpaceConfig(axis="volume"))
    y, inside, placement = space.place(x, brain)
    assert y.shape == x.shape
    assert torch.equal(inside.bool(), brain)
    assert torch.equal(space.back(y, placement), y)


def test_model_range_and_public_range_are_inverse_and_bounded():
    x = torch.linspace(0, 1, 11)
    torch.testing.assert_close(to_public(to_model(x)), x)
    assert to_model(x).min() == -1
    assert to_model(x).max() == 1
    assert to_public(torch.tensor([-3.0, 3.0])).tolist() == [0, 1]


def test_constant_scan_raises():
    _, brain = slices(1)
    with pytest.raises(ValueError, match="expected contrast inside the brain mask of channel 0"):
        Space(SpaceConfig(size=8)).place(torch.zeros_like(brain, dtype=torch.float32), brain)
