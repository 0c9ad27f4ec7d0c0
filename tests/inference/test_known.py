"""A model knows its domain: what other contrasts, parts of brains and heads are told by."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.brain_box import BOX_SHAPE, find_brain_box, pool_brain_box
from diffad.data.volume import Volume
from diffad.inference.features import measure_features
from diffad.inference.known import FEATURES, KnownScans
from diffad.inference.tissues import fit_tissues, load_tissue_prior
from tests.helpers.domains import CONTRASTS, SPACING, draw_scan, features_of, know


@pytest.fixture(scope="module")
def known():
    return KnownScans.of([features_of(seed=i, scale=0.96 + 0.01 * i) for i in range(9)])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(1, 12))
def test_cells_average_the_brain_alone(seed, size):
    rng = np.random.default_rng(seed)
    brain = torch.from_numpy(rng.random((size + 9, size + 4, size + 7)) < 0.3)
    brain[1, 2, 3] = True
    image = torch.from_numpy(rng.random((2, *brain.shape)).astype(np.float32))
    means, cover = pool_brain_box(image, brain, (1, 1, 1))
    torch.testing.assert_close(means[:, 0, 0, 0], image[:, brain].mean(1), rtol=1e-4, atol=1e-5)
    box = find_brain_box(brain)
    assert float(cover[0, 0, 0]) == pytest.approx(float(brain[box].float().mean()), rel=1e-4)


def test_cells_are_where_they_are():
    brain = torch.ones(16, 20, 16, dtype=torch.bool)
    image = torch.rand(1, 16, 20, 16)
    means, cover = pool_brain_box(image, brain)
    assert torch.equal(means, image)
    assert cover.min() == 1


def test_empty_brain_has_no_box():
    with pytest.raises(ValueError, match="expected a brain mask with voxels inside"):
        find_brain_box(torch.zeros(4, 4, 4, dtype=torch.bool))


@pytest.mark.parametrize("levels", [(0.2, 0.5, 0.9), (0.9, 0.5, 0.4)])
def test_fit_finds_the_levels_it_was_made_of_beside_a_lesion(levels):
    prior = torch.from_numpy(load_tissue_prior())
    cover = (prior.sum(0) > 0.6).float()
    image = torch.einsum("k,k...->...", torch.tensor(levels), prior / prior.sum(0).clamp(min=1e-3))
    image[3:6, 6:10, 6:10] += 0.5
    fit = fit_tissues(image, cover)
    np.testing.assert_allclose((fit.fluid, fit.grey, fit.white), levels, atol=0.02)


@pytest.mark.parametrize("contrast", list(CONTRASTS))
def test_order_of_tissues_names_the_sequence(contrast):
    tissues = features_of(contrast).tissues
    assert tissues.sequence == contrast


def test_prior_is_of_a_brain():
    prior = load_tissue_prior()
    assert prior.shape == (3, *BOX_SHAPE)
    assert prior.max() <= 1
    assert np.array_equal(prior, prior[:, ::-1])
    middle = prior[:, 7, 10, 8]
    assert prior[2, 5, 10, 11] > 0.5 > middle[1]  # white matter above and beside the ventricles


def test_scans_like_the_known_ones_are_inside(known):
    assert known.sequence == "T1"
    assert [r for i in range(20, 26) for r in known.list_reasons(features_of(seed=i))] == []


@pytest.mark.parametrize("contrast", ["T2", "FLAIR"])
def test_other_contrasts_are_outside_and_named_first(known, contrast):
    reasons = known.list_reasons(features_of(contrast, seed=30))
    assert reasons[0] == f"it looks like {contrast} by the order of its tissues, and the model knows T1"
    assert any("correlation of its contrast" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[: x.shape[0] // 2], "the width of its brain is"),
        (lambda x: x[..., : x.shape[2] // 2], "the height of its brain is"),
        (lambda x: x[..., ::-1], "the overlap of its brain with the mean shape"),
        (lambda x: x.swapaxes(-3, -2), "the length of its brain is"),
    ],
    ids=["left half", "lower half", "upside down", "turned"],
)
def test_wrong_shapes_are_outside(known, change, words):
    volume, brain = draw_scan(seed=31)
    data, mask = (np.ascontiguousarray(change(v)) for v in (volume.data[0], brain.numpy()))
    reasons = known.list_reasons(measure_features(Volume(data[None], volume.affine), torch.from_numpy(mask)))
    assert any(words in reason for reason in reasons), reasons


@pytest.mark.parametrize(
    ("factor", "words"),
    [(0.75, "the volume of its brain"), (2.5, "the largest edge of its voxels is 10.0 mm")],
)
def test_children_and_thick_slices_are_outside(known, factor, words):
    volume, brain = draw_scan(seed=32)
    spacing = np.full(3, SPACING * factor) if factor < 1 else np.array([SPACING, SPACING, SPACING * factor])
    changed = Volume(volume.data, np.diag([*spacing, 1.0]))
    assert any(words in r for r in known.list_reasons(measure_features(changed, brain)))


def test_bright_end_is_seen(known):
    volume, brain = draw_scan(seed=33)
    data = volume.data.copy()
    data[0, brain.numpy()] *= 1 + 2 * (np.random.default_rng(0).random(int(brain.sum())) > 0.97)
    assert any(
        "percentile 99" in r for r in known.list_reasons(measure_features(Volume(data, volume.affine), brain))
    )


def test_five_slices_are_outside(known):
    volume, brain = draw_scan(seed=34)
    middle = (..., slice(18, 23))
    few = measure_features(Volume(volume.data[middle], volume.affine), brain[middle])
    assert any("the height of its brain is 20 mm" in r for r in known.list_reasons(few))


def test_dark_brain_is_refused():
    volume, brain = draw_scan()
    with pytest.raises(ValueError, match="expected a brain with intensities above 0"):
        measure_features(Volume(volume.data * 0, volume.affine), brain)


def test_what_is_stored_comes_back(known):
    values = json.loads(json.dumps(known.to_dict()))
    assert KnownScans.from_dict(values).to_dict() == values
    assert set(values["ranges"]) == set(FEATURES)
    scan = features_of("T2", seed=35)
    assert KnownScans.from_dict(values).list_reasons(scan) == known.list_reasons(scan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": "AAAA"}, "bytes in base64 as domain.means"),
        ({"cover": 7}, "bytes in base64 as domain.cover"),
        ({"ranges": {"age": [1, 2]}}, "known features in domain.ranges"),
        ({"ranges": {"volume": [2, 1]}}, "known features in domain.ranges"),
        ({"ranges": {"volume": [1, float("nan")]}}, "known features in domain.ranges"),
        ({"ranges": [1]}, "known features in domain.ranges"),
        ({"sequence": 3}, "a sequence and a number of scans"),
        ({"scans": "many"}, "a sequence and a number of scans"),
        ({"more": 1}, "a domain with ranges and pictures"),
    ],
)
def test_damaged_domains_are_refused(known, change, words):
    with pytest.raises(ValueError, match=words):
        KnownScans.from_dict({**known.to_dict(), **change})


def test_no_scans_make_no_domain():
    with pytest.raises(ValueError, match="expected healthy scans to learn a domain from"):
        KnownScans.of([])


def test_distance_is_the_mean_square_of_what_lies_beyond_the_ranges(known):
    inside = features_of(seed=20)
    numbers = dict.fromkeys(known.ranges, 0.0) | {n: (a + b) / 2 for n, (a, b) in known.ranges.items()}
    middle = replace(inside, numbers=numbers | {"likeness": 1.0, "overlap": 1.0})
    base = known.measure_distance(middle)
    assert base < 0.1
    low, high = known.ranges["p50"]
    margin = max(FEATURES["p50"].slack, 0.5 * (high - low))
    moved = replace(middle, numbers=middle.numbers | {"p50": high + 3 * margin})
    expected = np.sqrt(base**2 + 9 / (len(known.ranges) + 1))
    assert known.measure_distance(moved) == pytest.approx(expected, rel=1e-5)
    assert [reason.split(" is ")[0] for reason in known.list_reasons(moved)] == [FEATURES["p50"].text]


def test_scans_lie_nearer_to_their_own_contrast():
    models = {contrast: know(contrast) for contrast in ("T1", "T2", "FLAIR")}
    for contrast in models:
        scan = features_of(contrast, seed=30)
        distances = {name: known.measure_distance(scan) for name, known in models.items()}
        assert min(distances, key=distances.get) == contrast
        assert sorted(distances.values())[1] > 5 * distances[contrast] + 0.3


def test_more_contrasts_are_broader():
    assert know("T1", "T2").breadth > 2 * know("T1").breadth > 0


def test_a_model_of_several_contrasts_knows_no_order_of_tissues():
    assert know("T1").sequence == "T1"
    assert know("T1", "T2").sequence is None
