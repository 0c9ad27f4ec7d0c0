"""Lesions that are painted into training slices: fluid, spots, mass, disyre, foreign, walk."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.corruptions import ANY, LESIONS, SETS, TASKS, corrupt, corrupt_batch, expand_tasks
from diffad.data.corruptions.batch import draw_task
from diffad.data.corruptions.disyre import add_bias, match_range, mix_patch
from diffad.data.corruptions.fluid import advect, curl, draw_flow
from diffad.data.corruptions.paint import Paint, paint_tissue
from diffad.data.corruptions.walk import draw_walk, fill_walk
from tests.data.test_corruptions import generator, phantom

SIZES = [(48, 40), (20, 22, 18)]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", LESIONS)
class TestEveryLesion:
    def test_changes_the_brain_and_nothing_else(self, task, size):
        image, brain = phantom(*size)
        before, state = image.clone(), torch.get_rng_state()
        result = corrupt(image, brain, task, generator(1), [phantom(*size, seed=2)[0]], keep=False)
        assert result.target is image
        assert torch.equal(image, before)
        assert torch.equal(torch.get_rng_state(), state)
        assert result.mask.any()
        assert not (result.mask & ~brain).any()
        assert torch.equal(result.image[~result.mask], image[~result.mask])
        moved = (result.image - image).abs()
        assert (moved[result.mask] > 0.9e-3).all()
        assert 0 < result.params["severity"] == pytest.approx(float(moved.max()))

    def test_same_seed_repeats_and_another_seed_differs(self, task, size):
        image, brain = phantom(*size, channels=2)
        a, b, c = (corrupt(image, brain, task, generator(seed)) for seed in (3, 3, 4))
        assert torch.equal(a.image, b.image)
        assert a.params == b.params
        assert not torch.equal(a.image, c.image)

    def test_item_alone_equals_item_in_batch(self, task, size):
        pairs = [phantom(*size, seed=i) for i in range(3)]
        images, brains = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        pool = [phantom(*size, seed=9)[0]]
        whole = corrupt_batch(images, brains, (task,), 1, [generator(i) for i in range(3)], pool)
        alone = corrupt_batch(images[2:], brains[2:], (task,), 1, [generator(2)], pool)
        assert torch.equal(alone.image[0], whole.image[2])
        assert torch.equal(alone.severity[0], whole.severity[2])
        assert torch.equal(whole.severity, (whole.image - images).abs().flatten(1).amax(1))


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**40), st.sampled_from(LESIONS), st.integers(8, 40), st.integers(8, 40))
def test_any_seed_and_size_keeps_the_promises(seed, task, height, width):
    image, brain = phantom(height, width, seed=seed % 7)
    result = corrupt(image, brain, task, generator(seed), [phantom(20, 30)[0]])
    assert result.mask.any()
    assert not (result.mask & ~brain).any()
    assert torch.equal(result.image[~result.mask], image[~result.mask])
    assert result.image.min() >= 0
    assert result.image.max() <= 1


@pytest.mark.parametrize("size", [(40, 33), (24, 27, 22)])
class TestFluid:
    def test_flow_neither_swells_nor_shrinks(self, size):
        flow = draw_flow(size, 6, rng(1))
        swelling = sum(np.gradient(part, axis=axis) for axis, part in enumerate(flow))
        assert np.abs(swelling).max() < 1e-12
        assert np.sqrt(np.square(flow).sum(0)).mean() == pytest.approx(1)

    def test_no_travel_returns_the_shape(self, size):
        shape = rng(2).random(size)
        assert np.array_equal(advect(shape, draw_flow(size, 6, rng(1)), 0), shape)

    @pytest.mark.parametrize("travel", [1.0, 4.0])
    def test_range_and_volume_stay(self, size, travel):
        axes = [np.linspace(-1, 1, n) for n in size]
        distance = sum(np.square(u) for u in np.meshgrid(*axes, indexing="ij"))
        shape = np.exp(-6 * distance)
        moved = advect(shape, draw_flow(size, 8, rng(4)), travel)
        assert shape.min() <= moved.min()
        assert moved.max() <= shape.max()
        assert not np.allclose(moved, shape, atol=0.02)
        assert moved.sum() == pytest.approx(shape.sum(), rel=0.06)


def test_a_turning_flow_turns_a_shape():
    x, y = np.meshgrid(np.arange(41.0) - 20, np.arange(41.0) - 20, indexing="ij")
    flow = curl((x**2 + y**2)[None] / 2)
    bump = np.exp(-((x - 8) ** 2 + y**2) / 8)
    quarter = advect(bump, flow, np.pi / 2)
    np.testing.assert_allclose(quarter, np.exp(-(x**2 + (y - 8) ** 2) / 8), atol=0.05)


def test_paint_leaves_voxels_without_weight_and_shifts_by_the_mean():
    image, weight = rng(1).random((2, 30, 30)), np.zeros((30, 30))
    weight[5:20, 5:20] = 1
    look = Paint(np.array([-0.5, 0.5]), 1.0, 0.0, 1.0)
    result = paint_tissue(image, weight, look, rng())
    assert np.array_equal(result[:, weight == 0], image[:, weight == 0])
    mean = image[:, weight > 0].mean(1)
    np.testing.assert_allclose(result[0, weight > 0], mean[0] / 2)
    np.testing.assert_allclose(result[1, weight > 0], mean[1] + 0.5 * (1 - mean[1]))


class TestDisyre:
    """Golden facts 4 and 5 of the paper's code."""

    image, whole = np.full((1, 9, 9), 0.5), np.ones((9, 9))

    def test_bias_alone(self):
        result = add_bias(self.image, self.whole, np.ones((1, 9, 9)), np.array([0.3]))
        np.testing.assert_allclose(result, 0.8)
        assert add_bias(self.image, self.whole, np.ones((1, 9, 9)), np.array([-0.9])).min() == 0

    def test_range_is_matched_inside_the_shape(self):
        image, patch = rng(1).uniform(0.2, 0.6, (2, 9, 9)), rng(2).random((2, 9, 9))
        inside = self.whole > 0
        inside[:3] = False
        values = match_range(patch, image, inside)[:, inside]
        np.testing.assert_allclose(values.min(1), image[:, inside].min(1))
        np.testing.assert_allclose(values.max(1), image[:, inside].max(1), atol=2e-3)

    def test_nothing_without_strength_or_shape(self):
        image, patch = rng(1).random((1, 9, 9)), rng(2).random((1, 9, 9))
        assert np.array_equal(mix_patch(image, patch, self.whole, 0), image)
        assert np.array_equal(mix_patch(image, patch, 0 * self.whole, 1), image)
        assert np.array_equal(add_bias(image, 0 * self.whole, patch, np.array([1.0])), image)

    def test_small_sources_of_other_sizes_do(self):
        image, brain = phantom(40, 36)
        for task in ("disyre", "foreign"):
            assert corrupt(image, brain, task, generator(2), [phantom(6, 50)[0]]).mask.any()

    def test_params_tell_both_strengths(self):
        image, brain = phantom(40, 36)
        (change,) = corrupt(image, brain, "disyre", generator(2)).params["changes"]
        assert 0 <= change["alpha_texture"] <= 1
        assert 0 <= change["alpha_bias"] <= 1


