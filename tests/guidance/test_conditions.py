"""Guidance by what a network is told of the scan: from its answer without, through that with, and beyond."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.denoise import NetworkDenoiser, bind
from diffad.models.beside import Beside
from diffad.models.unet2d import UNet2D
from diffad.registry import GUIDANCES
from diffad.training.run import train
from tests.helpers.toys import GaussianDenoiser, linear_schedule

T = torch.tensor([5, 300, 900])
SMALL = {"name": "unet2d", "channels": [8], "layers": 1, "groups": 4}
PLACES = torch.tensor([[2.0, 0.25], [0.0, 0.5], [-1.0, 0.0]])


class Shows(GaussianDenoiser):
    """A denoiser that adds what it is told: an image, or twice an orientation and a position."""

    takes_place = True

    def __call__(self, x_t, t, image=None, place=None):
        answer = super().__call__(x_t, t)
        if image is not None:
            answer = answer + image
        if place is not None:
            answer = answer + (2 * place[:, 0] + place[:, 1])[:, None, None, None]
        return answer

    def conditions(self, image, mask):
        return {"image": image}


@pytest.fixture
def x_t():
    return torch.randn(3, 1, 4, 5, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def image():
    return torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(3))


def guided(inner, **options):
    return GUIDANCES.build("condition_free", **options)(inner)


def test_estimate_moves_from_a_grey_image_through_the_scan_and_beyond(x_t, image):
    inner = Shows()
    plain = GaussianDenoiser()(x_t, T)
    expected = plain + 0.5 + 2.5 * (image - 0.5)
    torch.testing.assert_close(guided(inner, scale=2.5)(x_t, T, image=image), expected)
    assert (inner.calls, inner.items) == (1, 6)
    assert inner.levels == [5, 300, 900] * 2


def test_estimate_moves_from_no_place_through_the_place(x_t):
    plain = GaussianDenoiser()(x_t, T)
    told = torch.tensor([4.25, 0.5, -2.0])[:, None, None, None]
    answer = guided(Shows(), scale=3.0, condition="place")(x_t, T, place=PLACES)
    torch.testing.assert_close(answer, plain - 2 + 3 * (told + 2))


@pytest.mark.parametrize("scale", [0, 1.0])
def test_without_and_with_the_condition_cost_one_evaluation_and_are_exact(x_t, image, scale):
    inner = Shows()
    answer = guided(inner, scale=scale)(x_t, T, image=image)
    assert (inner.calls, inner.items) == (1, 3)
    assert torch.equal(answer, inner(x_t, T, image=image if scale else torch.full_like(image, 0.5)))


def test_slices_of_no_known_place_are_as_without_guidance(x_t):
    inner = Shows()
    assert torch.equal(guided(inner, scale=4.0, condition="place")(x_t, T), inner(x_t, T))


def test_other_conditions_reach_both_halves(x_t, image):
    answer = bind(guided(Shows(), scale=2.0), {"image": image, "place": PLACES})(x_t, T)
    plain = guided(Shows(), scale=2.0)(x_t, T, image=image)
    torch.testing.assert_close(answer, plain + torch.tensor([4.25, 0.5, -2.0])[:, None, None, None])


@torch.no_grad()
def test_grey_is_what_a_network_sees_of_a_dropped_image(x_t, image):
    torch.manual_seed(0)
    network = Beside(SMALL, drop=1.0)
    inner = NetworkDenoiser(network.train(), linear_schedule(), "sample")
    dropped = inner(x_t, T, image=image)
    network.eval()
    torch.testing.assert_close(guided(inner, scale=0.0)(x_t, T, image=image), dropped)
    assert not torch.allclose(inner(x_t, T, image=image), dropped)


@torch.no_grad()
def test_clamp_follows_the_move(x_t, image):
    torch.manual_seed(0)
    inner = NetworkDenoiser(Beside(SMALL).eval(), linear_schedule(), "sample")
    wrapped = guided(inner, scale=40.0)
    free = wrapped.without_clamp()(x_t, T, image=image)
    assert free.abs().max() > 1
    torch.testing.assert_close(wrapped(x_t, T, image=image), free.clamp(-1, 1))


def test_unguided_is_the_network_as_it_is(x_t, image):
    inner = Shows()
    answer = guided(inner, scale=3.0).without_guidance()(x_t, T, image=image)
    assert torch.equal(answer, inner(x_t, T, image=image))


def test_networks_without_the_condition_raise(image):
    plain = NetworkDenoiser(UNet2D(channels=[8]), linear_schedule())
    with pytest.raises(ValueError, match=r"expected a network that takes the place of a slice, .* got none"):
        guided(plain, condition="place")
    with pytest.raises(ValueError, match=r"expected a network that sees the image, .* 'beside', .* got none"):
        guided(plain).conditions(image, image > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": -0.5}, "expected a scale that is finite and at least 0, got -0.5"),
        ({"scale": float("nan")}, "expected a scale that is finite and at least 0"),
        ({"condition": "label"}, "condition must be one of image, place, got 'label'"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        guided(Shows(), **options)


def test_scales_differ_in_the_maps_of_a_trained_network(tmp_path):
    model = "model={name: beside, drop: 0.3, backbone: {name: unet2d, channels: [8], layers: 1, groups: 4}}"
    short = ["data.count=8", "space.size=16", "train.steps=2", f"output={tmp_path}", "sampler.steps=1"]
    pipe = AnomalyPipeline.from_pretrained(train(load("smoke", [model, *short])))
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    plain, *steered = (
        pipe(x, guidance=part).anomaly_map
        for part in (None, *({"name": "condition_free", "scale": s} for s in (1.0, 3.0)))
    )
    assert torch.equal(plain, steered[0])
    assert not torch.allclose(plain, steered[1])
