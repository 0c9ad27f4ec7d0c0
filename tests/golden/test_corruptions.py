"""The published numbers of the corruptions of Many tasks make light work (Baugh et al., 2023)."""

from itertools import combinations

import numpy as np
import pytest
import torch

from diffad.data.corruptions import FOLDS, TASKS, corrupt, corrupt_batch, split_tasks
from diffad.data.corruptions.deform import draw_push, push_exponent, read_distance
from diffad.data.corruptions.intensity import draw_change
from diffad.data.corruptions.painted import draw_count
from diffad.data.corruptions.perlin import draw_fractal, draw_perlin
from diffad.data.corruptions.poisson import poisson_blend
from diffad.data.corruptions.shape import draw_side_fractions

MANY = 40_000


def rng(seed=0):
    return np.random.default_rng(seed)


def laplacian(x):
    """Sum of the second differences at the inner voxels of (*S)."""
    inner, n = (slice(1, -1),) * x.ndim, x.ndim
    return sum(np.roll(x, step, axis)[inner] for axis in range(n) for step in (1, -1)) - 2 * n * x[inner]


@pytest.mark.parametrize(
    ("edge", "push", "expected"),
    [(10, 1, 1.5076930814), (10, 3, 3.6679908945), (20, 5, 2.8928576428)],
)
def test_factor_has_the_published_values(edge, push, expected):
    assert push_exponent(edge, push) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("edge", "push"), [(10, 1), (10, 3), (20, 5), (7.3, 0.4)])
def test_curves_pass_through_the_wanted_points(edge, push):
    low, high = edge / 2 - push / 2**0.5, edge / 2 + push / 2**0.5
    f = push_exponent(edge, push)
    assert read_distance(high, edge, f, "source") == pytest.approx(low)
    assert read_distance(low, edge, f, "sink") == pytest.approx(high)


@pytest.mark.parametrize("task", ["sink", "source"])
def test_centre_and_edge_stay_where_they_are(task):
    found = read_distance(np.array([0.0, 12.0]), np.array([12.0, 12.0]), 2.5, task)
    np.testing.assert_allclose(found, [0, 12], atol=1e-12)


def test_source_reads_nearer_to_the_centre_and_sink_farther():
    d = np.linspace(0, 12, 49)
    source, sink = (
        read_distance(d, np.full_like(d, 12), push_exponent(12, 2), task) for task in ("source", "sink")
    )
    assert (source[1:-1] < d[1:-1]).all()
    assert (sink[1:-1] > d[1:-1]).all()
    # one is the other, seen from the edge
    np.testing.assert_allclose(sink, 12 - source[::-1], atol=1e-12)


def test_no_push_is_no_change():
    d = np.linspace(0, 9, 10)
    assert push_exponent(9, 0) == 1
    assert push_exponent(9, 1e-6) == pytest.approx(1, abs=1e-6)
    for task in ("sink", "source"):
        np.testing.assert_allclose(
            read_distance(d, np.full_like(d, 9), push_exponent(9, 0), task), d, atol=1e-12
        )


@pytest.mark.parametrize(
    ("edge", "low", "high"),
    [
        (5, 0.5, 0.9 * 5 / 2**0.5),
        (20, 2**0.5, 5),
        (0.7, 0.9 * 0.7 / 2**0.5, 0.9 * 0.7 / 2**0.5),
        (80, 8 / 2**0.5, 8 / 2**0.5),
    ],
)
def test_push_fills_its_range_and_falls_back_where_there_is_none(edge, low, high):
    pushes = [draw_push(edge, rng(seed)) for seed in range(400)]
    assert min(pushes) == pytest.approx(low, abs=0.02 * (high - low) + 1e-12)
    assert max(pushes) == pytest.approx(high, abs=0.02 * (high - low) + 1e-12)


@pytest.mark.parametrize("size", [(14, 17), (8, 9, 10)])
class TestPoisson:
    def test_mixed_gradients_of_a_constant_source_keep_the_target(self, size):
        target = rng().random((2, *size))
        blended = poisson_blend(target, np.full_like(target, 0.4), np.ones(size, bool))
        assert np.abs(blended - target).max() <= 4e-16

    def test_gradients_of_a_constant_source_give_a_harmonic_interior_within_the_same_border(self, size):
        target = rng(1).random((1, *size))
        blended = poisson_blend(target, np.full_like(target, 0.4), np.ones(size, bool), mix_gradients=False)
        border = np.pad(np.zeros([n - 2 for n in size], bool), 1, constant_values=True)
        assert np.array_equal(blended[:, border], target[:, border])
        assert np.abs(laplacian(blended[0])).max() < 1e-13
        assert np.abs(blended - target).max() > 0.1

    def test_source_that_is_the_target_on_the_border_is_copied(self, size):
        target, source = rng(2).random((2, 1, *size))
        inner = np.pad(np.ones([n - 2 for n in size], bool), 1)
        source = np.where(inner, source, target)
        blended = poisson_blend(target, source, np.ones(size, bool), mix_gradients=False)
        np.testing.assert_allclose(blended, source, atol=1e-12)


