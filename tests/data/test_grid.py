"""Slices reach the network's grid and come back to the pixel they left."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data import grid as grids
from diffad.data.grid import SquareGrid, mask_centre

sizes = st.integers(20, 70)


def blob(shape, row, column, sigma=4.0):
    r, c = torch.arange(shape[0]) - row, torch.arange(shape[1]) - column
    return torch.exp(-(r[:, None] ** 2 + c[None] ** 2) / (2 * sigma**2))[None, None]


def centroid(image):
    weights = image[0, 0] / image.sum()
    return [float((weights.sum(1 - a) * torch.arange(weights.shape[a])).sum()) for a in range(2)]


@settings(deadline=None, max_examples=40)
@given(shape=st.tuples(sizes, sizes), seed=st.integers(0, 2**31))
def test_grid_of_the_squares_own_size_is_the_identity(shape, seed):
    x = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(seed))
    grid = SquareGrid(max(shape))
    y = grid.to(x)
    assert y.shape == (2, 3, max(shape), max(shape))
    assert torch.equal(grid.back(y, shape), x)
    top, left = ((n - m) // 2 + (n - m) % 2 for n, m in zip(y.shape[2:], shape, strict=True))
    assert torch.equal(y[..., top : top + shape[0], left : left + shape[1]], x)
    assert float(y.sum()) == pytest.approx(float(x.sum()), rel=1e-4)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(sizes, sizes),
    size=st.integers(24, 80),
    fov=st.sampled_from([None, 40.0, 55.3]),
    spacing=st.sampled_from([None, (1.0, 1.0), (0.7, 1.3), (1.5, 0.9)]),
    offset=st.tuples(st.integers(-12, 12), st.integers(-12, 12)),
    centred=st.booleans(),
)
def test_lesion_comes_back_within_half_a_pixel(shape, size, fov, spacing, offset, centred):
    row, column = (n / 2 + o / 4 for n, o in zip(shape, offset, strict=True))
    x, grid = blob(shape, row, column, sigma=2.0), SquareGrid(size, fov)
    centre = (row, column) if centred else None
    back = grid.back(grid.to(x, spacing, centre), shape, spacing, centre)
    assert back.shape == x.shape
    for result, expected in zip(centroid(back), centroid(x), strict=True):
        assert abs(result - expected) < 0.5


@pytest.mark.parametrize("shape", [(31, 44), (44, 31), (40, 40)])
@pytest.mark.parametrize("fov", [25.0, 26.0, 61.0])
def test_pixels_outside_the_field_of_view_come_back_as_zero(shape, fov):
    x, grid, n = torch.ones(1, 1, *shape), SquareGrid(int(fov), fov), int(fov)
    back = grid.back(grid.to(x, (1.0, 1.0)), shape, (1.0, 1.0))
    assert int(back.sum()) == min(n, shape[0]) * min(n, shape[1])
    rows = back[0, 0].any(1).nonzero()[:, 0]
    start = max(0, (shape[0] - n) // 2)
    assert rows.tolist() == list(range(start, start + min(n, shape[0])))


def test_centre_puts_an_off_centre_head_in_the_middle():
    x = torch.zeros(1, 1, 60, 50)
    x[..., 5:25, 28:48] = 1
    centre = mask_centre(x)
    assert centre == (15.0, 38.0)
    y = SquareGrid(40, 40.0).to(x, (1.0, 1.0), centre)
    assert torch.equal(y[..., 10:30, 10:30], torch.ones(1, 1, 20, 20))
    assert float(y.sum()) == 400
    assert torch.equal(SquareGrid(40, 40.0).back(y, (60, 50), (1.0, 1.0), centre), x)


def test_mask_centre_covers_all_slices_of_the_scan():
    mask = torch.zeros(3, 1, 9, 11, dtype=torch.bool)
    mask[0, 0, 2, 3] = mask[2, 0, 5, 8] = True
    assert mask_centre(mask) == (4.0, 6.0)
    assert mask_centre(torch.zeros(1, 1, 4, 4)) is None


def test_anisotropic_pixels_become_square():
    x = torch.zeros(1, 1, 26, 208)
    x[..., 11:15, 93:115] = 1  # 22 mm by 22 mm
    y = SquareGrid(104, 208.0).to(x, (5.5, 1.0))
    rows, columns = ((y[0, 0] > 0.5).any(1 - a).sum() for a in range(2))
    assert abs(int(rows) - int(columns)) <= 1
    no_fov = SquareGrid(104).to(x, (5.5, 1.0))
    rows, columns = ((no_fov[0, 0] > 0.5).any(1 - a).sum() for a in range(2))
    assert abs(int(rows) - int(columns)) <= 1


def test_item_alone_equals_item_in_batch():
    x, grid = torch.rand(4, 2, 37, 50, generator=torch.Generator().manual_seed(1)), SquareGrid(32, 45.0)
    y = grid.to(x, (1.0, 1.2))
    back = grid.back(y, (37, 50), (1.0, 1.2))
    for i in range(4):
        assert torch.equal(grid.to(x[i : i + 1], (1.0, 1.2)), y[i : i + 1])
        assert torch.equal(grid.back(y[i : i + 1], (37, 50), (1.0, 1.2)), back[i : i + 1])


def test_boolean_masks_stay_boolean_and_keep_their_area():
    x = blob((60, 80), 30, 40, 10.0) > 0.5
    y = SquareGrid(40).to(x)
    assert y.dtype == torch.bool
    assert int(y.sum()) * 4 == pytest.approx(int(x.sum()), rel=0.1)
    back = SquareGrid(40).back(y, (60, 80))
    assert 2 * int((back & x).sum()) / int(back.sum() + x.sum()) > 0.95


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_labels_survive_nearest_resampling(dtype):
    x = torch.zeros(1, 1, 30, 30, dtype=dtype)
    x[..., 6:12, 6:12], x[..., 18:27, 12:21] = 7, 3
    y = SquareGrid(60).to(x, mode="nearest")
    assert y.dtype == dtype
    assert y.unique().tolist() == [0, 3, 7]
    assert torch.equal(SquareGrid(60).back(y, (30, 30), mode="nearest"), x)


def test_wrong_input_raises():
    grid = SquareGrid(16, 20.0)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), got shape \(4, 4\)"):
        grid.to(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"\(N, C, 16, 16\), got shape \(1, 1, 8, 8\)"):
        grid.back(torch.zeros(1, 1, 8, 8), (4, 4))
    with pytest.raises(ValueError, match="positive"):
        grid.to(torch.zeros(1, 1, 4, 4), (0.0, 1.0))
    with pytest.raises(ValueError, match="mode"):
        grid.to(torch.zeros(1, 1, 4, 4), mode="cubic")
    with pytest.raises(ValueError, match=r"got torch\.int64"):
        grid.to(torch.zeros(1, 1, 4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="size=0"):
        SquareGrid(0)


@pytest.mark.parametrize("fov", [0.0, -1.0, float("inf"), float("nan")])
def test_field_of_view_must_be_a_length(fov):
    with pytest.raises(ValueError, match=f"expected positive size and fov, got size=16, fov={fov}"):
        SquareGrid(16, fov)


def test_thin_pixels_on_a_long_side_are_refused_before_memory_is_taken():
    x = torch.rand(3, 1, 20, 24)
    with pytest.raises(ValueError, match="correct the voxel size"):
        SquareGrid(16).to(x, spacing=(0.01, 400.0))
    with pytest.raises(ValueError, match="correct the voxel size"):
        SquareGrid(16).back(torch.rand(3, 1, 16, 16), (20, 24), spacing=(0.01, 400.0))


def test_slices_are_the_same_a_few_at_a_time(monkeypatch):
    x, spacing, centre = torch.rand(7, 2, 20, 24), (1.5, 2.0), (9.0, 13.0)
    grid = SquareGrid(16)
    whole = grid.to(x, spacing, centre)
    back = grid.back(whole, (20, 24), spacing, centre)
    monkeypatch.setattr(grids, "_split_slices", lambda x, side: x.chunk(3))
    assert torch.equal(grid.to(x, spacing, centre), whole)
    assert torch.equal(grid.back(whole, (20, 24), spacing, centre), back)
