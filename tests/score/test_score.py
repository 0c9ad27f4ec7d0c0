import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from diffad.registry import SCORES, UnknownNameError
from diffad.score.residual import L1Score
from diffad.score.ssim import SSIMScore
from diffad.types import Reconstruction


def twin(*values):
    return Reconstruction(torch.tensor(values).reshape(1, len(values), 1, 1).expand(-1, -1, 8, 8), nfe=1)


def smooth_pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random(shape)
    return x, np.clip(x + rng.normal(0, 0.1, shape), 0, 1)


def as_batch(x):
    return torch.from_numpy(x)[None, None]


@pytest.mark.parametrize(("name", "expected"), [("l1", (0.1 + 0.3) / 2), ("l2", (0.01 + 0.09) / 2)])
def test_residual_is_the_mean_over_channels(name, expected):
    x = torch.full((1, 2, 8, 8), 0.5)
    scores = SCORES.build(name)(x, twin(0.6, 0.2))
    assert torch.allclose(scores, torch.full((1, 1, 8, 8), expected))


@pytest.mark.parametrize("shape", [(40, 33), (14, 17, 15)])
@pytest.mark.parametrize("window", [3, 7, 11])
def test_uniform_ssim_equals_skimage_in_the_interior(shape, window):
    x, x_hat = smooth_pair(shape)
    _, oracle = structural_similarity(x, x_hat, win_size=window, data_range=1.0, full=True)
    ours = SSIMScore(window=window)(as_batch(x), Reconstruction(as_batch(x_hat), nfe=1))[0, 0].numpy()
    inner = (slice(window // 2, -(window // 2)),) * len(shape)
    np.testing.assert_allclose(ours[inner], np.clip(1 - oracle, 0, 1)[inner], atol=1e-10)


@pytest.mark.parametrize("shape", [(40, 33), (14, 17, 15)])
def test_gaussian_ssim_equals_skimage_in_the_interior(shape):
    x, x_hat = smooth_pair(shape)
    _, oracle = structural_similarity(
        x, x_hat, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )
    ours = SSIMScore(window=11, sigma=1.5)(as_batch(x), Reconstruction(as_batch(x_hat), nfe=1))[0, 0].numpy()
    inner = (slice(5, -5),) * len(shape)
    np.testing.assert_allclose(ours[inner], np.clip(1 - oracle, 0, 1)[inner], atol=1e-10)


def test_ssim_in_single_precision_agrees_with_double():
    x, x_hat = (as_batch(a) for a in smooth_pair((40, 40)))
    double = SSIMScore()(x, Reconstruction(x_hat, nfe=1))
    single = SSIMScore()(x.float(), Reconstruction(x_hat.float(), nfe=1))
    assert single.dtype == torch.float32
    assert (double - single).abs().max() < 1e-4


def test_ssim_uses_the_data_range():
    x, x_hat = (as_batch(a) for a in smooth_pair((20, 20)))
    wide = SSIMScore(data_range=255.0)(x * 255, Reconstruction(x_hat * 255, nfe=1))
    assert torch.allclose(wide, SSIMScore()(x, Reconstruction(x_hat, nfe=1)))


def test_ssim_is_the_mean_over_channels():
    x, x_hat = torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12)
    alone = [SSIMScore()(x[:, c : c + 1], Reconstruction(x_hat[:, c : c + 1], nfe=1)) for c in range(3)]
    assert torch.allclose(SSIMScore()(x, Reconstruction(x_hat, nfe=1)), sum(alone) / 3, atol=1e-6)


def test_inverted_structure_is_clipped_to_one():
    x = torch.zeros(1, 1, 16, 16)
    x[..., ::2] = 1
    assert SSIMScore()(x, Reconstruction(1 - x, nfe=1)).max() == 1


@pytest.mark.parametrize(
    "options",
    [{"window": 4}, {"window": 1}, {"sigma": 0.0}, {"sigma": float("nan")}, {"data_range": 0.0}],
    ids=str,
)
def test_bad_ssim_options_are_refused(options):
    with pytest.raises(ValueError, match=f"expected {next(iter(options))} .* got"):
        SSIMScore(**options)


def test_image_smaller_than_half_the_window_is_refused():
    x = torch.zeros(1, 1, 3, 20)
    with pytest.raises(ValueError, match="expected axes longer than 3 for window 7"):
        SSIMScore()(x, Reconstruction(x, nfe=1))


@pytest.mark.parametrize(("name", "combine"), [("mean", lambda a, b: (a + b) / 2), ("product", torch.mul)])
def test_combination_of_l1_and_ssim(name, combine):
    x, restoration = torch.rand(2, 2, 12, 12), Reconstruction(torch.rand(2, 2, 12, 12), nfe=1)
    both = SCORES.build(name, scores=[{"name": "l1"}, {"name": "ssim", "window": 5}])
    assert torch.allclose(
        both(x, restoration), combine(L1Score()(x, restoration), SSIMScore(window=5)(x, restoration))
    )


def test_combination_takes_ready_scores():
    x, restoration = torch.rand(1, 1, 12, 12), Reconstruction(torch.rand(1, 1, 12, 12), nfe=1)
    assert torch.equal(SCORES.build("mean", scores=[L1Score()])(x, restoration), L1Score()(x, restoration))


@pytest.mark.parametrize("name", ["mean", "product"])
def test_bad_combinations_are_refused(name):
    with pytest.raises(ValueError, match="at least one score"):
        SCORES.build(name, scores=[])
    with pytest.raises(ValueError, match=r"a score with a name, got \{'window': 7\}"):
        SCORES.build(name, scores=[{"window": 7}])
    with pytest.raises(UnknownNameError, match="did you mean 'ssim'"):
        SCORES.build(name, scores=[{"name": "sim"}])
    with pytest.raises(UnknownNameError, match="windw"):
        SCORES.build(name, scores=[{"name": "ssim", "windw": 7}])


def test_not_a_number_outside_the_mask_does_not_leak():
    x, mask = torch.rand(1, 1, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool)
    x[0, 0, 0, 0], mask[0, 0, 0, 0] = float("nan"), False
    scores = L1Score()(x, twin(0.5), mask)
    assert scores[0, 0, 0, 0] == 0
    assert scores.isfinite().all()
