"""What a sampler altered, and how channels become one map."""

from dataclasses import replace

import pytest
import torch

from diffad.registry import SCORES
from diffad.types import Reconstruction


def rand(*shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


X, X_HAT, R = (rand(2, 3, 6, 5, seed=seed) for seed in range(3))
TWIN = Reconstruction(X_HAT, nfe=1, reference=R)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("mean", [0.1, 0.3, 0.2]), ("sum", [0.3, 0.9, 0.6]), ("max", [0.3, 0.3, 0.3])],
)
@pytest.mark.parametrize("name", ["l1", "change"])
def test_channels_become_one_map(name, channels, expected):
    offsets = torch.tensor([[0.0, 0.0, 0.3], [0.3, -0.3, 0.3], [0.1, 0.2, -0.3]])
    x = torch.full((3, 3, 4, 4), 0.5)
    scores = SCORES.build(name, channels=channels)(x, Reconstruction(x + offsets[..., None, None], nfe=1))
    assert torch.allclose(scores, torch.tensor(expected)[:, None, None, None].expand(3, 1, 4, 4))


@pytest.mark.parametrize("name", ["l1", "change"])
def test_channels_are_averaged_unless_told_otherwise(name):
    plain, mean = SCORES.build(name), SCORES.build(name, channels="mean")
    assert plain.channels == "mean"
    assert torch.equal(plain(X, TWIN), mean(X, TWIN))


@pytest.mark.parametrize("channels", ["mean", "sum", "max"])
def test_change_is_the_residual_to_the_reconstruction(channels):
    change, l1 = (SCORES.build(name, channels=channels) for name in ("change", "l1"))
    assert torch.equal(change(X, TWIN), l1(R, Reconstruction(X_HAT, nfe=1)))
    assert not torch.equal(change(X, TWIN), l1(X, TWIN))


def test_change_is_the_residual_to_the_scan_where_nothing_was_rebuilt():
    plain = replace(TWIN, reference=None)
    assert torch.equal(SCORES.build("change")(X, plain), SCORES.build("l1")(X, plain))


def test_a_twin_that_is_the_reconstruction_has_no_change():
    assert not SCORES.build("change")(X, replace(TWIN, image=R.clone())).any()


@pytest.mark.parametrize("name", ["l1", "change"])
def test_unknown_channels_raise(name):
    with pytest.raises(ValueError, match="expected channels to be text or a whole number, got True"):
        SCORES.build(name, channels=True)
    for channels in ("median", -1):
        message = rf"channels must be one of \('mean', 'sum', 'max'\) or the number of one, got {channels!r}"
        with pytest.raises(ValueError, match=message):
            SCORES.build(name, channels=channels)


@pytest.mark.parametrize("name", ["l1", "change"])
def test_one_sequence_alone_makes_the_map(name):
    score, first = SCORES.build(name, channels=1), SCORES.build(name)
    twin = replace(TWIN, image=X_HAT[:, 1:2], reference=R[:, 1:2])
    assert torch.equal(score(X, TWIN), first(X[:, 1:2], twin))
    with pytest.raises(ValueError, match="expected channels below 3, the number there are, got 3"):
        SCORES.build(name, channels=3)(X, TWIN)


def test_a_reference_of_another_shape_raises():
    with pytest.raises(ValueError, match=r"expected restoration.reference of shape \(2, 3, 6, 5\)"):
        SCORES.build("change")(X, replace(TWIN, reference=R[:1]))


def test_brighter_and_darker_are_weighed_apart():
    x, x_hat = torch.tensor([[[[0.9, 0.1]]]]), torch.tensor([[[[0.5, 0.5]]]])

    def score(**weights):
        return SCORES.build("l1", **weights)(x, Reconstruction(x_hat, nfe=1)).flatten().tolist()

    assert score(dark=0.0) == pytest.approx([0.4, 0.0])
    assert score(bright=0.0) == pytest.approx([0.0, 0.4])
    assert score(bright=2.0, dark=0.5) == pytest.approx([0.8, 0.2])


def test_both_sides_add_up_to_the_absolute_residual():
    bright, dark = (SCORES.build("l1", **weights)(X, TWIN) for weights in ({"dark": 0.0}, {"bright": 0.0}))
    torch.testing.assert_close(bright + dark, SCORES.build("l1")(X, TWIN))


@pytest.mark.parametrize("weights", [{"bright": -1.0}, {"bright": 0.0, "dark": 0.0}, {"dark": float("nan")}])
def test_weights_that_make_no_map_are_refused(weights):
    with pytest.raises(ValueError, match="expected weights of at least 0, one above"):
        SCORES.build("l1", **weights)


@pytest.mark.parametrize("power", [-1.0, 17.0, float("nan")])
def test_power_out_of_range_is_refused(power):
    with pytest.raises(ValueError, match=r"expected power in \[0, 16\]"):
        SCORES.build("l1", power=power)


def test_power_weighs_a_residual_by_the_brightness_of_the_scan():
    x, x_hat = torch.tensor([[[[0.8, 0.4]]]]), torch.tensor([[[[0.6, 0.2]]]])
    scores = SCORES.build("l1", power=2.0)(x, Reconstruction(x_hat, nfe=1))
    assert scores.flatten().tolist() == pytest.approx([0.2 * 0.64, 0.2 * 0.16])
