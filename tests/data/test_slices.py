"""Slices stand upright and go back to the voxel they came from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.slices import from_slices, slice_spacing, to_slices

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


def volume(channels=2, shape=(3, 4, 5)):
    return torch.arange(channels * np.prod(shape), dtype=torch.float32).reshape(channels, *shape)


@settings(deadline=None, max_examples=40)
@given(
    axis=st.sampled_from([*AXES, 0, 1, 2]),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    channels=st.integers(1, 3),
)
def test_from_slices_is_the_exact_inverse(axis, shape, channels):
    data = volume(channels, shape)
    slices = to_slices(data, axis)
    assert slices.shape[:2] == (shape[AXES.get(axis, axis)], channels)
    back = from_slices(slices, axis)
    assert back.is_contiguous()
    assert torch.equal(back, data)


def test_axial_slice_is_the_transposed_plane_with_anterior_at_the_top():
    data = volume()
    expected = np.stack([channel[:, :, 2].numpy().T[::-1] for channel in data])
    np.testing.assert_array_equal(to_slices(data, "axial")[2].numpy(), expected)


@pytest.mark.parametrize(("axis", "row_axis", "column_axis"), [(0, 2, 1), (1, 2, 0), (2, 1, 0)])
def test_top_is_superior_or_anterior_and_columns_ascend(axis, row_axis, column_axis):
    positions = torch.stack(torch.meshgrid(*(torch.arange(n) for n in (3, 4, 5)), indexing="ij"))
    plane = to_slices(positions, axis)[1]
    assert (plane[axis] == 1).all()
    assert (plane[row_axis].diff(dim=0) == -1).all()
    assert (plane[column_axis].diff(dim=1) == 1).all()


@pytest.mark.parametrize(("axis", "expected"), [("axial", (2, 1)), ("coronal", (3, 1)), ("sagittal", (3, 2))])
def test_slice_spacing_is_row_then_column(axis, expected):
    assert slice_spacing((1.0, 2.0, 3.0), axis) == expected
    assert slice_spacing(np.array([1.0, 2.0, 3.0]), AXES[axis]) == expected


@pytest.mark.parametrize("axis", ["oblique", 3, -1])
def test_unknown_axis_raises(axis):
    with pytest.raises(ValueError, match="expected axis 'axial'"):
        to_slices(volume(), axis)


def test_wrong_number_of_axes_raises():
    with pytest.raises(ValueError, match=r"\(C, I, J, K\), got shape \(3, 4, 5\)"):
        to_slices(volume()[0], "axial")
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        from_slices(volume()[0], "axial")
