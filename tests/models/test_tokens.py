"""What transformers over patches share: sizes, conditions, marks, and options that do not fit."""

import pytest
import torch

from diffad.denoise import takes_neighbours, takes_place
from diffad.models.tokens import resize_maps, to_maps, to_tokens
from diffad.registry import MODELS
from diffad.training.checkpoint import CheckpointError
from diffad.training.transfer import load_weights

SMALL = {"patch": 4, "width": 24, "depth": 2, "heads": 3, "grid": 4}
LABELS = torch.tensor([3, 700])
PLACES = torch.tensor([[0, 0.2], [2, 0.9]])


@pytest.fixture(params=["dit", "dtunet", "uvit"])
def name(request):
    return request.param


@pytest.fixture
def build(name):
    """Build a network whose weights are all drawn, but for those that answer 0 until they are trained."""

    def make(**options):
        torch.manual_seed(0)
        network = MODELS.build(name, **{**SMALL, **options}).eval()
        for key, weights in network.named_parameters():
            if weights.ndim > 1 and "place_layers" not in key:
                torch.nn.init.normal_(weights, std=0.2)
        return network

    return make


@pytest.fixture
def x():
    return torch.randn(2, 1, 12, 20, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("patch", [2, 4, 8, 16])
@pytest.mark.parametrize("sides", [(16, 16), (33, 18), (1, 40)])
def test_any_image_is_answered_for_at_every_patch(build, patch, sides):
    network = build(patch=patch)
    assert network.multiple == patch
    answer = network(torch.randn(2, 1, *sides), LABELS)
    assert answer.shape == (2, 1, *sides)
    assert answer.isfinite().all()


@torch.no_grad()
def test_place_in_the_image_matters(build):
    """Patches alike get other answers at other places: tokens alone would not know them apart."""
    answer = build()(torch.ones(1, 1, 16, 16), LABELS[:1])
    patches = answer.unfold(2, 4, 4).unfold(3, 4, 4).reshape(16, 16)
    assert torch.pdist(patches).min() > 1e-4


@torch.no_grad()
def test_rows_are_not_taken_for_columns(build, x):
    """What changes in one corner changes the answer there most, on a grid that is no square."""
    network, other = build(), x.clone()
    other[..., :4, 16:] += 2
    change = (network(other, LABELS) - network(x, LABELS)).abs().mean((0, 1))
    means = change.unfold(0, 4, 4).unfold(1, 4, 4).mean((2, 3))
    assert means[:2, 3:].mean() > 1.5 * max(means[:, :3].mean(), means[2:].mean())


@torch.no_grad()
def test_new_places_change_nothing_and_trained_ones_their_own_item(build, x, tmp_path):
    old = build()
    old.save_pretrained(tmp_path)
    network = build(place=True)
    load_weights(network, tmp_path)
    assert takes_place(network)
    assert not takes_place(old)
    torch.testing.assert_close(network(x, LABELS, place=PLACES), old(x, LABELS))
    for weights in network.place_layers.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    answer, moved = (network(x, LABELS, place=p) for p in (PLACES, PLACES - torch.tensor([[0, 0], [0, 0.3]])))
    assert torch.equal(moved[0], answer[0])
    assert not torch.allclose(moved[1], answer[1], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2])
def test_weights_without_neighbours_and_marks_answer_as_before(build, tmp_path, channels):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, channels, 12, 8, generator=generator)
    beside = torch.randn(2, 4 * channels, 12, 8, generator=generator)
    old = build(in_channels=channels, out_channels=channels)
    old.save_pretrained(tmp_path)
    network = build(in_channels=channels, out_channels=channels, neighbours=2, marks=True)
    load_weights(network, tmp_path)
    answer = network(x, LABELS, neighbours=beside)
    assert answer.shape == (2, channels + 1, 12, 8)
    torch.testing.assert_close(answer[:, :channels], old(x, LABELS))
    assert not answer[:, channels:].any()
    with pytest.raises(CheckpointError, match="has shape"):
        load_weights(build(width=48), tmp_path)


