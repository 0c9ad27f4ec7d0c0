"""Scans that are too poor to be judged: motion, noise, blur, what is cut off, mask and registration."""

from functools import cache

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffad.data.atlas.brain_shape import list_solid_labels
from diffad.data.atlas.place_atlas import load_place_atlas
from diffad.data.volume import Volume
from diffad.inference.ghosting import measure_detail, measure_ghosting, take_detail
from diffad.inference.mask_quality import measure_flat_end, measure_mask
from diffad.inference.quality import LIMITS, ScanQuality, adapt_limit, measure_scan_quality
from diffad.inference.scan import ScanSource, read_source
from tests.helpers.odd_scans import (
    HARMLESS,
    Scan,
    add_ghosts,
    add_noise,
    blur,
    keep,
    make_holes,
    take_slices,
    thicken,
)

SPACING = (2.0, 2.0, 2.0)


@cache
def make_brain():
    """An ellipsoid of 1.2 litres with folds and fine detail, in a field with room around."""
    shape = (80, 96, 76)
    axes = np.meshgrid(*(np.arange(n) * 2.0 - n for n in shape), indexing="ij")
    brain = sum((a / r) ** 2 for a, r in zip(axes, (62, 78, 58), strict=True)) < 1
    rng = np.random.default_rng(3)
    folds = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2)
    grey = 100 + 14 * np.sign(folds) + 2.5 * rng.standard_normal(shape)
    return Scan(np.where(brain, grey, 0).astype(np.float32), brain, SPACING)


def to_source(scan, affine=None):
    affine = np.diag([*scan.spacing, 1.0]) if affine is None else affine
    return read_source(Volume(scan.data[None], affine), Volume(scan.brain[None] * 1.0, affine))


def find_flags(scan):
    return ScanQuality(measure_scan_quality(to_source(scan))).flags


@pytest.mark.parametrize("name", HARMLESS)
def test_good_scans_have_no_flags(name):
    assert find_flags(HARMLESS[name](make_brain())) == []


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (add_ghosts(0.35), "motion"),
        (add_ghosts(0.2, 2), "motion"),
        (add_noise(0.2), "noise"),
        (blur(5.0), "blur"),
        (keep(1, 0.0, 0.7), "cut off"),
        (keep(2, 0.35, 1.0), "cut off"),
        (take_slices(12), "cut off"),
        (make_holes(0.25), "brain mask"),
    ],
)
def test_poor_scans_say_what_they_have(change, flag):
    assert flag in find_flags(change(make_brain()))


def test_pieces_beside_the_brain_are_a_poor_mask():
    scan = make_brain()
    brain = scan.brain.copy()
    brain[:16, :22, :22] = True
    assert "brain mask" in find_flags(Scan(np.where(brain, scan.data + brain, 0), brain, SPACING))


def test_brains_of_wrong_size_are_a_poor_mask():
    scan = make_brain()
    assert "brain mask" in find_flags(Scan(scan.data, scan.brain, (1.5, 1.5, 1.5)))
    assert "brain mask" in find_flags(Scan(scan.data, scan.brain, (2.6, 2.6, 2.6)))


def test_what_is_no_brain_of_a_person_is_unknown():
    small = ScanQuality(
        measure_scan_quality(
            to_source(
                Scan(*[v[30:50, 30:50, 30:50] for v in (make_brain().data, make_brain().brain)], SPACING)
            )
        )
    )
    assert small.to_info()["quality"] == {"status": "unknown", "flags": [], "measures": {}}
    tensor = ScanSource(torch.rand(1, 1, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.bool))
    assert measure_scan_quality(tensor) == {}


def test_only_the_mask_of_a_ct_is_measured():
    numbers = measure_scan_quality(to_source(add_noise(0.3)(make_brain())), "ct")
    assert set(numbers) == {"brain_ml", "loose", "roughness", "flat_cm2"}


def test_warnings_name_number_and_limit():
    quality = ScanQuality({"noise": 0.123, "ghosting": 0.05, "flat_cm2": 80.4})
    assert quality.flags == ["noise", "cut off"]
    assert quality.list_warnings() == [
        "poor scan, noise: the SD of the noise is 0.123 of the bright end of the brain, and that of good "
        "scans at most 0.090 of the bright end of the brain",
        "poor scan, cut off: the largest flat end of the brain is 80 cm2, and that of good scans at most "
        "55 cm2",
    ]
    info = quality.to_info()["quality"]
    assert info["status"] == "poor"
    assert info["measures"]["noise"] == 0.123


def test_limits_lie_between_what_is_good_and_what_is_not():
    for key, limit in LIMITS.items():
        bound = limit.highest if limit.highest is not None else limit.lowest
        sign = 1 if limit.highest is not None else -1
        assert limit.describe(bound - sign * 1e-3) is None, key
        assert limit.describe(bound + sign * 1e-3).startswith(limit.flag), key


