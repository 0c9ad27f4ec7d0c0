import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label, regionprops

from diffad.config import PostprocessConfig, to_dict
from diffad.inference import median_filter as median
from diffad.inference.median_filter import median_filter
from diffad.inference.postprocess import Postprocess, erode_by_average, peel_layers, remove_small
from diffad.inference.thresholding import binarise_maps

SHAPES = [(3, 1, 17, 22), (2, 1, 9, 11, 10)]


def blobs(shape, seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), (0, 0, *[0.8] * (len(shape) - 2)))
    return torch.from_numpy(smooth > np.quantile(smooth, 1 - density))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_erosion_keeps_pixels_farther_from_the_outside_than_its_layers(shape, pixels):
    mask = blobs(shape, density=0.97)
    eroded = peel_layers(mask, pixels)
    for item, ours in zip(mask[:, 0], eroded[:, 0], strict=True):
        steps = ndimage.distance_transform_cdt(np.pad(item.numpy(), 1), metric="taxicab")
        inner = (slice(1, -1),) * item.ndim
        np.testing.assert_array_equal(ours.numpy(), steps[inner] > pixels)
    assert 0 < eroded.sum() < mask.sum()


def test_erosion_by_nothing_is_the_mask():
    mask = blobs((2, 1, 9, 9))
    assert torch.equal(peel_layers(mask, 0), mask)


def test_erosion_by_average_tolerates_one_missing_neighbour_and_not_two():
    mask = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    mask[0, 0, 4, 4] = False
    assert erode_by_average(mask).sum() == 25
    mask[0, 0, 4, 5] = False
    sees_one_hole = torch.zeros_like(mask)
    sees_one_hole[..., 2:7, 2] = True
    assert torch.equal(erode_by_average(mask), sees_one_hole)


def test_erosion_by_average_works_in_volumes():
    mask = torch.ones(1, 1, 9, 9, 9, dtype=torch.bool)
    assert erode_by_average(mask, fraction=0.999).sum() == 5**3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_median_equals_scipy(shape, size, generators):
    scores = torch.rand(shape, generator=generators(0)[0])
    oracle = ndimage.median_filter(scores.numpy(), (1, 1, *[size] * (len(shape) - 2)), mode="mirror")
    np.testing.assert_array_equal(median_filter(scores, size).numpy(), oracle)


@pytest.mark.parametrize("slab", [1, 60, 10**6])
def test_median_does_not_depend_on_the_slabs(slab, monkeypatch, generators):
    scores = torch.rand(2, 1, 13, 20, generator=generators(0)[0])
    expected = median_filter(scores)
    monkeypatch.setattr(median, "SLAB", slab)
    assert torch.equal(median_filter(scores), expected)


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 5]))
@settings(max_examples=15, deadline=None)
def test_median_handles_ties(seed, levels):
    scores = np.random.default_rng(seed).integers(0, levels, (2, 1, 9, 12)).astype(np.float32)
    oracle = ndimage.median_filter(scores, (1, 1, 5, 5), mode="mirror")
    np.testing.assert_array_equal(median_filter(torch.from_numpy(scores)).numpy(), oracle)


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("shape", [(3, 1, 30, 30), (2, 1, 12, 14, 13)], ids=str)
def test_small_components_equal_skimage(shape, filled):
    binary = blobs(shape, density=0.25)
    binary[0, 0, ..., :5, :5] = True
    binary[0, 0, ..., 1:4, 1:4] = False
    kept = remove_small(binary, 12, filled=filled)
    for item, ours in zip(binary[:, 0].numpy(), kept[:, 0].numpy(), strict=True):
        labels = label(item, connectivity=item.ndim)
        big = [r.label for r in regionprops(labels) if (r.area_filled if filled else r.area) >= 12]
        np.testing.assert_array_equal(ours, np.isin(labels, big))
    assert 0 < kept.sum() < binary.sum()


def test_filled_size_counts_the_hole_and_keeps_it():
    binary = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    binary[..., 2:7, 2:7] = True
    binary[..., 3:6, 3:6] = False
    assert binary.sum() == 16
    assert not remove_small(binary, 25).any()
    assert torch.equal(remove_small(binary, 25, filled=True), binary)
    assert not remove_small(binary, 26, filled=True).any()


@pytest.mark.parametrize("min_size", [0, 1])
def test_smallest_sizes_keep_everything(min_size):
    binary = blobs((2, 1, 15, 15), density=0.1)
    assert torch.equal(remove_small(binary, min_size), binary)