class TestWalk:
    def test_stays_in_the_brain_and_moves_by_one_cell(self):
        brain = phantom(64, 64)[1][0].numpy()
        points = draw_walk(brain, 200, rng(3))
        assert brain[tuple(points.round().astype(int).T)].all()
        assert np.abs(np.diff(points, axis=0)).max() == 2

    def test_polygon_has_holes_where_it_crosses_itself(self):
        square = np.array([[2, 2], [2, 12], [12, 12], [12, 2]], float)
        assert fill_walk(square, (16, 16)).sum() == 121
        twice = np.concatenate([square, square[:1], (square - 7) * 0.4 + 7])
        assert 60 < fill_walk(twice, (16, 16)).sum() < 121
        assert fill_walk(square[:1], (16, 16)).sum() == 1


class TestNames:
    def test_sets_stand_for_their_tasks(self):
        assert (*TASKS, *LESIONS) == ANY == expand_tasks(["any"])
        assert expand_tasks(["brain", "sink"]) == (*SETS["brain"], "sink")
        assert set(SETS["brain"]) <= set(ANY)

    def test_what_is_named_twice_is_drawn_twice_as_often(self):
        draws = rng(0)
        drawn = [draw_task(expand_tasks(["walk", "walk", "sink"]), 1, draws) for _ in range(3000)]
        assert drawn.count("walk") / 3000 == pytest.approx(2 / 3, abs=0.03)

    def test_unknown_name_is_told_the_known_ones(self):
        known = r"source, intensity, fluid.*walk, cells, coarse, published, brain, any, got 'al'"
        with pytest.raises(ValueError, match=known):
            expand_tasks(["al"])
