"""What is known of joining sequences: convex mixtures, and streams that only run from early to late."""

from itertools import combinations

import pytest
import torch

from diffad.detectors.fusion import FUSIONS, MixtureFusion
from diffad.detectors.streams import JOINT, SITES, FusedStreams
from diffad.registry import DETECTORS

TOPOLOGIES = [sites for k in (1, 2, 3) for sites in combinations(SITES, k)]
FIELDS = torch.rand(3, 2, 4, 5, 6, generator=torch.Generator().manual_seed(0))


def build_streams(sites, count=2, fusion="sum"):
    torch.manual_seed(0)
    return FusedStreams(count, (4, 8), sites, fusion, 2).eval()


def test_relaxed_input_is_a_convex_combination():
    mixture = MixtureFusion(3, 4, 2)
    mixture.alpha.data = torch.tensor([0.0, 1.0, -2.0])
    weights = mixture([torch.full((1, 1, 1, 1), v) for v in (1.0, 10.0, 100.0)])
    share = torch.tensor([0.0, 1.0, -2.0]).softmax(0)
    assert weights.item() == pytest.approx(float(share @ torch.tensor([1.0, 10.0, 100.0])))
    same = torch.full((1, 4, 2, 2), 0.7)
    torch.testing.assert_close(mixture([same] * 3), same)
    assert (mixture(list(FIELDS)) <= FIELDS.amax(0) + 1e-6).all()
    assert (mixture(list(FIELDS)) >= FIELDS.amin(0) - 1e-6).all()


def test_relaxed_input_with_one_choice_left_is_that_field():
    mixture = MixtureFusion(3, 4, 2)
    mixture.alpha.data = torch.tensor([0.0, 1e4, 0.0])
    assert torch.equal(mixture(list(FIELDS)), FIELDS[1])


def test_untaught_mixture_is_the_mean_and_sum_the_sum():
    torch.testing.assert_close(MixtureFusion(3, 4, 2)(list(FIELDS)), FIELDS.mean(0))
    torch.testing.assert_close(FUSIONS["sum"](3, 4, 2)(list(FIELDS)), FIELDS.sum(0))


@pytest.mark.parametrize(("fusion", "count"), [("sum", 0), ("mixture", 3), ("concat", 56), ("gated", 112)])
def test_operations_have_their_weights(fusion, count):
    """Of 3 fields of 4 channels: 3 logits; 12 x 4 and 2 x 4 of the normalisation; twice as many."""
    assert sum(p.numel() for p in FUSIONS[fusion](3, 4, 2).parameters()) == count


def test_gate_of_half_lets_half_of_the_mixture_pass():
    gated = FUSIONS["gated"](1, 1, 2).eval()
    gated.layers[0].weight.data = torch.tensor([2.0, 0.0]).reshape(2, 1, 1, 1)
    answer = gated([torch.full((1, 1, 1, 1), 3.0)])
    assert answer.item() == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize(
    ("sites", "encoders", "decoders", "joined"),
    [
        (["early"], 1, 1, {"early": 2}),
        (["middle"], 2, 1, {"middle": 2}),
        (["late"], 2, 2, {"late": 2}),
        (["early", "middle"], 3, 1, {"early": 2, "middle": 3}),
        (["early", "late"], 3, 3, {"early": 2, "late": 3}),
        (["middle", "late"], 2, 3, {"middle": 2, "late": 3}),
        (["early", "middle", "late"], 3, 3, {"early": 2, "middle": 3, "late": 3}),
    ],
)
def test_streams_of_each_topology(sites, encoders, decoders, joined):
    network = build_streams(sites, fusion="mixture")
    assert (len(network.encoders), len(network.decoders)) == (encoders, decoders)
    assert {site: len(fuse.scales[0].alpha) for site, fuse in network.fusions.items()} == joined


@pytest.mark.parametrize("sites", TOPOLOGIES)
def test_what_is_joined_goes_from_early_to_late_alone(sites):
    """Every site is reached once, in order, and what it answers does not hang on what comes later."""
    network, order = build_streams(sites), []
    for site, fuse in network.fusions.items():
        fuse.register_forward_hook(lambda *_, site=site: order.append(site))
    network(torch.rand(1, 2, 8, 8))
    assert order == list(sites)


@pytest.mark.parametrize("sites", TOPOLOGIES)
def test_every_sequence_and_every_weight_plays_a_part(sites):
    network = build_streams(sites, fusion="gated").train()
    x = torch.rand(2, 2, 8, 8, requires_grad=True)
    network(x).square().sum().backward()
    assert (x.grad.abs().flatten(2).sum(2) > 0).all()
    assert all(p.grad is not None for p in network.parameters())


def test_sum_does_not_ask_for_the_order_of_sequences():
    """With the same first blocks, encoders and decoders."""
    network, x = build_streams(SITES), torch.rand(1, 2, 8, 8)
    for part in (network.enter, network.encoders, network.decoders):
        part["sequence_1"].load_state_dict(part["sequence_0"].state_dict())
    torch.testing.assert_close(network(x), network(x.flip(1)))
    assert JOINT in network.encoders


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("sides", [(17, 22), (9, 12, 10)])
def test_detector_of_three_sequences_has_one_map_and_three_twins(fusion, sides):
    torch.manual_seed(0)
    options = {"in_channels": 3, "channels": [4, 8], "dims": len(sides)}
    detector, x = DETECTORS.build("fusion_unet", fusion=fusion, **options).eval(), torch.rand(2, 3, *sides)
    detection = detector.detect(x, torch.ones(2, 1, *sides))
    assert detection.map.shape == (2, 1, *sides)
    assert detection.image.shape == x.shape
    assert DETECTORS.build("fusion_unet", rebuild=0, **options).eval().detect(x, x[:, :1]).image is None
