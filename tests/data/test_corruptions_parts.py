"""Shapes, places, deformations and patches: the parts that the corruptions are made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.corruptions import corrupt
from diffad.data.corruptions.blend import blend, match_source, remap_contrast
from diffad.data.corruptions.deform import deform, push_exponent
from diffad.data.corruptions.intensity import change_intensity, taper
from diffad.data.corruptions.place import Foreground, draw_place
from diffad.data.corruptions.shape import Shape, draw_rotation, draw_shape, index_voxels
from diffad.data.corruptions.spline import sample_spline

seeds = st.integers(0, 2**32)


def rng(seed=0):
    return np.random.default_rng(seed)


def ball(*size):
    """A round brain."""
    away = [np.linspace(-1, 1, n) for n in size]
    return sum(np.square(u) for u in np.meshgrid(*away, indexing="ij")) < 0.7


def placed(seed, *size):
    return draw_place(Foreground.of(ball(*size)), rng(seed))


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from([(60, 50), (30, 24, 28)]))
def test_shape_fits_into_most_of_the_brain_and_is_convex(seed, brain):
    shape = draw_shape(tuple(2 * n for n in brain), brain, rng(seed))
    assert all(k <= np.ceil(0.8 * n) for k, n in zip(shape.size, brain, strict=True))
    middle = np.array([(k - 1) / 2 for k in shape.size])
    offset = index_voxels(shape.size) - np.expand_dims(middle, tuple(range(1, 1 + len(brain))))
    points = offset[:, shape.holds(shape.to_units(offset))]
    pick = rng(seed).integers(points.shape[1], size=(2, 50)) if points.shape[1] else np.zeros((2, 0), int)
    assert shape.holds(shape.to_units((points[:, pick[0]] + points[:, pick[1]]) / 2)).all()


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans(), st.sampled_from([2, 3]))
def test_ray_leaves_the_shape_at_its_border(seed, ellipse, n):
    draws = rng(seed)
    shape = Shape(draws.normal(size=(n, n)) + 3 * np.eye(n), ellipse)
    points = draws.uniform(-1, 1, (n, 200))
    points = points[:, shape.holds(points)]
    start, others = points[:, :1], points[:, 1:]
    times = shape.find_exit(start, others)
    border = start + times * (others - start)
    assert (times >= 1).all()
    assert shape.holds(border * (1 - 1e-9)).all()
    assert not shape.holds(border * (1 + 1e-6)).any()
    assert np.isinf(shape.find_exit(start, start)).all()


def test_shapes_of_known_extent():
    box = Shape(np.diag([3.0, 2.0]), ellipse=False)
    assert box.size == (6, 4)
    offset = index_voxels((6, 4)) - np.array([2.5, 1.5])[:, None, None]
    assert box.holds(box.to_units(offset)).all()
    disc = Shape(np.diag([10.0, 10.0]), ellipse=True)
    offset = index_voxels((20, 20)) - 9.5
    assert disc.holds(disc.to_units(offset)).sum() == pytest.approx(np.pi * 100, rel=0.02)
    turned = Shape(draw_rotation(2, np.pi, rng(1)) * 10.0, ellipse=True)
    np.testing.assert_allclose(turned.extent, [10, 10])


@pytest.mark.parametrize("n", [2, 3])
def test_rotation_keeps_lengths(n):
    turn = draw_rotation(n, np.pi / 2, rng(3))
    np.testing.assert_allclose(turn @ turn.T, np.eye(n), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


@settings(deadline=None, max_examples=40)
@given(seeds, st.sampled_from([(50, 44), (20, 24, 22)]))
def test_place_lies_in_the_image_and_holds_a_quarter_of_brain(seed, size):
    brain = ball(*size)
    place = draw_place(Foreground.of(brain), rng(seed))
    assert all(0 <= cut.start < cut.stop <= n for cut, n in zip(place.box, size, strict=True))
    assert np.array_equal(place.tissue, brain[place.box])
    assert (place.mask & place.tissue).sum() >= 0.25 * place.mask.sum()


def test_largest_part_gives_the_size_and_every_part_is_met():
    brain = np.zeros((60, 60), bool)
    brain[4:34, 4:24] = brain[44:56, 44:56] = True
    foreground = Foreground.of(brain)
    assert foreground.size == (30, 20)
    draws = rng()
    boxes = [draw_place(foreground, draws).box for _ in range(200)]
    # the small part has 19 % of the area
    assert 10 < sum(box[0].stop > 46 and box[1].stop > 46 for box in boxes) < 60


def test_brain_that_no_shape_meets_is_refused():
    brain = np.zeros((30, 30), bool)
    brain[3, 3] = brain[20, 20] = True
    whole = (slice(0, 30), slice(0, 30))
    with pytest.raises(ValueError, match="room for a shape, got 2 scattered voxels"):
        draw_place(Foreground(brain, (whole,), (30, 30)), rng())


@pytest.mark.parametrize("size", [(40, 36), (16, 18, 14)])
def test_spline_gives_back_the_voxels_and_lines(size):
    image = np.stack([rng().random(size), index_voxels(size)[0] / 10])
    points = np.stack([rng(1).uniform(3, n - 4, 50) for n in size])
    whole = np.round(points).astype(int)
    np.testing.assert_allclose(
        sample_spline(image, whole.astype(float))[0], image[0][tuple(whole)], atol=1e-4
    )
    inner = np.stack([rng(1).uniform(n / 2 - 2, n / 2 + 2, 50) for n in size])
    np.testing.assert_allclose(sample_spline(image, inner)[1], inner[0] / 10, atol=2e-3)
    assert sample_spline(image, np.zeros((len(size), 0))).shape == (2, 0)


def test_crop_of_the_spline_makes_no_difference_to_speak_of():
    from scipy.ndimage import map_coordinates

    image, points = rng().random((1, 90, 90)), rng(1).uniform(40, 52, (2, 80))
    whole = map_coordinates(image[0], points, order=3, mode="nearest")
    np.testing.assert_allclose(sample_spline(image, points)[0], whole, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(seeds, st.sampled_from([(50, 44), (20, 24, 22)]))
def test_source_magnifies_and_sink_shrinks_around_the_centre(seed, size):
    place = placed(seed, *size)
    centre_of, slopes = {}, index_voxels(size)
    for task in ("source", "sink"):
        part, drawn = deform(slopes, place, task, rng(seed))
        corner = np.array([cut.start for cut in place.box])
        centre = centre_of[task] = np.array(drawn["centre"])
        np.testing.assert_allclose(drawn["factor"] >= 1, True)
        # the image tells its own coordinates, so the result tells where each voxel was read
        read = part[:, place.mask] - centre[:, None]
        stood = np.argwhere(place.mask).T + corner[:, None] - centre[:, None]
        near, far = (np.linalg.norm(x, axis=0) for x in (read, stood))
        slack = 0.1
        assert (near <= far + slack).all() if task == "source" else (near >= far - slack).all()
        outside = ~place.mask
        assert np.array_equal(part[:, outside], slopes[(slice(None), *place.box)][:, outside])
    assert np.array_equal(centre_of["source"], centre_of["sink"])


@pytest.mark.parametrize("push", [-0.1, 5 / 2**0.5 * 2])
def test_push_that_does_not_fit_is_refused(push):
    with pytest.raises(ValueError, match="a push of at least 0 and below"):
        push_exponent(5, push)


def test_taper_rises_from_the_border_to_one():
    inside = np.zeros((21, 21), bool)
    inside[:, 3:18] = True
    weight = taper(inside, 4.0)
    assert weight[10, 2] == 0
    np.testing.assert_allclose(weight[10, 3:8], [0.25, 0.5, 0.75, 1, 1])
    assert weight[0, 10] == 0.25
    assert taper(inside, 1000.0).max() == 1


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_intensity_moves_one_way_by_at_most_its_change(seed):
    image, place = np.full((2, 50, 44), 0.5), placed(seed, 50, 44)
    part, drawn = change_intensity(image, place, rng(seed))
    for channel, change in zip(part - 0.5, drawn["change"], strict=True):
        assert (channel * np.sign(change) >= 0).all()
        assert np.abs(channel).max() <= abs(change) + 1e-12
        assert not channel[~place.mask].any()


class TestSources:
    image = np.where(ball(50, 44), 0.3 + 0.4 * rng().random((1, 50, 44)), 0.0)

    def test_patch_comes_from_the_others(self):
        brain = torch.from_numpy(ball(50, 44))[None]
        flat = torch.from_numpy(np.where(ball(50, 44), 0.5, 0.0))[None]
        lined = flat * (0.6 + 0.4 * (torch.arange(44) % 2))
        result = corrupt(flat, brain, "blend", torch.Generator().manual_seed(1), others=[lined])
        assert result.mask.any()
        assert result.params["changes"][0]["source"] == 0
        inner = result.image[result.mask]
        assert inner.std() > 0.01

    def test_without_others_the_image_is_its_own_source(self):
        _, drawn = blend(self.image, placed(1, 50, 44), (), False, rng(1))
        assert drawn["source"] is None
        assert drawn["mapped"] is False

    def test_cross_blend_takes_foreign_images_as_they_are_and_others_with_their_contrast_turned(self):
        image, brain = torch.from_numpy(self.image), torch.from_numpy(ball(50, 44))[None]
        other = torch.from_numpy(self.image[:, ::-1].copy())
        for options, mapped in (({}, True), ({"others": [other]}, True), ({"foreign": [other]}, False)):
            result = corrupt(image, brain, "cross_blend", torch.Generator().manual_seed(2), **options)
            assert {change["mapped"] for change in result.params["changes"]} == {mapped}

    def test_sources_of_any_size(self):
        image, brain = torch.from_numpy(self.image), torch.from_numpy(ball(50, 44))[None]
        for size in ((20, 90), (12, 12)):
            seeded = torch.Generator().manual_seed(3)
            result = corrupt(image, brain, "blend", seeded, others=[torch.rand(1, *size, generator=seeded)])
            assert result.mask.any()

    def test_turned_contrast_reverses_the_order_of_tissue_and_keeps_the_background(self):
        turned = remap_contrast(self.image, rng())
        inside = self.image > 0
        order = np.argsort(self.image[inside])
        assert (np.diff(turned[inside][order]) <= 0).all()
        assert not turned[~inside].any()
        assert turned.max() <= self.image.max()
        assert not remap_contrast(np.zeros((1, 4, 4)), rng()).any()

    def test_source_without_tissue_changes_nothing(self):
        place = placed(1, 50, 44)
        part, drawn = blend(self.image, place, [torch.zeros(1, 50, 44)], False, rng())
        assert np.array_equal(part, self.image[(slice(None), *place.box)])
        assert drawn == {}

    def test_channels_of_a_source_become_those_of_the_image(self):
        three = torch.stack([torch.full((8, 8), v) for v in (0.1, 0.2, 0.3)])
        image = np.full((2, 8, 8), 0.9)
        fewer = match_source(three, image, rng())
        assert fewer.shape == (2, 8, 8)
        assert set(np.unique(np.round(fewer, 5))) < {0.1, 0.2, 0.3}
        more = match_source(three[:1], image, rng())
        np.testing.assert_allclose(more[:, 0, 0], [0.1, 0.9], atol=1e-6)
        elsewhere = match_source(three[:1, :6], image, rng())
        np.testing.assert_allclose(elsewhere[:, 0, 0], [0.1, 0.1], atol=1e-6)


def test_image_without_structure_stays_the_same_under_a_blend():
    image = torch.full((1, 30, 30), 0.5)
    result = corrupt(
        image, torch.ones(1, 30, 30, dtype=torch.bool), "blend", torch.Generator().manual_seed(0)
    )
    assert torch.equal(result.image, image)
    assert not result.mask.any()