def test_box_without_inner_voxels_has_nothing_to_solve():
    target = rng().random((1, 2, 9))
    assert np.array_equal(
        poisson_blend(target, 1 - target, np.ones((2, 9), bool), mix_gradients=False), target
    )


@pytest.mark.parametrize(("size", "intervals"), [((24, 30), (4, 5)), ((12, 12, 8), (3, 2, 2))])
def test_perlin_is_zero_on_the_lattice_only(size, intervals):
    noise = draw_perlin(size, np.array(intervals, dtype=float), rng())
    on = noise[tuple(slice(None, None, n // k) for n, k in zip(size, intervals, strict=True))]
    assert on.shape == intervals
    assert np.abs(on).max() < 1e-12
    assert np.abs(noise).max() > 0.2


@pytest.mark.parametrize("size", [(20, 33), (9, 10, 11), (2, 3)])
def test_fractal_runs_from_zero_to_one(size):
    for seed in range(5):
        noise = draw_fractal(size, rng(seed))
        assert noise.shape == size
        assert noise.min() == 0
        assert noise.max() == 1


def test_changes_of_intensity_have_the_published_sizes():
    draws = rng()
    sizes = np.array([draw_change(2, draws) for _ in range(MANY)])
    assert np.array_equal(np.abs(sizes[:, 0]), np.abs(sizes[:, 1]))
    size = np.abs(sizes[:, 0])
    assert size.mean() == pytest.approx(0.35, abs=0.005)
    assert np.median(size) == pytest.approx(0.318, abs=0.005)
    assert np.quantile(size, 0.95) == pytest.approx(0.68, abs=0.01)
    assert (sizes > 0).mean(0) == pytest.approx([0.5, 0.5], abs=0.01)
    assert (sizes[:, 0] * sizes[:, 1] > 0).mean() == pytest.approx(0.5, abs=0.01)


def test_sides_have_the_published_fractions():
    sides = draw_side_fractions(2 * MANY, rng())
    assert sides.mean() == pytest.approx(0.230, abs=0.003)
    assert np.median(sides) == pytest.approx(0.198, abs=0.003)
    assert (sides < 0.06).mean() == pytest.approx(0.037, abs=0.003)
    assert (sides > 0.8).mean() == pytest.approx(0.004, abs=0.0015)


def test_number_of_changes_is_halved_three_times():
    draws = rng()
    counts = np.bincount([draw_count(draws) for _ in range(MANY)], minlength=5) / MANY
    np.testing.assert_allclose(counts, [0, 0.5, 0.25, 0.125, 0.125], atol=0.01)


def test_one_item_in_five_stays_as_it_came():
    count = 400
    images = torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    generators = [torch.Generator().manual_seed(i) for i in range(count)]
    batch = corrupt_batch(images, torch.ones_like(images, dtype=torch.bool), ("intensity",), 0.8, generators)
    same = (batch.image == images).flatten(1).all(1)
    assert torch.equal(same, batch.label == 0)
    assert 0.14 < same.float().mean() < 0.26


def test_folds_are_the_published_table():
    ids = [(0, 1, 2), (0, 1, 3), (0, 1, 4), (0, 2, 3), (0, 2, 4)]
    ids += [(0, 3, 4), (1, 2, 3), (1, 2, 4), (1, 3, 4), (2, 3, 4)]
    assert TASKS == ("blend", "cross_blend", "sink", "source", "intensity")
    assert FOLDS == tuple(tuple(TASKS[i] for i in three) for three in ids) == tuple(combinations(TASKS, 3))
    for task in TASKS:
        assert sum(task in three for three in FOLDS) == 6


@pytest.mark.parametrize("k", range(10))
def test_fold_validates_on_the_tasks_it_does_not_train_on(k):
    train, validation = split_tasks(k)
    assert train == FOLDS[k]
    assert len(validation) == 2
    assert set(train) | set(validation) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_range_is_that_of_all_voxels_and_not_of_a_column(task):
    # each column of the brain is constant: a range for each column would undo every change
    column = 0.5 + 0.3 * torch.sin(torch.arange(40) / 2)
    image = column.expand(1, 40, 40).clone()
    brain = torch.zeros(1, 40, 40, dtype=torch.bool)
    brain[:, 4:36, 4:36] = True
    found = corrupt(image, brain, task, torch.Generator().manual_seed(3), others=[image.transpose(1, 2)])
    assert (found.image - image).abs().max() > 0.02
