"""Regions count scans that were analysed there, and a detection by where it lies."""

import numpy as np
import pytest

from diffad.data.atlas.place_atlas import load_place_atlas
from diffad.group.regions import COLUMNS, RegionCounts, describe_region, draw_labels, measure_regions
from diffad.prepare.template import load_mni152

pytest.importorskip("nilearn")


def find_region(side, structure, tissue):
    regions = load_place_atlas().regions
    names = [r.index for r in regions if (r.side, r.structure, r.tissue) == (side, structure, tissue)]
    return names[0]


def rows_of(counts):
    return {row["index"]: row for row in counts.list_rows("all")}


def test_labels_lie_where_the_atlas_has_them():
    labels, affine = draw_labels(), load_mni152().grid.affine
    assert labels.shape == load_mni152().grid.shape
    voxels = np.random.default_rng(0).integers(0, labels.shape, (500, 3))
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    assert np.array_equal(labels[tuple(voxels.T)], load_place_atlas().look_up(points))
    index = np.argwhere(labels == find_region("left", "putamen", "deep grey matter"))
    assert (index @ affine[:3, :3].T + affine[:3, 3])[:, 0].max() < 0  # the left of the person


def test_a_region_counts_scans_that_saw_half_of_it():
    labels, region = draw_labels(), find_region("right", "putamen", "deep grey matter")
    inside = np.argwhere(labels == region)
    half = np.zeros(labels.shape, bool)
    half[tuple(inside[: len(inside) // 2 - 1].T)] = True
    everywhere, mask = np.ones(labels.shape, bool), np.zeros(labels.shape, bool)
    mask[tuple(inside[0])] = True
    counts = RegionCounts.begin()
    counts.add(mask, everywhere)
    counts.add(~everywhere, everywhere)
    counts.add(mask, half)  # just below a half: does not count, nor does its detection
    row = rows_of(counts)[region]
    assert (row["analysed"], row["detected"], row["share"]) == (2, 1, 0.5)
    assert tuple(row) == COLUMNS
    assert row["region_ml"] == round(measure_regions()[region] / 1000, 3)
    assert rows_of(counts)[find_region("left", "putamen", "deep grey matter")]["detected"] == 0
    assert describe_region(row) == "right putamen, deep grey matter"


def test_region_that_nobody_saw_has_no_share():
    nothing = np.zeros(draw_labels().shape, bool)
    counts = RegionCounts.begin()
    counts.add(nothing, nothing)
    assert {row["share"] for row in counts.list_rows("all")} == {None}


def test_shares_of_too_few_scans_come_last():
    labels = draw_labels()
    counts = RegionCounts.begin()
    counts.add(labels == 2, labels == 2)
    for mask in (labels == 1, labels == 0):
        counts.add(mask, labels == 1)
    first, second, *_ = [row for row in counts.list_rows("all", 2) if row["share"]]
    assert (first["index"], first["share"], second["index"], second["share"]) == (1, 0.5, 2, 1.0)
    assert counts.list_rows("all")[0]["index"] == 2


def test_regions_of_groups_add_up():
    labels = draw_labels()
    everywhere = np.ones(labels.shape, bool)
    first, second = RegionCounts.begin(), RegionCounts.begin()
    first.add(labels == 1, everywhere)
    second.add(labels == 2, everywhere)
    first.merge(second)
    assert [first.detected_scans[k] for k in (1, 2, 3)] == [1, 1, 0]
    assert first.analysed_scans[1:].min() == 2