def test_components_of_neighbouring_items_are_not_joined():
    binary = torch.zeros(2, 1, 6, 6, dtype=torch.bool)
    binary[:, 0, 2, 2:4] = True
    assert not remove_small(binary, 3).any()


def test_smoothing_zeroes_what_erosion_removed_and_only_that(generators):
    scores = torch.rand(2, 1, 16, 16, generator=generators(0)[0])
    mask = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    mask[..., 2:14, 2:14] = True
    smooth = Postprocess(erosion=2, median=3).smooth(scores, mask)
    inside = torch.zeros_like(mask)
    inside[..., 4:12, 4:12] = True
    assert torch.equal(smooth, median_filter(scores, 3) * inside)


@pytest.mark.parametrize("shape", [(1, 1, 9, 11), (1, 1, 7, 9, 8), (1, 1, 1, 9, 8)], ids=str)
@pytest.mark.parametrize(("border", "mode"), [("mirror", "mirror"), ("reflect", "reflect")])
def test_border_of_the_median_is_that_of_scipy(shape, border, mode, generators):
    scores = torch.rand(shape, generator=generators(0)[0])
    if border == "mirror" and min(shape[2:]) < 3:
        return
    expected = ndimage.median_filter(scores[0, 0].numpy(), 5, mode=mode)
    np.testing.assert_array_equal(median_filter(scores, 5, border)[0, 0].numpy(), expected)


def test_unknown_border_is_refused():
    with pytest.raises(ValueError, match="expected border one of mirror, reflect, got 'wrap'"):
        median_filter(torch.zeros(1, 1, 8, 8), 5, "wrap")


@pytest.mark.parametrize("median_first", [True, False])
def test_stack_of_slices_is_smoothed_as_a_volume_after_slices_were_eroded(median_first, generators):
    scores = torch.rand(6, 1, 20, 18, generator=generators(0)[0])
    mask = blobs((6, 1, 20, 18), density=0.9)
    post = Postprocess(erosion=1, median_axes=3, median_first=median_first)
    kept = torch.cat([peel_layers(plane[None], 1) for plane in mask])[:, 0].numpy()
    raw = scores[:, 0].numpy()
    volume = ndimage.median_filter(raw if median_first else raw * kept, 5, mode="reflect")
    expected = volume * kept if median_first else volume
    np.testing.assert_array_equal(post.smooth_stack(scores, mask)[:, 0].numpy(), expected)
    assert not torch.equal(post.smooth_stack(scores, mask), post.smooth(scores, mask))


def test_stack_of_one_slice_is_smoothed_as_a_slice_and_so_is_any_where_axes_are_2(generators):
    scores = torch.rand(3, 1, 20, 18, generator=generators(0)[0])
    inner = slice(2, -2)
    one = Postprocess(median_axes=3).smooth_stack(scores[:1])
    assert torch.equal(one[..., inner, inner], median_filter(scores[:1], 5)[..., inner, inner])
    assert torch.equal(Postprocess().smooth_stack(scores), Postprocess().smooth(scores))


def test_morphology_is_grey_erosion_opening_and_closing(generators):
    scores = torch.rand(2, 1, 24, 22, generator=generators(0)[0])
    ours = Postprocess(median=1, morphology=5).smooth(scores)
    for item, result in zip(scores[:, 0].numpy(), ours[:, 0].numpy(), strict=True):
        grey = ndimage.grey_erosion(item, (5, 5), mode="nearest")
        grey = ndimage.grey_opening(grey, (5, 5), mode="nearest")
        np.testing.assert_array_equal(result, ndimage.grey_closing(grey, (5, 5), mode="nearest"))


@pytest.mark.parametrize(("side", "rest"), [(8, 0), (9, 25)])
def test_published_morphology_deletes_blobs_under_nine_pixels_and_shrinks_the_others(side, rest):
    scores = torch.zeros(1, 1, 30, 30)
    scores[..., 10 : 10 + side, 10 : 10 + side] = 1
    assert Postprocess(median=1, morphology=5).smooth(scores).sum() == rest


@pytest.mark.parametrize(
    ("spacing", "voxels", "remains"),
    [
        ((2.0, 2.0, 2.0), 8, True),
        ((2.0, 2.0, 2.0), 7, False),
        ((1.0, 1.0, 1.0), 64, True),
        ((1.0, 1.0, 1.0), 63, False),
        ((0.8, 0.8, 1.0), 100, True),
        ((0.8, 0.8, 1.0), 99, False),
        (None, 64, True),
        (None, 63, False),
    ],
)
def test_smallest_detection_is_a_volume_whatever_the_voxels(spacing, voxels, remains):
    maps = torch.zeros(1, 1, 12, 12, 12)
    maps.view(-1)[:voxels] = 1
    post = to_dict(PostprocessConfig(min_mm3=64.0))
    detections = binarise_maps(maps, [0.5], torch.ones_like(maps).bool(), post, spacing)
    assert bool(detections.any()) == remains


