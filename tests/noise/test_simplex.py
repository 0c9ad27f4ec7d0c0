"""Options and modes of simplex noise."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from diffad.noise._compile import run_tasks
from diffad.noise.simplex import SimplexNoise
from diffad.registry import NOISES


def test_keeps_its_options_as_attributes():
    noise = NOISES.build("simplex", octaves=3, persistence=0.5, feature_size=32, reference=True)
    assert (noise.octaves, noise.persistence, noise.feature_size, noise.reference) == (3, 0.5, 32, True)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("octaves", 0, "octaves to be a whole number of at least 1, got 0"),
        ("octaves", 2.5, "octaves to be a whole number of at least 1, got 2.5"),
        ("persistence", 0, r"persistence in \(0, 1\], got 0"),
        ("persistence", 1.1, r"persistence in \(0, 1\], got 1.1"),
        ("persistence", float("nan"), r"persistence in \(0, 1\], got nan"),
        ("feature_size", 0, "positive feature_size in voxels, got 0"),
        ("feature_size", float("inf"), "positive feature_size in voxels, got inf"),
    ],
)
def test_names_the_option_that_is_out_of_range(option, value, message):
    with pytest.raises(ValueError, match=message):
        SimplexNoise(**{option: value})


@pytest.mark.parametrize(
    ("octaves", "persistence", "size"), [(1, 0.8, 8), (4, 1.0, 16), (6, 0.3, 5.5), (3, 0.8, 2)]
)
def test_has_unit_variance_for_any_options(octaves, persistence, size, generators):
    noise = SimplexNoise(octaves, persistence, size)
    z = noise(torch.zeros(100, 1, 48, 40), generator=generators(*range(100)))
    assert z.square().mean() == pytest.approx(1, abs=0.06)


def test_reference_mode_keeps_items_independent_of_the_batch(generators):
    noise, t = SimplexNoise(reference=True), torch.tensor([3, 200, 999])
    batch = noise(torch.zeros(3, 2, 20, 24), t, generator=generators(0, 1, 2))
    for i in range(3):
        assert torch.equal(noise(torch.zeros(1, 2, 20, 24), t[i], generator=generators(i))[0], batch[i])


def test_reference_mode_depends_on_the_level_and_the_default_does_not(generators):
    like = torch.zeros(1, 1, 16, 16)
    draw = {
        flag: [SimplexNoise(reference=flag)(like, torch.tensor(t), generator=generators(0)) for t in (1, 50)]
        for flag in (True, False)
    }
    assert not torch.equal(*draw[True])
    assert torch.equal(*draw[False])


def test_reference_mode_names_levels_of_a_wrong_shape(generators):
    with pytest.raises(ValueError, match=r"levels `t` of shape \(\) or \(2,\), got \(3,\)"):
        SimplexNoise(reference=True)(torch.zeros(2, 1, 8, 8), torch.arange(3), generator=generators(0, 1))


def test_larger_image_continues_the_smaller(generators):
    small = SimplexNoise()(torch.zeros(1, 1, 30, 40), generator=generators(4))
    large = SimplexNoise()(torch.zeros(1, 1, 90, 100), generator=generators(4))
    torch.testing.assert_close(large[..., :30, :40], small, atol=1e-6, rtol=0)


def test_volume_is_continuous_along_every_axis(generators):
    z = SimplexNoise()(torch.zeros(30, 1, 24, 24, 24), generator=generators(*range(30)))
    for axis in (2, 3, 4):
        jump = z.diff(dim=axis).square().mean() / 2
        # The published correlation at a distance of one voxel is .963.
        assert jump == pytest.approx(1 - 0.963, abs=0.01)


@pytest.mark.parametrize("reference", [False, True])
def test_number_of_threads_changes_nothing(reference, generators):
    noise, like, before = (
        SimplexNoise(reference=reference),
        torch.zeros(3, 1, 130, 20),
        torch.get_num_threads(),
    )
    try:
        draws = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            draws.append(noise(like, generator=generators(0, 1, 2)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*draws)


@pytest.mark.parametrize("threads", [1, 3])
def test_tasks_run_on_as_many_threads_as_torch_does(threads):
    before, seen = torch.get_num_threads(), {}
    together = threading.Barrier(threads, timeout=20)

    def task(index):
        together.wait()  # one thread alone would wait here for ever
        seen[index] = threading.get_ident()

    try:
        torch.set_num_threads(threads)
        run_tasks(task, 2 * threads)
    finally:
        torch.set_num_threads(before)
    assert sorted(seen) == list(range(2 * threads))
    assert len(set(seen.values())) == threads
    assert (threading.get_ident() in seen.values()) == (threads == 1)


def test_callers_in_several_threads_get_what_they_get_alone(generators):
    def draw(seed):
        return SimplexNoise()(torch.zeros(1, 1, 64, 64), generator=generators(seed))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(draw, range(12)))
    assert all(torch.equal(z, draw(seed)) for seed, z in enumerate(results))


@pytest.mark.slow
def test_works_where_no_compiler_cache_can_be_written():
    code = (
        "import torch; from diffad.noise.simplex import SimplexNoise as Noise;"
        "g, like = torch.Generator().manual_seed(0), torch.zeros(1, 1, 4, 4);"
        "print([Noise(octaves=1, reference=r)(like, generator=g).shape for r in (0, 1)])"
    )
    environment = os.environ | {
        "NUMBA_CACHE_DIR": os.devnull + "/none",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("torch.Size([1, 1, 4, 4])") == 2
