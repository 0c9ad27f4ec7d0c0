"""Simplex noise in 2, 3 and 4 coordinates: axes, channels and drawn octaves."""

import pytest
import torch

from diffad.noise.octaves import PUBLISHED_SETS, OctaveSet
from diffad.noise.simplex import SimplexNoise
from diffad.registry import NOISES


def correlation(a, b):
    return ((a * b).mean() / (a.square().mean() * b.square().mean()).sqrt()).item()


@pytest.mark.parametrize("options", [{}, {"dims": 3}, {"axis": "random", "correlated": False}], ids=str)
def test_default_field_is_the_one_that_shipped_models_were_trained_with(options, generators):
    noise = NOISES.build("simplex", octaves=6, persistence=0.8, feature_size=64, **options)
    z = noise(torch.zeros(2, 2, 40, 50), generator=generators(0, 1))
    volume = noise(torch.zeros(1, 1, 6, 20, 30), generator=generators(3))
    values = [z[0, 0, 0, 0], z[1, 1, 7, 11], z[1, 0, 39, 49], volume[0, 0, 5, 19, 29]]
    expected = [1.2688018083572388, -0.9198353886604309, 0.4337705671787262, -1.4228979349136353]
    # As near as processors agree that fuse products and sums differently.
    assert torch.stack(values).tolist() == pytest.approx(expected, abs=1e-6)
    assert z.double().sum().item() == pytest.approx(328.1339275, abs=1e-3)
    assert noise.std == 0.5048178410883393


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"dims": 2}, (500, 1, 24, 20)),
        ({"dims": 4}, (500, 1, 24, 20)),
        ({"dims": 4}, (250, 1, 6, 12, 10)),
        ({"dims": 4, "correlated": True}, (300, 2, 24, 20)),
        ({"dims": 4, "correlated": True}, (250, 2, 6, 12, 10)),
        ({"dims": 3, "axis": "level"}, (500, 1, 24, 20)),
        ({"sets": "published"}, (500, 1, 24, 20)),
    ],
    ids=str,
)
def test_has_unit_variance_at_every_voxel(options, shape, generators):
    noise = SimplexNoise(**options)
    z = noise(torch.zeros(shape), torch.tensor(7), generator=generators(*range(shape[0])))
    variance = z.square().mean(dim=(0, 1))
    # The standard error of a variance over n normal draws is sqrt(2 / n), .063 to .09 here.
    assert variance.mean() == pytest.approx(1, abs=0.12)
    assert variance.min() > 0.65
    assert variance.max() < 1.4
    assert z.mean().abs() < 0.12


@pytest.mark.parametrize("options", [{"dims": 2}, {"dims": 4}, {"dims": 4, "correlated": True}], ids=str)
@pytest.mark.parametrize("shape", [(3, 2, 17, 31), (3, 1, 1, 9)], ids=str)
def test_item_alone_equals_item_in_batch(options, shape, generators):
    noise, levels = SimplexNoise(**options, axis="level" if options["dims"] == 4 else "random"), (0, 9, 200)
    batch = noise(torch.zeros(shape), torch.tensor(levels), generator=generators(0, 1, 2))
    for i, level in enumerate(levels):
        alone = noise(torch.zeros(1, *shape[1:]), torch.tensor(level), generator=generators(i))
        assert torch.equal(alone[0], batch[i])


@pytest.mark.parametrize("options", [{}, {"dims": 4}, {"dims": 4, "correlated": True}], ids=str)
def test_volume_one_voxel_thick_is_the_first_plane_of_a_thicker_one(options, generators):
    noise = SimplexNoise(**options)
    thin = noise(torch.zeros(2, 2, 1, 12, 17), generator=generators(0, 1))
    thick = noise(torch.zeros(2, 2, 5, 12, 17), generator=generators(0, 1))
    assert torch.equal(thin, thick[:, :, :1])


@pytest.mark.parametrize("dims", [3, 4])
def test_volume_is_as_coherent_across_slices_as_within_them(dims, generators):
    z = SimplexNoise(dims=dims)(torch.zeros(60, 1, 24, 24, 24), generator=generators(*range(60)))
    for lag in (1, 4, 8):
        across, in_plane = (
            ((z[..., :-lag] - z[..., lag:]).square().mean()).item() for z in (z.transpose(2, 4), z)
        )
        assert across == pytest.approx(in_plane, rel=0.1)


def test_level_axis_gives_similar_fields_at_close_levels_and_others_far_off(generators):
    noise, like = SimplexNoise(axis="level"), torch.zeros(30, 1, 64, 64)
    near, level, far = (
        noise(like, torch.tensor(t), generator=generators(*range(30))) for t in (99, 100, 400)
    )
    # The published correlation of planes one level apart is .96.
    assert correlation(level, near) == pytest.approx(0.963, abs=0.01)
    assert abs(correlation(level, far)) < 0.15


def test_axes_take_levels_by_item(generators):
    noise, like = SimplexNoise(axis="level", dims=4), torch.zeros(2, 1, 8, 8)
    pair = noise(like, torch.tensor([3, 50]), generator=generators(0, 1))
    assert torch.equal(pair[1:], noise(like[:1], torch.tensor(50), generator=generators(1)))


