"""Banks of patches and statistics of places."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.detectors import coreset
from diffad.detectors.coreset import PatchSample, choose_core, require_memory
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

OPTIONS = {"size": 32, "weights": "random", "stages": [0, 2]}


def make_example(x):
    mask = torch.ones_like(x[:, :1])
    return DetectorExample(x, x, mask, 0 * mask, torch.zeros(len(x)), [])


def teach(name, x, batch=4, **options):
    torch.manual_seed(0)
    detector = DETECTORS.build(name, **{**OPTIONS, **options}).eval()
    for part in x.split(batch):
        detector.observe(make_example(part))
    detector.conclude()
    return detector


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 20),
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_a_sample_is_the_same_however_rows_are_cut(count, most, cuts, seed):
    rows = torch.arange(float(count))[:, None]
    whole, parts = PatchSample(most, seed), PatchSample(most, seed)
    whole.add(rows)
    start = 0
    while start < count:
        width = cuts[start % len(cuts)]
        parts.add(rows[start : start + width])
        start += width
    assert torch.equal(whole.rows, parts.rows)
    assert len(whole.rows) == min(count, most)
    assert whole.seen == count
    assert len(whole.rows.unique()) == len(whole.rows)


def test_a_sample_is_fair():
    hits = torch.zeros(10)
    for seed in range(400):
        sample = PatchSample(3, seed)
        sample.add(torch.arange(10.0)[:, None])
        hits[sample.rows[:, 0].long()] += 1
    assert float((hits / 400 - 0.3).abs().max()) < 0.09


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 30), st.integers(0, 9))
def test_a_core_is_distinct_and_each_row_is_the_farthest(rows, count, seed):
    points = torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))
    chosen = choose_core(points, count, seed)
    assert len(chosen) == min(rows, count)
    assert len(chosen.unique()) == len(chosen)
    distances = torch.cdist(points, points)
    for k in range(1, len(chosen)):
        nearest = distances[:, chosen[:k]].amin(1)
        assert float(nearest[chosen[k]]) >= float(nearest.max()) - 1e-4


def test_what_is_in_the_bank_is_not_odd_and_the_rest_is_measured_exactly():
    x = torch.rand(3, 1, 32, 32)
    detector = teach("patch_bank", x, patches=3 * 256, candidates=3 * 256)
    assert float(detector.detect(x, torch.ones_like(x)).map.max()) < 1e-2
    other = torch.rand(1, 1, 32, 32)
    patches = detector._cut_patches(other, torch.ones_like(other))[0]
    seen = detector._cut_patches(x, torch.ones_like(x)).flatten(0, 1)
    expected = (patches[:, None] - seen).square().sum(2).sqrt().amin(1)
    torch.testing.assert_close(detector._measure(patches, None), expected, rtol=1e-3, atol=1e-3)


def test_a_window_compares_with_nearby_places_alone():
    x, other = torch.rand(3, 1, 32, 32), torch.rand(1, 1, 32, 32)
    wide = teach("patch_bank", x, patches=768, candidates=768)
    narrow = teach("patch_bank", x, patches=768, candidates=768, window=1)
    a, b = (d.detect(other, torch.ones_like(other)).map for d in (wide, narrow))
    assert bool((b >= a - 1e-4).all())
    assert float((b - a).max()) > 1e-3
    patches = narrow._cut_patches(other, torch.ones_like(other))[0]
    seen = narrow._cut_patches(x, torch.ones_like(x)).reshape(3, 16, 16, -1)[:, :2, :2].flatten(0, 2)
    expected = (patches[0] - seen).square().sum(1).sqrt().min()
    found = narrow._measure(patches, narrow._find_far_pairs())[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_place_without_neighbours_in_the_bank_is_compared_with_all():
    detector = teach("patch_bank", torch.rand(2, 1, 32, 32), patches=1, candidates=512, window=1)
    x = torch.rand(1, 1, 32, 32)
    assert detector.detect(x, torch.ones_like(x)).map.isfinite().all()


@pytest.mark.parametrize("name", ["patch_bank", "padim"])
def test_batches_of_training_and_use_do_not_matter(name):
    x, other = torch.rand(6, 1, 32, 32), torch.rand(3, 1, 32, 32)
    options = {"patches": 50, "candidates": 400} if name == "patch_bank" else {"dimensions": 6}
    a, b = teach(name, x, 6, **options), teach(name, x, 1, **options)
    mask = torch.ones_like(other)
    whole = a.detect(other, mask).map
    torch.testing.assert_close(b.detect(other, mask).map, whole, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(a.detect(other[1:2], mask[1:2]).map[0], whole[1], rtol=1e-4, atol=1e-5)


def test_few_patches_are_repeated_so_that_shapes_stay():
    detector = teach("patch_bank", torch.rand(2, 1, 32, 32), patches=700, candidates=700)
    assert detector.bank.shape == (700, 56)
    assert len(detector.bank.unique(dim=0)) == 512


def test_distances_of_places_are_those_of_mahalanobis():
    x = torch.rand(20, 1, 32, 32)
    detector = teach("padim", x, dimensions=4, eps=0.01)
    mask = torch.ones_like(x)
    seen = detector._pick(x, mask)[:, 37].double()
    covariance = torch.cov(seen.T) + 0.01 * torch.eye(4).double()
    other = torch.rand(1, 1, 32, 32)
    deviation = detector._pick(other, mask[:1])[0, 37].double() - seen.mean(0)
    expected = (deviation @ torch.linalg.inv(covariance) @ deviation).sqrt()
    found = (detector.whitener[37].double() @ (deviation)).norm()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_places_that_were_no_brain_have_no_opinion():
    x = torch.rand(4, 1, 32, 32)
    torch.manual_seed(0)
    detector = DETECTORS.build("padim", **OPTIONS, dimensions=4).eval()
    example = make_example(x)
    example.brain[..., :16] = 0
    detector.observe(example)
    detector.conclude()
    found = detector.detect(x, torch.ones_like(x)).map
    assert not found[..., :12].any()
    assert bool((found[..., 20:] > 0).all())


@pytest.mark.parametrize("name", ["patch_bank", "padim"])
def test_constant_training_scans_are_learned(name):
    options = {"patches": 5, "candidates": 50} if name == "patch_bank" else {"dimensions": 4}
    detector = teach(name, torch.full((3, 1, 32, 32), 0.5), **options)
    x = torch.rand(1, 1, 32, 32)
    assert detector.detect(x, torch.ones_like(x)).map.isfinite().all()


def test_a_bank_larger_than_memory_is_refused_by_an_estimate(monkeypatch):
    monkeypatch.setattr(coreset, "read_memory", lambda: 1e9)
    with pytest.raises(ValueError, match=r"at most half of the 1.0 GB of memory, estimated 1.2 GB"):
        require_memory(300_000_000, "a bank")
    monkeypatch.setattr(coreset, "read_memory", lambda: 1e8)
    with pytest.raises(ValueError, match=r"model.patches and model.candidates .* estimated \d+.\d GB"):
        DETECTORS.build("patch_bank", **OPTIONS, patches=1_000_000, candidates=1_000_000)
    with pytest.raises(ValueError, match=r"covariances of model.size and model.dimensions"):
        DETECTORS.build("padim", **{**OPTIONS, "size": 1024, "stages": [0, 2]}, dimensions=56)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("patch_bank", {"patches": 10, "candidates": 5}, "expected 1 <= patches <= candidates"),
        ("patch_bank", {"neighbourhood": 2}, "odd neighbourhood"),
        ("patch_bank", {"size": 34}, "a size that is a multiple of 4, got 34"),
        ("padim", {"eps": 0.0}, "eps above 0"),
        ("uniad", {"size": 40}, "a size that is a multiple of 16, got 40"),
        ("uniad", {"reach": 4}, "an odd reach"),
        ("uniad", {"width": 9, "reach": 1}, "an even width"),
        ("rd4ad", {"stages": [1, 3]}, "each half as fine"),
        ("rd4ad", {"stages": [2, 3], "size": 40}, "a size that is a multiple of 16, .* got 40"),
    ],
)
def test_options_out_of_range_are_refused(name, options, words):
    with pytest.raises(ValueError, match=words):
        DETECTORS.build(name, **{**OPTIONS, **options})