@settings(max_examples=15, deadline=None)
@given(
    share=st.floats(0.15, 0.6), shift=st.integers(10, 30), axis=st.integers(0, 2), gain=st.floats(0.01, 1e4)
)
def test_a_ghost_of_a_share_gives_about_that_share(share, shift, axis, gain):
    noise = np.random.default_rng(0).standard_normal((64, 64, 64))
    inside = np.ones(noise.shape, bool)
    ghosted = gain * (noise + share * np.roll(noise, shift, axis))
    assert measure_ghosting(ghosted, inside, SPACING) == pytest.approx(share / (1 + share**2), abs=0.03)


def test_ghosts_are_not_looked_for_along_thick_slices():
    noise = np.random.default_rng(0).standard_normal((64, 64, 24))
    ghosted = noise + 0.5 * np.roll(noise, 6, 2)
    assert measure_ghosting(ghosted, np.ones(noise.shape, bool), (2.0, 2.0, 5.0)) < 0.1
    assert measure_ghosting(ghosted, np.ones(noise.shape, bool), (2.0, 2.0, 3.0)) > 0.3


def test_detail_knows_no_scale_and_no_offset_field():
    scan = make_brain()
    one, inside, edges = take_detail(scan.data, scan.brain, SPACING)
    other = take_detail(1000 * scan.data, scan.brain, SPACING)[0]
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert not one[~inside].any()
    assert edges == [2.0, 2.0, 2.0]
    assert measure_detail(0.5 * one, inside, edges) == pytest.approx(0.5 * measure_detail(one, inside, edges))


def test_fine_voxels_are_pooled_to_two_millimetres():
    scan = make_brain()
    fine = [np.repeat(np.repeat(np.repeat(v, 2, 0), 2, 1), 2, 2) for v in (scan.data, scan.brain)]
    pooled, inside, edges = take_detail(*fine, (1.0, 1.0, 1.0))
    expected, where, _ = take_detail(scan.data, scan.brain, SPACING)
    assert edges == [2.0, 2.0, 2.0]
    assert (inside == where).all()
    np.testing.assert_allclose(pooled, expected, atol=1e-4)


def test_mask_of_a_cube_has_closed_forms():
    brain = np.zeros((60, 60, 60), bool)
    brain[10:50, 10:50, 10:50] = True
    numbers = measure_mask(brain, (2.5, 2.5, 2.5))
    assert numbers["brain_ml"] == pytest.approx(1000)
    assert numbers["roughness"] == pytest.approx(6, abs=0.01)
    assert numbers["flat_cm2"] == pytest.approx(100)
    assert numbers["loose"] == 0


def test_flat_end_is_found_at_the_edge_of_the_field():
    assert measure_flat_end(np.ones((10, 20, 5), bool), (1.0, 2.0, 4.0)) == pytest.approx(20 * 5 * 8 / 100)


@pytest.mark.parametrize(("shift", "is_poor"), [(0.0, False), (30.0, True)])
def test_registration_is_measured_where_a_header_says_it(tmp_path, shift, is_poor):
    atlas = load_place_atlas()
    brain = list_solid_labels()[atlas.labels]
    affine = atlas.affine + shift * np.eye(4, k=3)
    image = np.where(brain, 100 + np.random.default_rng(0).standard_normal(brain.shape), 0)
    scan = nibabel.Nifti1Image(image.astype(np.float32), affine)
    scan.set_sform(affine, code=4)
    nibabel.save(scan, tmp_path / "scan.nii.gz")
    numbers = measure_scan_quality(read_source(tmp_path / "scan.nii.gz"))
    assert ("registration" in ScanQuality(numbers).flags) == is_poor
    assert (numbers["overlap"] > 0.99) != is_poor


def test_registration_of_a_scan_that_is_not_registered_is_not_measured():
    assert "overlap" not in measure_scan_quality(to_source(make_brain()))


@pytest.mark.parametrize(
    ("mm", "bound"), [(None, 0.13), (1.0, 0.13), (4.0, 0.13), (5.0, 0.14), (6.0, 0.15), (9.0, 0.15)]
)
def test_limit_of_ghosting_follows_the_thickness_of_slices(mm, bound):
    thickness = {} if mm is None else {"thickest_mm": mm}
    for value, flags in ((bound - 1e-6, []), (bound + 1e-6, ["motion"])):
        assert ScanQuality({"ghosting": value, **thickness}).flags == flags
    (text,) = ScanQuality({"ghosting": 0.3, **thickness}).list_warnings()
    assert text.endswith(f"is 0.30, and that of good scans at most {bound:.2f}")


def test_thickness_is_measured_with_ghosting_and_changes_no_other_limit():
    numbers = measure_scan_quality(to_source(thicken(6.0)(make_brain())))
    assert numbers["thickest_mm"] == 6
    assert {key for key in LIMITS if adapt_limit(key, numbers) != LIMITS[key]} == {"ghosting"}
    assert measure_scan_quality(to_source(make_brain()))["thickest_mm"] == 2
