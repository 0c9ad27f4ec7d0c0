"""Golden facts of REFLECT's corruption and DISYRE's strengths, in pixels."""

import numpy as np
import pytest
import torch

from diffad.data.corruptions import corrupt, corrupt_batch
from diffad.data.corruptions.disyre import draw_kinds
from diffad.data.corruptions.reflect import (
    OBJECTS,
    blend_variance,
    draw_coloured,
    draw_texture,
    paint_reflect,
)
from diffad.data.corruptions.walk import MOVES, draw_walk
from tests.data.test_corruptions import generator, phantom


def rng(seed=0):
    return np.random.default_rng(seed)


def test_number_of_blobs_has_the_published_odds():
    """Fact 1."""
    assert OBJECTS == (12 / 25, 6 / 25, 4 / 25, 3 / 25)
    assert sum(OBJECTS) == pytest.approx(1)
    assert MOVES == (200, 120, 100, 80)
    image, draws = rng(1).random((1, 32, 32)), rng(2)
    brain = np.ones((32, 32), bool)
    counts = [len(paint_reflect(image, brain, draws)[1]["weights"]) for _ in range(1500)]
    np.testing.assert_allclose(np.bincount(counts, minlength=5)[1:] / 1500, OBJECTS, atol=0.04)


def test_length_of_walks_has_the_published_mean():
    """Fact 1; in a brain without an edge in reach, each move but none at all leaves a point."""
    brain, draws = np.ones((4000, 4000), bool), rng(1)
    lengths = [len(draw_walk(brain, 200, draws)) - 1 for _ in range(1500)]
    assert np.mean(lengths) == pytest.approx(0.3636 * 200, rel=0.06)


def test_one_slice_in_ten_stays_as_it_is():
    """Fact 1."""
    images = torch.rand(300, 1, 16, 16, generator=generator(0))
    brains = torch.ones_like(images, dtype=torch.bool)
    batch = corrupt_batch(images, brains, ("reflect",), 0.9, [generator(i) for i in range(300)])
    assert 0.05 < float((batch.label == 0).float().mean()) < 0.16
    assert (batch.strength[batch.label == 0] == 0).all()
    assert (batch.strength[batch.label == 1] >= 0.2).all()


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.9])
def test_blend_keeps_the_variance(weight):
    """Fact 2."""
    z, r = rng(1).normal(size=(2, 200_000))
    assert blend_variance(z, r, weight).var() == pytest.approx(1, abs=0.02)
    assert np.array_equal(blend_variance(z, r, 0.0), z)
    assert np.array_equal(blend_variance(z, r, 1.0), r)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_coloured_noise_has_variance_one_and_correlates_by_its_share(share):
    """Fact 3."""
    draws = rng(1)
    fields = np.stack([draw_coloured((2, 3, 3), share, draws) for _ in range(20_000)])
    np.testing.assert_allclose(fields.var(0), 1, atol=0.05)
    assert np.mean(fields[:, 0, 0, 0] * fields[:, 0, 2, 1]) == pytest.approx(share, abs=0.03)
    assert np.mean(fields[:, 0, 0, 0] * fields[:, 1, 0, 0]) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("size", [(2, 40, 36), (1, 14, 15, 16)])
def test_textures_have_mean_0_and_variance_1(size):
    for seed in range(6):
        texture = draw_texture(size, rng(seed))
        axes = tuple(range(1, texture.ndim))
        np.testing.assert_allclose(texture.mean(axes), 0, atol=1e-9)
        np.testing.assert_allclose(texture.var(axes), 1, atol=1e-6)


@pytest.mark.parametrize("task", ["disyre", "fpi", "foreign", "reflect"])
@pytest.mark.parametrize("size", [(40, 36), (20, 18, 16)])
def test_full_damage_has_strength_one_in_the_same_place(task, size):
    image, brain = phantom(*size)
    pool = [phantom(*size, seed=5)[0]]
    drawn, full = (
        corrupt_batch(image[None], brain[None], (task,), 1, [generator(3)], pool, full=full)
        for full in (False, True)
    )
    assert full.strength.tolist() == [1]
    assert 0 < float(drawn.strength) < 1
    assert torch.equal(full.image[~brain[None]], image[None][~brain[None]])
    assert float(full.severity) > 0


@pytest.mark.parametrize("task", ["disyre", "fpi", "reflect", "mass"])
def test_strength_is_what_the_changes_tell_or_else_the_largest_change(task):
    image, brain = phantom(40, 36)
    params = corrupt(image, brain, task, generator(2), [phantom(40, 36, seed=4)[0]]).params
    (change,) = params["changes"]
    told = [change[key] for key in ("alpha_texture", "alpha_bias") if key in change]
    told += list(change.get("weights", ()))
    assert params["strength"] == max(told or [params["severity"]])


def test_kinds_of_tissue_take_part_as_often_as_published():
    """A kind with n voxels of n in the shape: n / (n + 1000), and always if none was drawn."""
    image = np.where(np.arange(64)[:, None] < 32, 0.2, 0.8)[None] * np.ones((1, 64, 64))
    tissue, inside, draws = image[:, ::2, ::2].reshape(1, -1), np.ones((64, 64), bool), rng(1)
    shares = [draw_kinds(image, tissue, inside, draws)[0, [4, -4], 32] for _ in range(1500)]
    p = 2048 / (4096 + 1000)
    expected = p / 1 + (1 - p) ** 2  # drawn, or none was
    np.testing.assert_allclose(np.mean(np.array(shares) > 0.5, 0), expected, atol=0.05)
