"""The window follows the brain, inside the grid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.config import ConfigError, SpaceConfig
from diffad.data.window import (
    crop_to_brain,
    crop_windows,
    group_by_window,
    paste_windows,
    place_window,
    window_holds,
)


def brain(top, left, rows, columns, size=20):
    mask = torch.zeros(1, size, size)
    mask[:, top : top + rows, left : left + columns] = 1
    return mask


@settings(deadline=None, max_examples=50)
@given(top=st.integers(0, 19), left=st.integers(0, 19), rows=st.integers(1, 20), columns=st.integers(1, 20))
def test_window_lies_in_the_grid_and_holds_every_brain_that_fits(top, left, rows, columns):
    mask, window = brain(top, left, rows, columns), (12, 8)
    at = place_window(mask, window)
    assert all(0 <= first <= 20 - size for first, size in zip(at, window, strict=True))
    fits = mask.any(-1).sum() <= window[0] and mask.any(-2).sum() <= window[1]
    assert window_holds(mask, window, at) == bool(fits)


def test_brain_lies_in_the_middle_of_its_window():
    assert place_window(brain(6, 8, 8, 4), (12, 8)) == (4, 6)


def test_empty_mask_takes_the_middle_of_the_grid():
    assert place_window(torch.zeros(1, 20, 20), (12, 8)) == (4, 6)


@settings(deadline=None, max_examples=20)
@given(corners=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1, max_size=3))
def test_paste_undoes_cut_inside_the_windows(corners):
    x = torch.rand(len(corners), 2, 20, 20)
    windows = crop_windows(x, (12, 8), corners)
    back = paste_windows(windows, (20, 20), corners)
    assert torch.equal(crop_windows(back, (12, 8), corners), windows)
    assert torch.equal(back[back != 0], x[back != 0])
    assert (back != 0).sum() <= windows.numel()


def test_focused_without_a_window_is_the_whole_grid():
    x, mask = torch.rand(2, 1, 20, 20), torch.stack([brain(1, 2, 5, 5), brain(9, 9, 30, 3)])
    assert crop_to_brain(x, mask, None) is x
    y = crop_to_brain(x, mask, (12, 8))
    assert y.shape == (2, 1, 12, 8)
    assert torch.equal(y[1, 0], x[1, 0, 8:20, 6:14])


def test_slices_are_grouped_by_the_window_of_their_plane():
    """Planes without a window of their own, and slices of unknown place, have that of the axis."""
    further = {"further_axes": ("sagittal", "coronal"), "further_windows": ((12, 14), (10, 10))}
    space = SpaceConfig(size=20, window=(14, 12), **further)
    places = torch.tensor([[2, 0.1], [0, 0.5], [-1, 0], [1, 0.9], [0, 0.2]])
    assert group_by_window(places, space) == [((14, 12), [0, 2]), ((12, 14), [1, 4]), ((10, 10), [3])]
    plain = SpaceConfig(size=20, window=(14, 12), further_axes=("sagittal", "coronal"))
    assert group_by_window(places, plain) == [((14, 12), [0, 1, 2, 3, 4])]
    assert group_by_window(places, SpaceConfig(size=20)) == [(None, [0, 1, 2, 3, 4])]


@pytest.mark.parametrize(
    "options",
    [
        {"window": (14, 12), "further_axes": ("sagittal",), "further_windows": ((12, 14), (10, 10))},
        {"window": (14, 12), "further_windows": ((12, 14),)},
        {"further_axes": ("sagittal",), "further_windows": ((12, 14),)},
        {"window": (14, 12), "further_axes": ("sagittal",), "further_windows": ((12, 21),)},
    ],
)
def test_windows_that_fit_no_planes_are_refused(options):
    with pytest.raises(ConfigError, match=r"space\.further_windows"):
        SpaceConfig(size=20, **options)