@torch.no_grad()
def test_neighbours_are_seen_and_asked_for(build, x):
    network, beside = build(neighbours=1), torch.randn(2, 2, 12, 20)
    assert takes_neighbours(network) == 1
    answer = network(x, LABELS, neighbours=beside)
    assert answer.shape == x.shape
    assert not torch.allclose(answer, network(x, LABELS, neighbours=beside.flip(1)), atol=1e-4)
    with pytest.raises(ValueError, match=r"expected the neighbours \(2, 2, 12, 20\) .* got none"):
        network(x, LABELS)


@torch.no_grad()
@pytest.mark.parametrize("outer", ["labelled", "conditioned", "beside"])
def test_networks_around_it_pass_on_what_it_takes(build, name, outer, x):
    options = {"encoder": {"depth": 10, "width": 6, "planes": 8}} if outer == "conditioned" else {}
    torch.manual_seed(0)
    network = MODELS.build(outer, backbone={"name": name, **SMALL, "place": True}, **options).eval()
    for weights in network.backbone.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    cond = {} if outer == "labelled" else {"image": x.sigmoid()}
    answer = network(x, LABELS, place=PLACES, **cond)
    assert network.multiple == 4
    assert answer.shape == x.shape
    assert not torch.allclose(answer, network(x, LABELS, place=None, **cond), atol=1e-4)


def test_forgotten_places_are_unknown_ones(build, x):
    network = build(place=True, place_drop=1.0).train()
    for weights in network.place_layers.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    torch.testing.assert_close(network(x, LABELS, place=PLACES), network(x, LABELS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "expected width divisible by heads = 5, got 24"),
        ({"heads": 0}, "expected heads of at least 1, got 0"),
        ({"depth": 0}, "expected depth of at least 1, got 0"),
        ({"width": 0}, "expected width of at least 1, got 0"),
        ({"patch": 0}, "expected patch of at least 1, got 0"),
        ({"grid": 0}, "expected .*grid .*1, got .*0"),
        ({"embedding": -1}, "expected embedding of at least 0, got -1"),
        ({"neighbours": -1}, "expected neighbours of at least 0, got -1"),
        ({"place_drop": 2.0}, r"expected place_drop in \[0, 1\], got 2"),
        ({"heads": 1000}, "expected heads to be a number of at most 256, got 1000"),
        ({"width": "wide"}, "expected width to be a whole number, got 'wide'"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dit", {"width": 18, "heads": 2}, "expected width divisible by 4 and grid >= 1, got 18 and 4"),
        ("dtunet", {"depth": 3}, "expected an even depth, half of it on the way in and out, got 3"),
        ("uvit", {"depth": 3}, "expected an even depth, half of it on the way in and out, got 3"),
        ("dtunet", {"patch": 12}, "expected patch to be 2, 4, 8 or 16, as its stem halves sides, got 12"),
        ("dtunet", {"patch": 16, "width": 36}, "width divisible by 4 and by half the patch 16, got 36"),
        ("dtunet", {"norm": "layer"}, "expected norm to be one of group, batch, got 'layer'"),
        ("dtunet", {"grid": 65}, "expected grid to be a number of at most 64, got 65"),
    ],
    ids=str,
)
def test_options_of_one_network_that_do_not_fit_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(name, **{**SMALL, **options})


def test_surplus_place_is_refused(build, x):
    with pytest.raises(ValueError, match="expected no place, as it was built with place = false, got one"):
        build()(x, LABELS, place=PLACES)


def test_tokens_are_maps_row_by_row():
    maps = torch.arange(24.0).reshape(1, 2, 3, 4)
    tokens = to_tokens(maps)
    assert tokens[0, :, 0].tolist() == list(range(12))
    assert torch.equal(to_maps(tokens, (3, 4)), maps)


def test_maps_of_the_learned_grid_stay_and_constants_stay_constant():
    maps = torch.randn(1, 3, 4, 4)
    assert torch.equal(resize_maps(maps, (4, 4)), maps)
    torch.testing.assert_close(
        resize_maps(torch.full((1, 1, 4, 4), 0.3), (7, 2)), torch.full((1, 1, 7, 2), 0.3)
    )