@pytest.mark.parametrize("shape", [(40, 3, 48, 48), (20, 3, 3, 40, 40)], ids=str)
def test_correlated_channels_are_planes_of_one_field(shape, generators):
    options = {"octaves": 6, "persistence": 0.9, "dims": 4}
    like, seeds = torch.zeros(shape), generators(*range(shape[0]))
    z = SimplexNoise(correlated=True, **options)(like, generator=seeds)
    # Published for these octaves: .926 and .824.
    assert correlation(z[:, 0], z[:, 1]) == pytest.approx(0.926, abs=0.02)
    assert correlation(z[:, 0], z[:, 2]) == pytest.approx(0.824, abs=0.04)
    other = SimplexNoise(**options)(like, generator=generators(*range(shape[0])))
    assert abs(correlation(other[:, 0], other[:, 1])) < 0.2


def test_correlated_images_in_three_coordinates_equal_slices_of_a_volume(generators):
    channels = SimplexNoise(correlated=True)(torch.zeros(1, 5, 12, 14), generator=generators(2))
    volume = SimplexNoise()(torch.zeros(1, 1, 5, 12, 14), generator=generators(2))
    torch.testing.assert_close(channels[0], volume[0, 0], atol=1e-6, rtol=0)


def test_reference_draws_all_correlated_images_from_one_field(generators):
    noise = SimplexNoise(persistence=0.9, reference=True, dims=4, correlated=True)
    levels = torch.tensor([500, 501, 505, 700])
    first, *others = noise(torch.zeros(4, 1, 256, 256), levels, generator=generators(4, 5, 6, 7))
    # Published: .926, .576 and -.01, one field each.
    assert correlation(first, others[0]) == pytest.approx(0.926, abs=0.03)
    assert correlation(first, others[1]) == pytest.approx(0.576, abs=0.15)
    assert abs(correlation(first, others[2])) < 0.3


def test_each_item_draws_its_octaves(generators):
    sets = [[1, 0.5, 40], [4, 0.9, 16]]
    noise, like = SimplexNoise(sets=sets), torch.zeros(20, 1, 16, 16)
    z, indices = noise(like, generator=generators(*range(20))), []
    for seed, item in enumerate(z):
        (generator,) = generators(seed)
        indices.append(int(torch.randint(2, (), generator=generator)))
        alone = SimplexNoise(*sets[indices[-1]])(like[:1], generator=generator)
        assert torch.equal(alone[0], item)
    assert set(indices) == {0, 1}


def test_knows_the_published_octaves():
    assert len(PUBLISHED_SETS) == len(set(PUBLISHED_SETS)) == 23
    assert PUBLISHED_SETS[3] == OctaveSet(10, 0.8, 64)
    assert {s.feature_size for s in PUBLISHED_SETS if s.persistence == 0.85} == {2, 4, 8, 16, 32, 64, 128}
    assert NOISES.build("simplex", sets="published").sets == "published"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": 1}, "expected dims to be 2, 3 or 4, got 1"),
        ({"dims": 5}, "expected dims to be 2, 3 or 4, got 5"),
        ({"axis": "slice"}, "expected axis to be 'random' or 'level', got 'slice'"),
        ({"axis": "random", "reference": True}, "expected axis 'level' with reference=True, got 'random'"),
        ({"persistence": -0.1}, r"persistence in \(0, 1\], got -0.1"),
        ({"octaves": True}, "octaves to be a whole number of at least 1, got True"),
        ({"feature_size": "64"}, "positive feature_size in voxels, got '64'"),
        ({"sets": []}, r"sets to be a list of .*, got \[\]"),
        ({"sets": "mine"}, "sets to be a list of .*, got 'mine'"),
        ({"sets": [[6, 0.8]]}, r"got the entry \[6, 0.8\]"),
        ({"sets": [[6, 0.0, 64]]}, r"persistence in \(0, 1\], got 0.0"),
    ],
    ids=str,
)
def test_names_the_option_that_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SimplexNoise(**options)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"dims": 2}, (1, 1, 4, 5, 6), "dims of at least 3 for 3 spatial axes, got 2"),
        (
            {"dims": 2, "correlated": True},
            (1, 2, 5, 6),
            "at least 3 for 2 spatial axes and correlated channels",
        ),
        (
            {"correlated": True},
            (1, 2, 4, 5, 6),
            "at least 4 for 3 spatial axes and correlated channels, got 3",
        ),
        ({"axis": "level"}, (1, 1, 4, 5, 6), "dims above 3 with axis='level', got 3"),
        ({"dims": 4}, (0, 1, 5, 6), r"none empty, got \(0, 1, 5, 6\)"),
    ],
    ids=str,
)
def test_names_the_coordinates_it_lacks(options, shape, message, generators):
    with pytest.raises(ValueError, match=message):
        SimplexNoise(**options)(torch.zeros(shape), generator=generators(*range(shape[0])))
