"""Published facts about the noise of ANDi (Frotscher et al., 2023), at 128 x 128 and a discount of .8."""

import pytest
import torch

from diffad.noise.pyramid import PyramidNoise, count_nodes, count_reference_nodes, split_variance

PUBLISHED = (0.72, 0.10, 0.08, 0.09)


@pytest.fixture(scope="module")
def uniforms():
    """Uniform numbers behind the ratios of 300 fields."""
    return torch.rand(300, 10, generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture(scope="module")
def published():
    """25 published batches of 16 fields, (400, 1, 128, 128)."""
    noise, like = PyramidNoise(reference=True), torch.zeros(16, 1, 128, 128)
    batches = []
    for j in range(25):
        seeds = [torch.Generator().manual_seed(100 * j + i) for i in range(16)]
        batches.append(noise(like, generator=seeds))
    return torch.cat(batches)


def variance_along_axis(nodes):
    """Variance of white nodes after linear enlarging with half-pixel centres, at each of 128 voxels."""
    weights = torch.nn.functional.interpolate(torch.eye(nodes)[None], 128, mode="linear", align_corners=False)
    return weights[0].square().sum(0)


def test_four_levels_of_known_sizes(uniforms):
    for row in uniforms:
        sizes = count_reference_nodes((128, 128), row)
        assert all(a == b for a, b in sizes)
        whole, middle, coarse, constant = (a for a, _ in sizes)
        assert (whole, constant) == (128, 1)
        assert 32 <= middle <= 63
        assert 2 <= coarse <= 15


def test_shares_of_the_variance(uniforms):
    total = torch.zeros(4)
    for row in uniforms:
        sizes = [a for a, _ in count_reference_nodes((128, 128), row)]
        total += torch.tensor(
            [0.64**k * float(variance_along_axis(w).mean()) ** 2 for k, w in enumerate(sizes)]
        )
    total[0] += len(uniforms)  # the second white field
    assert (total / total.sum()).tolist() == pytest.approx(PUBLISHED, abs=0.01)
    assert total.sum() / len(uniforms) == pytest.approx(2.78, abs=0.03)


def test_default_keeps_the_published_shares(uniforms):
    parts = torch.tensor([split_variance(count_nodes(128, row), 0.8) for row in uniforms]).mean(0)
    assert parts.tolist() == pytest.approx(PUBLISHED, abs=0.012)


def test_corners_vary_more_than_the_centre(uniforms):
    variance = torch.ones(128, 128)
    for row in uniforms:
        for k, (w, _) in enumerate(count_reference_nodes((128, 128), row)):
            profile = variance_along_axis(w)
            variance += 0.64**k * torch.outer(profile, profile) / len(uniforms)
    assert variance[:8, :8].mean() / variance[60:68, 60:68].mean() == pytest.approx(1.08, abs=0.02)


def test_spread_of_fields_and_of_their_means(published):
    fields = published[:, 0]
    assert fields.std() == pytest.approx(1, abs=0.01)
    assert fields.mean(dim=(1, 2)).std() == pytest.approx(0.33, abs=0.02)
    assert fields.std(dim=(1, 2)).mean() == pytest.approx(0.957, abs=0.02)


@pytest.mark.parametrize("reference", [True, False])
def test_correlation_as_published(reference, published):
    expected = {1: 0.27, 2: 0.23, 4: 0.18, 8: 0.17, 16: 0.15, 32: 0.12, 64: 0.10}
    z = published
    if not reference:
        seeds = [torch.Generator().manual_seed(i) for i in range(300)]
        z = PyramidNoise()(torch.zeros(300, 1, 128, 128), generator=seeds)
    correlation = {lag: float((z[..., lag:] * z[..., : 128 - lag]).mean()) for lag in expected}
    # The square of a constant of variance .11 has a standard error of .009 over 300 fields.
    assert correlation == pytest.approx(expected, abs=0.025)


def test_power_below_a_frequency_as_published(published):
    power = torch.fft.fft2(published).abs().square().mean(dim=(0, 1))
    frequency = torch.hypot(*torch.meshgrid(*[torch.fft.fftfreq(128)] * 2, indexing="ij"))
    fractions = [
        float(power[frequency <= f].sum() / power.sum()) for f in (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
    ]
    assert fractions == pytest.approx([0.11, 0.15, 0.18, 0.21, 0.28, 0.42], abs=0.02)