def test_no_mask_smooths_everywhere(generators):
    scores = torch.rand(1, 1, 16, 16, generator=generators(0)[0])
    assert torch.equal(Postprocess(erosion=3).smooth(scores), median_filter(scores, 5))


def test_binarising_flags_scores_above_the_threshold_in_the_eroded_mask():
    scores = torch.zeros(1, 1, 12, 12)
    scores[0, 0, 4:7, 4:7] = 0.5
    scores[0, 0, 9, 9] = 0.9
    scores[0, 0, 0, 0:12] = 1.0
    mask = torch.ones(1, 1, 12, 12, dtype=torch.bool)
    assert Postprocess(erosion=1).binarise(scores, 0.5, mask).sum() == 1
    assert Postprocess(erosion=1).binarise(scores, 0.4, mask).sum() == 10
    assert Postprocess(erosion=1, min_size=2).binarise(scores, 0.4, mask).sum() == 9
    assert Postprocess().binarise(scores, 0.4).dtype == torch.bool


def test_config_has_the_same_options_and_defaults():
    assert Postprocess.from_options(to_dict(PostprocessConfig())) == Postprocess()
    options = {"erosion": 1, "erosion_rule": "average", "median_first": False, "filled": True}
    options |= {"median_axes": 3, "morphology": 5}
    post = Postprocess.from_options(to_dict(PostprocessConfig(**options)))
    assert post == Postprocess(**options)


@pytest.mark.parametrize(
    "options", [{}, {"erosion_rule": "average", "median_first": False, "filled": True}], ids=str
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_item_alone_equals_item_in_batch(shape, options, generators):
    scores = torch.rand(shape, generator=generators(0)[0])
    mask, post = blobs(shape, density=0.9), Postprocess(erosion=1, median=3, min_size=4, **options)
    smooth = post.smooth(scores, mask)
    binary = post.binarise(smooth, 0.5, mask)
    assert 0 < binary.sum() < binary.numel()
    for i in range(len(scores)):
        item = slice(i, i + 1)
        assert torch.equal(post.smooth(scores[item], mask[item]), smooth[item])
        assert torch.equal(post.binarise(smooth[item], 0.5, mask[item]), binary[item])


def test_arguments_are_not_changed(generators):
    scores, mask = torch.rand(2, 1, 12, 12, generator=generators(0)[0]), blobs((2, 1, 12, 12))
    before, post = (scores.clone(), mask.clone()), Postprocess(erosion=1, median=1, min_size=3)
    post.smooth(scores, mask).fill_(7)
    post.binarise(scores, 0.5, mask)
    assert torch.equal(scores, before[0])
    assert torch.equal(mask, before[1])


@pytest.mark.parametrize(
    "options",
    [
        {"erosion": -1},
        {"erosion": 1.5},
        {"median": 4},
        {"median": 0},
        {"min_size": -1},
        {"min_size": True},
        {"erosion_rule": "square"},
        {"median_axes": 1},
        {"morphology": 2},
    ],
    ids=str,
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=f"expected {next(iter(options))} .* got"):
        Postprocess(**options)


def test_shapes_that_do_not_fit_are_refused():
    scores, mask = torch.zeros(2, 1, 12, 12), torch.ones(2, 1, 12, 11, dtype=torch.bool)
    for call in (Postprocess().smooth, lambda s, m: Postprocess().binarise(s, 0.5, m)):
        with pytest.raises(ValueError, match="expected mask of shape"):
            call(scores, mask)
        with pytest.raises(ValueError, match="expected scores of shape"):
            call(scores[:, 0], None)
    with pytest.raises(ValueError, match="expected axes longer than 2"):
        median_filter(torch.zeros(1, 1, 2, 8))
    with pytest.raises(ValueError, match="expected mask of shape"):
        peel_layers(torch.ones(2, 3, 8, 8, dtype=torch.bool), 1)
    with pytest.raises(ValueError, match=r"fraction in \[0, 1\)"):
        erode_by_average(mask, fraction=1.0)
    with pytest.raises(ValueError, match="expected a threshold, got nan"):
        Postprocess().binarise(scores, float("nan"))
