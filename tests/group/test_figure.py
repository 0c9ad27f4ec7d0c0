"""The picture of the overlap: shares of few are hatched and not coloured, and none is a bar of 100 %."""

import numpy as np
import pytest

from diffad.group import figure
from diffad.group.figure import draw_overlap
from diffad.group.sums import VoxelSums
from tests.helpers.ways import coarsen_template


@pytest.fixture
def shape(monkeypatch):
    return coarsen_template(monkeypatch).grid.shape


def sum_up(shape, masks, seen_masks):
    sums = VoxelSums.of_shape(shape)
    for mask, seen in zip(masks, seen_masks, strict=True):
        sums.add(np.zeros(shape), mask, seen)
    return sums


def test_share_of_few_scans_is_not_coloured(shape):
    nothing, everywhere = np.zeros(shape, bool), np.ones(shape, bool)
    part = nothing.copy()
    part[20:30, 20:40, 15:30] = True
    few = sum_up(shape, [part, nothing, nothing], [everywhere, ~part, ~part])
    none = sum_up(shape, [nothing] * 3, [everywhere, ~part, ~part])
    many = sum_up(shape, [part, nothing, nothing], [everywhere] * 3)
    assert draw_overlap(few, "all") == draw_overlap(none, "all")
    assert draw_overlap(many, "all") != draw_overlap(sum_up(shape, [nothing] * 3, [everywhere] * 3), "all")


@pytest.mark.parametrize(("detections", "top"), [(0, 1.0), (1, 0.5), (2, 1.0)])
def test_bar_ends_at_the_highest_share_or_all_scans(shape, monkeypatch, detections, top):
    tops = []
    monkeypatch.setattr(figure, "_draw_bar", lambda _, top, height: tops.append(top))
    everywhere = np.ones(shape, bool)
    masks = [everywhere if n < detections else ~everywhere for n in range(2)]
    draw_overlap(sum_up(shape, masks, [everywhere] * 2), "all")
    assert tops == [top]
