"""What every registered saliency promises; a new one adds a row to OPTIONS where its defaults do not do."""

import pytest
import torch

from diffad.capabilities import attach_networks
from diffad.registry import SALIENCIES
from tests.helpers.looking import Half, squares
from tests.helpers.toys import ConstantDenoiser, white_noise

NETWORKS = {"classifier": squares(), "autoencoder": Half()}
OPTIONS = {
    "counterfactual": [
        {"steps": 2},
        {"steps": 2, "double": True},
        {"steps": 3, "rate": 0.1, "weight": 1.0, "targets": [0]},
    ],
    "gradient": [{"steps": 2}, {"steps": 2, "baseline": "blurred", "width": 2.0}, {"baseline": None}],
    "random": [{}, {"seed": 3, "width": 2.0}],
    "restored": [{}, {"sampler": {"name": "chain", "level": 30, "steps": 3}, "score": {"name": "l2"}}],
}
CASES = [(name, options) for name in SALIENCIES for options in OPTIONS.get(name, [{}])]
SHAPES = [(3, 1, 9, 7), (2, 2, 6, 7, 5)]

pytestmark = [
    pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value)),
    pytest.mark.parametrize("shape", SHAPES, ids=str),
]


@pytest.fixture
def scans(shape, generators):
    (generator,) = generators(0)
    x = torch.rand(shape, generator=generator)
    return x, torch.rand((shape[0], 1, *shape[2:]), generator=generator) < 0.7


def build(name, options, seeds=range(3)):
    """Return the saliency with all it asks for: networks, and the denoiser of a sampler."""
    saliency = SALIENCIES.build(name, **options)
    attach_networks(saliency, NETWORKS)
    if not hasattr(saliency, "begin"):
        return saliency

    def look(x, mask=None):
        generators = [torch.Generator().manual_seed(s) for s in seeds][: len(x)]
        return saliency.begin(ConstantDenoiser(torch.zeros_like(x)), white_noise, generators)(x, mask)

    return look


def test_map_has_the_shape_of_the_scan_and_is_finite_and_not_negative(name, options, shape, scans):
    result = build(name, options)(scans[0])
    assert result.shape == shape
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() > 0


def test_item_alone_equals_item_in_batch(name, options, shape, scans):
    x, mask = scans
    batch = build(name, options)(x, mask)
    for i in range(shape[0]):
        alone = build(name, options, seeds=[i])(x[i : i + 1], mask[i : i + 1])
        assert torch.equal(alone[0], batch[i])


def test_map_is_zero_outside_the_mask(name, options, shape, scans):
    x, mask = scans
    result = build(name, options)(x, mask)
    assert not result[~mask.expand(shape)].any()
    assert result[mask.expand(shape)].any()
    assert torch.equal(build(name, options)(x, mask.float()), result)


def test_same_scan_has_the_same_map_whatever_the_global_state(name, options, shape, scans):
    first = build(name, options)(*scans)
    state = torch.manual_seed(7).get_state()
    assert torch.equal(build(name, options)(*scans), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_arguments_are_not_changed_and_no_graph_is_kept(name, options, shape, scans):
    x, mask = scans
    before = x.clone(), mask.clone()
    result = build(name, options)(x.requires_grad_(), mask)
    assert not result.requires_grad
    assert torch.equal(x, before[0])
    assert torch.equal(mask, before[1])
    assert x.grad is None
    assert not build(name, options)(x).add_(1).requires_grad  # a map of its own, that can be written to
    assert torch.equal(x, before[0])


def test_what_surrounds_the_call_changes_nothing(name, options, shape, scans):
    expected = build(name, options)(*scans)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(build(name, options)(*scans), expected)
    with torch.inference_mode():
        assert torch.equal(build(name, options)(*(value.clone() for value in scans)), expected)


def test_low_precision_is_looked_at_in_single_precision(name, options, shape, scans):
    x, mask = scans
    result = build(name, options)(x.bfloat16(), mask)
    assert result.dtype == torch.float32
    assert torch.equal(result, build(name, options)(x.bfloat16().float(), mask))


def test_scan_without_anything_has_a_finite_map(name, options, shape, scans):
    result = build(name, options)(torch.zeros(shape), torch.zeros_like(scans[1]))
    assert not result.any()
    assert build(name, options)(torch.zeros(shape)).isfinite().all()


def test_shapes_that_do_not_fit_are_refused(name, options, shape, scans):
    x, mask = scans
    with pytest.raises(ValueError, match=r"expected mask of shape .* got"):
        build(name, options)(x, mask[..., :-1])
    with pytest.raises(ValueError, match="2 or 3 spatial axes"):
        build(name, options)(x[0, 0])


def test_options_are_public_attributes(name, options, shape, scans):
    saliency = SALIENCIES.build(name, **options)
    assert {option: getattr(saliency, option) for option in options} == options


def test_missing_networks_are_named(name, options, shape, scans):
    saliency = SALIENCIES.build(name, **options)
    for network in getattr(saliency, "needs", ()):
        part = SALIENCIES.build(name, **options)
        attach_networks(part, {k: v for k, v in NETWORKS.items() if k != network})
        with pytest.raises(ValueError, match=f"expected a trained {network}, got none"):
            part(scans[0])
    assert {n for n in NETWORKS if hasattr(saliency, n)} == set(getattr(saliency, "needs", ()))
