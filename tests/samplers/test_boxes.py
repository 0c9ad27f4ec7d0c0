"""Where boxes lie, and that they leave nothing out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.samplers.boxes import (
    crop_box,
    draw_anywhere,
    draw_within,
    list_boxes,
    mark_boxes,
    place_starts,
    resolve_sides,
)


@st.composite
def images_and_sides(draw):
    shape = draw(st.lists(st.integers(1, 14), min_size=2, max_size=3))
    return shape, [draw(st.integers(1, n)) for n in shape]


def coverage(boxes, shape):
    return mark_boxes(boxes, shape).sum((0, 1))


@given(images_and_sides(), st.integers(0, 99), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_grid_covers_every_voxel_with_whole_or_cut_boxes(case, percent, equal):
    (shape, sides), overlap = case, percent / 100
    boxes = list_boxes(shape, sides, overlap, equal=equal)
    assert int(coverage(boxes, shape).min()) >= 1
    for box in boxes:
        for s, length, side in zip(box, shape, sides, strict=True):
            assert 0 <= s.start < s.stop <= length
            assert s.stop - s.start == side or (not overlap and not equal and s.stop == length)


@given(images_and_sides())
@settings(deadline=None, max_examples=40)
def test_a_grid_without_overlap_covers_every_voxel_once(case):
    shape, sides = case
    assert torch.equal(coverage(list_boxes(shape, sides), shape), torch.ones(shape, dtype=torch.long))


@given(images_and_sides())
@settings(deadline=None, max_examples=40)
def test_spread_boxes_cover_every_voxel_with_the_fewest_boxes(case):
    shape, sides = case
    boxes = list_boxes(shape, sides, placement="spread")
    fewest = torch.tensor([-(-n // p) for n, p in zip(shape, sides, strict=True)]).prod()
    assert len(boxes) == int(fewest)
    assert int(coverage(boxes, shape).min()) >= 1
    assert {tuple(s.stop - s.start for s in box) for box in boxes} == {tuple(sides)}


@pytest.mark.parametrize(
    ("side", "overlap", "places"),
    [
        (4, 0.0, [0, 4, 8]),
        (4, 0.5, [0, 2, 4, 6]),
        (4, 0.25, [0, 3, 6]),
        (3, 0.9, list(range(8))),
        (10, 0.5, [0]),
    ],
)
def test_overlap_shortens_the_stride_and_ends_flush(side, overlap, places):
    assert place_starts(10, side, overlap) == places


def test_boxes_of_one_shape_are_shifted_inside_at_the_edge():
    assert [box[0].start for box in list_boxes([10], [4], equal=True)] == [0, 4, 6]
    assert [box[0].start for box in list_boxes([8], [4], equal=True)] == [0, 4]


def test_a_thin_axis_takes_a_thin_box():
    assert list_boxes((6, 6, 1), (3, 6, 1)) == [
        (slice(0, 3), slice(0, 6), slice(0, 1)),
        (slice(3, 6), slice(0, 6), slice(0, 1)),
    ]


@pytest.mark.parametrize(
    ("box", "shape", "message"),
    [
        (48, (64, 40), r"at most 40 voxels along spatial axis 1 of an image \(64, 40\), got 48"),
        ((4, 4, 2), (8, 8, 1), r"at most 1 voxels along spatial axis 2 of an image \(8, 8, 1\), got 2"),
        ((4, 4), (8, 8, 8), r"expected a box with 3 sides for an image \(8, 8, 8\), got \(4, 4\)"),
    ],
)
def test_boxes_that_do_not_fit_raise(box, shape, message):
    with pytest.raises(ValueError, match=message):
        resolve_sides(box, shape)


def test_what_is_written_into_a_part_is_written_into_the_image():
    x = torch.zeros(2, 1, 4, 4)
    crop_box(x, (slice(1, 3), slice(0, 2))).fill_(1)
    assert x.sum() == 8
    assert x[0, 0, 1, 0] == 1


def test_boxes_anywhere_cover_every_voxel_equally_often():
    """Boxes that begin inside the image, as published, cover the first voxel 48 times less than the last."""
    generator, count = torch.Generator().manual_seed(0), 4000
    boxes = [draw_anywhere((12, 9), (5, 3), generator) for _ in range(count)]
    share = coverage(boxes, (12, 9)) / count
    expected = 5 / 16 * 3 / 11
    assert (share - expected).abs().max() < 5 * (expected / count) ** 0.5
    assert all(s.start < s.stop for box in boxes for s in box)


def test_boxes_within_a_mask_hold_some_of_it_and_are_whole():
    mask = torch.zeros(1, 10, 12)
    mask[0, 0, 11] = mask[0, 7, 3] = 1
    generator = torch.Generator().manual_seed(0)
    boxes = [draw_within(mask, (4, 5), generator) for _ in range(20)]
    assert all(crop_box(mask, box).any() and crop_box(mask, box).shape == (1, 4, 5) for box in boxes)
    assert {box[0].start for box in boxes} == {0, 5}


def test_an_empty_mask_gives_boxes_anywhere_inside():
    generator = torch.Generator().manual_seed(0)
    boxes = [draw_within(torch.zeros(1, 6, 6), (4, 6), generator) for _ in range(40)]
    assert {box[0].start for box in boxes} == {0, 1, 2}
