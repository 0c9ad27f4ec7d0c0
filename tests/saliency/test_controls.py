"""Controls and the Gaussian that smooths them."""

import pytest
import torch

from diffad.registry import SALIENCIES
from diffad.saliency.smooth import smooth

X = torch.rand(2, 3, 40, 30, generator=torch.Generator().manual_seed(0))


def test_intensity_is_the_scan_and_uniform_is_one():
    assert torch.equal(SALIENCIES.build("intensity")(X), X)
    assert torch.equal(SALIENCIES.build("uniform")(X), torch.ones_like(X))


def test_random_field_hangs_on_the_seed_alone():
    result = SALIENCIES.build("random")(X)
    assert torch.equal(result, SALIENCIES.build("random")(1 - X))
    assert all(torch.equal(result[0, 0], field) for item in result for field in item)
    assert not torch.allclose(result, SALIENCIES.build("random", seed=1)(X))


def test_random_field_has_no_ties_that_would_change_its_area():
    field = SALIENCIES.build("random", width=2.0)(X[:1, :1]).flatten()
    above = field > field.quantile(0.9)
    assert above.sum() == 120


def test_wider_fields_are_smoother():
    def roughness(width):
        field = SALIENCIES.build("random", width=width)(X[:1, :1])
        return field.diff(dim=-1).std() / field.std()

    assert roughness(1.0) > 2 * roughness(4.0)


def test_smoothing_keeps_constants_and_is_symmetric(generators):
    torch.testing.assert_close(
        smooth(torch.full((1, 1, 5, 7, 6), 0.3), 2.0), torch.full((1, 1, 5, 7, 6), 0.3)
    )
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1
    result = smooth(point, 1.5)[0, 0]
    torch.testing.assert_close(result, result.T)
    torch.testing.assert_close(result[10, 12] / result[10, 10], torch.tensor(-4 / (2 * 1.5**2)).exp())


@pytest.mark.parametrize("options", [{"seed": -1}, {"width": 0.0}, {"width": float("inf")}], ids=str)
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match="expected seed >= 0 and a finite width > 0, got"):
        SALIENCIES.build("random", **options)
