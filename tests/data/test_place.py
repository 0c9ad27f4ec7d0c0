"""Places of slices follow from the brain alone, and survive tables, mirrors and caches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffad.data.place import (
    SlicePlace,
    find_places,
    mirror_places,
    read_places,
    tabulate_places,
)
from diffad.data.scan_slices import cut_slices

BRAIN = torch.zeros(1, 12, 14, 16, dtype=torch.bool)
BRAIN[:, 2:10, 3:9, 4:14] = True
SHARES = st.integers(0, 64).map(lambda n: n / 64)


@pytest.mark.parametrize(("axis", "first", "last"), [("sagittal", 2, 9), ("coronal", 3, 8), ("axial", 4, 13)])
def test_the_ends_of_the_brain_lie_half_a_slice_from_0_and_1(axis, first, last):
    """The box around the brain is the unit, whichever slices are asked for."""
    half = 0.5 / (last - first + 1)
    low, high, beyond = find_places(BRAIN, axis, [first, last, 15])
    assert (low.position, high.position, beyond.position) == pytest.approx((half, 1 - half, 1))
    assert {p.orientation for p in (low, high)} == {["sagittal", "coronal", "axial"].index(axis)}


def test_a_range_of_slices_keeps_the_places_of_the_whole_brain():
    """What is looked at does not change where it lies."""
    image = torch.rand(1, *BRAIN.shape[1:])
    whole = cut_slices(image, BRAIN, "axial")
    some = cut_slices(image, BRAIN, "axial", slices=(6, 9))
    assert some.places == whole.places[2:5]
    assert cut_slices(image, BRAIN, "volume").places is None


@given(st.lists(st.none() | st.builds(SlicePlace, st.integers(0, 2), SHARES), max_size=5))
def test_a_table_holds_all_places(places):
    """Places without a number come back as none."""
    table = tabulate_places(places)
    assert table.shape == (len(places), 2)
    assert read_places(table) == places


def test_a_mirror_moves_sagittal_slices_to_the_other_side():
    """Other slices, and those without a place, stay where they are."""
    places = [SlicePlace(0, 0.25), SlicePlace(0, 0.25), SlicePlace(2, 0.25), None]
    table = mirror_places(tabulate_places(places), torch.tensor([True, False, True, True]))
    assert read_places(table) == [SlicePlace(0, 0.75), *places[1:]]


@pytest.mark.parametrize(("orientation", "position"), [(3, 0.5), (-1, 0.5), (0, 1.1), (0, float("nan"))])
def test_what_is_no_place_is_refused(orientation, position):
    """Orientation and position have ranges."""
    with pytest.raises(ValueError, match="of a slice"):
        SlicePlace(orientation, position)
