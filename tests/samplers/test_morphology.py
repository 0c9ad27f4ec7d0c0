"""Grey morphology holds to scipy's, item by item."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffad.samplers.morphology import close, dilate, erode, width_option

ORACLES = {dilate: ndimage.grey_dilation, erode: ndimage.grey_erosion, close: ndimage.grey_closing}
SHAPES = {"2-D": (3, 2, 19, 14), "3-D": (2, 1, 9, 12, 7)}


def scipy_of(operation, x, width):
    """Apply scipy's operation to each item and channel, with the outermost voxels repeated."""
    size = (width,) * (x.ndim - 2)
    flat = [ORACLES[operation](m, size=size, mode="nearest") for m in x.flatten(0, 1).numpy()]
    return torch.from_numpy(np.stack(flat)).reshape(x.shape)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def x(request):
    return torch.randn(request.param, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("width", [1, 3, 5, 7, 13])
@pytest.mark.parametrize("operation", ORACLES, ids=lambda f: f.__name__)
def test_it_is_scipys_with_the_nearest_border(operation, width, x):
    assert torch.equal(operation(x, width), scipy_of(operation, x, width))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 6), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_windows_of_any_width_fit_images_of_any_size(reach, rows, columns, seed):
    x = torch.rand(1, 2, rows, columns, generator=torch.Generator().manual_seed(seed))
    for operation in ORACLES:
        assert torch.equal(operation(x, 2 * reach + 1), scipy_of(operation, x, 2 * reach + 1))


def test_it_stays_within_item_and_channel():
    x = torch.zeros(2, 2, 9, 9)
    x[0, 1, 4, 4] = 1
    grown = dilate(x, 5)
    assert grown[0, 1].sum() == 25
    assert grown.sum() == 25


def test_closing_is_extensive_and_idempotent(x):
    closed = close(x, 5)
    assert (closed >= x).all()
    assert torch.equal(close(closed, 5), closed)


def test_erosion_is_the_dual_of_dilation(x):
    assert torch.equal(erode(x, 7), -dilate(-x, 7))


@pytest.mark.parametrize("width", [0, 2, -3])
def test_windows_without_a_middle_raise(width, x):
    with pytest.raises(ValueError, match=f"expected width odd and at least 1, got {width}"):
        dilate(x, width)


@pytest.mark.parametrize("width", [3.0, True, "3"])
def test_widths_that_are_no_integers_raise(width):
    with pytest.raises(TypeError, match="expected an integer for width, got"):
        width_option(width)


def test_images_without_channels_raise():
    with pytest.raises(ValueError, match=r"expected x of shape \(B, C, \*S\) with 2 or 3 spatial axes, got"):
        close(torch.zeros(5, 5), 3)
