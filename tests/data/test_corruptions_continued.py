"""Anomalies of a slice in the slices around it: cuts of one body, and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.corruptions import continue_anomalies, corrupt_batch
from diffad.data.corruptions.continued import draw_weights
from diffad.data.toy import draw_toy_slice
from diffad.types import generator_for

SIZE = 40


def draw_items(count=4):
    pairs = [draw_toy_slice(SIZE, k) for k in range(count)]
    return torch.stack([p[0] for p in pairs]) * 0.8, torch.stack([p[1] for p in pairs]) > 0


def draw_case(task, count=4):
    """Return images, what became of them, where they changed, and four neighbours of each."""
    image, brain = draw_items(count)
    generators = [generator_for(3, k) for k in range(count)]
    batch = corrupt_batch(image, brain, [task], 1.0, generators)
    scale = torch.tensor([0.9, 0.95, 1.0, 1.05])[:, None, None]
    return image, batch.image, batch.mask, (image * scale).clamp(0, 1)


@pytest.mark.parametrize("task", ["fluid", "spots", "mass", "walk", "intensity", "sink", "blend"])
def test_anomalies_go_on_where_they_are_and_nowhere_else(task):
    image, corrupted, mask, neighbours = draw_case(task)
    result = continue_anomalies(image, corrupted, mask, neighbours, [generator_for(0, k) for k in range(4)])
    assert result.shape == neighbours.shape
    assert result.isfinite().all()
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    outside = (~mask).expand_as(neighbours) | (neighbours == 0)
    assert torch.equal(result[outside], neighbours[outside])
    # what shows is a change of the same sign
    change, cause = result - neighbours, (corrupted - image).expand_as(neighbours)
    assert (change * cause >= -1e-6).all()
    assert change.abs().amax() > 0.01


def test_items_follow_from_their_own_generator():
    image, corrupted, mask, neighbours = draw_case("fluid")
    together = continue_anomalies(image, corrupted, mask, neighbours, [generator_for(0, k) for k in range(4)])
    for k in range(4):
        one = (v[k : k + 1] for v in (image, corrupted, mask, neighbours))
        assert torch.equal(continue_anomalies(*one, [generator_for(0, k)])[0], together[k])


def test_unchanged_items_keep_their_neighbours_and_generators_their_state():
    """What is drawn for a slice after that, its level and its noise, is what it was without neighbours."""
    image, corrupted, mask, neighbours = draw_case("fluid")
    generators = [generator_for(0, k) for k in range(4)]
    states = [g.get_state() for g in generators]
    none = continue_anomalies(image, image, torch.zeros_like(mask), neighbours, generators)
    assert torch.equal(none, neighbours)
    some = continue_anomalies(image, corrupted, mask, neighbours, generators)
    assert not torch.equal(some, neighbours)
    for generator, state in zip(generators, states, strict=True):
        assert torch.equal(generator.get_state(), state)


def disc(radius):
    axis = np.arange(61) - 30
    return axis[:, None] ** 2 + axis**2 <= radius**2


@given(radius=st.integers(1, 20), count=st.sampled_from([2, 4, 6]), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_weights_are_cuts_of_a_body(radius, count, seed):
    """They lie in the shape, in [0, 1], and fade away from the slice on each side."""
    mask = disc(radius)
    weights = draw_weights(mask, count, np.random.default_rng(seed)).numpy()
    assert weights.shape == (count, 61, 61)
    assert 0 <= weights.min() <= weights.max() <= 1
    assert not weights[:, ~mask].any()
    below, above = weights[: count // 2][::-1], weights[count // 2 :]
    for side in (below, above):
        sums = side.sum((1, 2))
        peak = int(sums.argmax())
        assert (np.diff(sums[peak:]) <= 1e-9).all()


def test_large_anomalies_reach_further_than_small_ones():
    shares = []
    for radius in (2, 15):
        draws = [draw_weights(disc(radius), 2, np.random.default_rng(k)) for k in range(200)]
        shares.append(np.mean([float(w.sum()) / disc(radius).sum() / 2 for w in draws]))
    assert shares[0] < 0.75 < 0.9 < shares[1]
    # on the side away from its middle a small one ends at once, every now and then
    assert any(float(w.sum((1, 2)).min()) == 0 for w in draws_of(2))


def draws_of(radius):
    return [draw_weights(disc(radius), 2, np.random.default_rng(k)) for k in range(50)]
