"""Networks that are told where a slice lies: at first as those that are not, and the same in any batch."""

import pytest
import torch
from torch import nn

from diffad.denoise import NetworkDenoiser, bind, takes_place
from diffad.models.chunked import Chunked
from diffad.models.place import encode_places
from diffad.registry import MODELS
from diffad.schedule import Schedule
from diffad.training.checkpoint import CheckpointError
from diffad.training.transfer import load_weights

OPTIONS = {"channels": (8, 16), "layers": 1, "groups": 4}
PLACES = torch.tensor([[0, 0.1], [1, 0.5], [2, 0.9], [-1, 0]])


def build(**options):
    """Return a small network with weights of its own, its layers of places included."""
    torch.manual_seed(0)
    network = MODELS.build("unet2d", **OPTIONS, **options).eval()
    if takes_place(network):
        nn.init.normal_(network.place_layers[-1].weight)
    return network


def make_input(count=4):
    """Return states and labels."""
    x = torch.randn(count, 1, 12, 8, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(count) * 7


@torch.no_grad()
def test_a_network_of_old_weights_answers_as_before(tmp_path):
    """The new layers answer 0 until they are trained, for places and for none."""
    old = build()
    old.save_pretrained(tmp_path)
    network = MODELS.build("unet2d", **OPTIONS, place=True).eval()
    load_weights(network, tmp_path)
    x, labels = make_input()
    for place in (None, PLACES):
        assert torch.equal(network(x, labels, place=place), old(x, labels))


def test_weights_with_places_do_not_load_into_a_network_without(tmp_path):
    """Only the layers of places may be absent, and all of them together."""
    build(place=True).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="belongs to no layer"):
        load_weights(build(), tmp_path)


@torch.no_grad()
def test_a_place_changes_the_answer_and_none_is_a_place_of_its_own(tmp_path):
    """Unknown rows answer as no place at all, and so does the network once it is loaded again."""
    network = build(place=True)
    network.save_pretrained(tmp_path)
    network = type(network).from_pretrained(tmp_path).eval()
    x, labels = make_input()
    answer, none = network(x, labels, place=PLACES), network(x, labels)
    assert torch.equal(answer, build(place=True)(x, labels, place=PLACES))
    assert torch.allclose(answer[3], none[3], atol=1e-5)
    assert all((answer[i] - none[i]).abs().max() > 1e-3 for i in range(3))


@torch.no_grad()
@pytest.mark.parametrize("stack", [1, 3])
def test_bound_places_follow_their_items(stack):
    """In stacks "(k b)", chunks and selections, each item is at its own place."""
    network = build(place=True)
    schedule = Schedule(torch.linspace(0.99, 0.1, 50))
    denoiser = NetworkDenoiser(Chunked(network, 3), schedule)
    assert denoiser.takes_place
    assert not NetworkDenoiser(build(), schedule).takes_place
    x, _ = make_input()
    bound = bind(denoiser, {"place": PLACES})
    t, states = torch.tensor(20), x.repeat(stack, 1, 1, 1)
    answer = bound(states, t)
    alone = [denoiser(x[i : i + 1], t, place=PLACES[i : i + 1]) for i in range(4)]
    assert torch.allclose(answer, torch.cat(alone * stack), atol=1e-4)
    items = torch.tensor([len(states) - 2, 1])
    assert torch.allclose(bound.select(items)(states[items], t), answer[items], atol=1e-4)


@torch.no_grad()
def test_networks_around_a_network_hand_places_on():
    """Conditions and classes go with places."""
    backbone, (x, labels) = {"name": "unet2d", **OPTIONS, "place": True}, make_input()
    for name, cond in (("beside", {"image": x}), ("labelled", {}), ("conditioned", {"image": x})):
        network = MODELS.build(name, backbone=backbone).eval()
        assert takes_place(network)
        nn.init.normal_(network.backbone.place_layers[-1].weight)
        answer = network(x, labels, place=PLACES, **cond)
        assert (answer - network(x, labels, **cond)).abs().max() > 1e-3


def test_places_are_forgotten_in_training_only():
    """With a chance of 1 no place reaches the network while it trains."""
    network = build(place=True, place_drop=1.0)
    x, labels = make_input()
    with torch.no_grad():
        assert torch.allclose(network.train()(x, labels, place=PLACES), network(x, labels), atol=1e-5)
        assert not torch.allclose(network.eval()(x, labels, place=PLACES), network(x, labels), atol=1e-3)


@pytest.mark.parametrize(
    "place", [torch.zeros(3, 2), torch.tensor([[3.0, 0.5]] * 4), torch.full((4, 2), 2.0)]
)
def test_what_is_no_table_of_places_is_refused(place):
    """Shape, orientations and positions are checked."""
    with pytest.raises(ValueError, match=r"places|orientations|positions"):
        encode_places(place, 4, torch.zeros(1))


def test_a_network_without_places_refuses_them():
    """Whoever gives a place to a network that cannot use it is told."""
    x, labels = make_input()
    with pytest.raises(ValueError, match="expected no place"):
        build()(x, labels, place=PLACES)
