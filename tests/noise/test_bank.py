"""The bank of noise fields."""

import copy
import pickle

import pytest
import torch

from diffad.noise.bank import MAX_TABLES, NoiseBank
from diffad.registry import NOISES

SMALL = {"name": "simplex", "octaves": 3, "feature_size": 8}


def is_crop(z, table):
    """Tell whether ``z`` (*S) is a crop of a field of the table (N, *MS), mirrored or negated."""
    views = table
    for axis, n in enumerate(z.shape):
        views = views.unfold(1 + axis, n, 1)
    axes = range(z.ndim)
    mirrors = [[a for a in axes if m >> a & 1] for m in range(2**z.ndim)]
    return any(
        (views == sign * z.flip(m)).flatten(-z.ndim).all(-1).any() for sign in (1, -1) for m in mirrors
    )


@pytest.mark.parametrize("shape", [(4, 2, 7, 9), (2, 2, 1, 4, 5)], ids=str)
def test_serves_crops_of_its_fields(shape, generators):
    bank, like = NoiseBank(SMALL, size=3, margin=2), torch.zeros(shape)
    z = bank(like, generator=generators(*range(shape[0])))
    assert bank.table(like).shape == (3, *(2 * n for n in shape[2:]))
    assert all(is_crop(channel, bank.table(like)) for item in z for channel in item)
    assert not is_crop(torch.ones(shape[2:]), bank.table(like))


def test_a_field_covers_the_margin_of_an_odd_edge():
    table = NoiseBank({"name": "gaussian"}, size=2, margin=1.5).table(torch.zeros(1, 1, 5, 7))
    assert table.shape == (2, 8, 11)


def test_every_field_place_mirror_and_sign_comes_up(generators):
    bank, like = NoiseBank({"name": "gaussian"}, size=4, margin=1.5), torch.zeros(1, 1, 4, 4)
    draws = bank(torch.zeros(6000, 1, 4, 4), generator=generators(0)[0])
    kinds = {tuple(z.flatten().tolist()) for z in draws}
    # 4 fields, 3 x 3 offsets, 4 mirrorings, 2 signs
    assert len(kinds) == 4 * 9 * 4 * 2
    assert bank.table(like).shape == (4, 6, 6)


def test_table_follows_from_the_options_and_the_shape_alone(generators):
    like = torch.zeros(1, 1, 8, 8)
    bank, new_bank = NoiseBank(SMALL, size=4), NoiseBank(SMALL, size=4)
    bank(torch.zeros(2, 1, 5, 6), generator=generators(0, 1))
    bank(like, torch.tensor(400), generator=generators(7))
    assert torch.equal(bank.table(like), new_bank.table(like))
    assert not torch.equal(NoiseBank(SMALL, size=4, seed=1).table(like), new_bank.table(like))


def test_draws_its_table_once(generators):
    calls = []

    def noise(like, t=None, *, generator):
        calls.append(like.shape)
        return torch.randn(like.shape, generator=generator)

    bank = NoiseBank(noise, size=5, margin=2)
    for _ in range(3):
        bank(torch.zeros(2, 1, 4, 6), generator=generators(0, 1))
    assert calls == [torch.Size([1, 1, 8, 12])] * 5


def test_keeps_the_tables_asked_for_last_and_pickles_none(generators):
    bank = NoiseBank(SMALL, size=2)
    for n in range(4, 10):
        bank(torch.zeros(1, 1, n, n), generator=generators(0))
    assert len(bank._tables) == MAX_TABLES
    for twin in (pickle.loads(pickle.dumps(bank)), copy.deepcopy(bank)):
        assert twin._tables == {}
        like = torch.zeros(1, 1, 9, 9)
        assert torch.equal(twin(like, generator=generators(3)), bank(like, generator=generators(3)))


@pytest.mark.parametrize(
    ("noise", "std"), [({"name": "simplex"}, 1.0), ({"name": "coarse", "sigma": 0.2}, 0.2)], ids=str
)
def test_keeps_the_variance_of_its_noise(noise, std, generators):
    z = NoiseBank(noise, size=32)(torch.zeros(64, 1, 96, 96), generator=generators(*range(64)))
    assert z.std() == pytest.approx(std, rel=0.06)
    assert z.mean().abs() < 0.15 * std


def test_sharing_a_field_is_as_likely_as_documented(generators):
    bank, like = NoiseBank({"name": "gaussian"}, size=8, margin=1), torch.zeros(4000, 1, 2, 2)
    z = bank(like, generator=generators(0)[0]).abs().flatten(1).sort(dim=1).values
    fraction = (z[::2] == z[1::2]).all(dim=1).float().mean()
    # 2000 pairs: the standard error is .007.
    assert fraction == pytest.approx(1 / 8, abs=0.03)


def test_options_survive_a_round_trip():
    bank = NOISES.build("bank", noise=SMALL, size=3, margin=2, seed=5)
    assert (bank.noise, bank.size, bank.margin, bank.seed) == (SMALL, 3, 2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": {"octaves": 3}}, r"expected a noise with a name, got \{'octaves': 3\}"),
        ({"noise": {"name": "simplex", "correlated": True}}, "independent channels, got correlated=True"),
        ({"size": 0}, "size to be a whole number of at least 1, got 0"),
        ({"size": 2.5}, "size to be a whole number of at least 1, got 2.5"),
        ({"margin": 0.9}, "margin of at least 1, got 0.9"),
        ({"seed": -1}, "seed to be a whole number of at least 0, got -1"),
    ],
    ids=str,
)
def test_names_the_option_that_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        NoiseBank(**options)
