"""What the paper of UniAD states in numbers."""

import pytest
import torch

from diffad.config import load
from diffad.detectors.query import QueryTransformer, block_neighbours
from diffad.detectors.uniad import shake
from diffad.registry import DETECTORS


def test_published_mask_of_neighbours():
    blocked = block_neighbours(14, 7)
    per_cell = blocked.sum(1).reshape(14, 14)
    assert int(per_cell[7, 7]) == 49
    assert int(per_cell[0, 0]) == 16
    assert int(per_cell.sum()) == 7_396


def test_published_count_of_weights():
    assert sum(p.numel() for p in QueryTransformer(272, 14).parameters()) == 7_717_392


def test_published_training():
    config = load("uniad", ["variant=paper"])
    assert (config.train.lr, config.train.weight_decay, config.train.clip_norm) == (1e-4, 1e-4, 0.1)
    assert (config.train.batch_size, config.space.size) == (8, 224)
    network = DETECTORS.build("uniad", weights="random")
    options = {
        name: network.config[name] for name in ("width", "heads", "layers", "hidden", "reach", "jitter")
    }
    assert options == {"width": 256, "heads": 8, "layers": 4, "hidden": 1024, "reach": 7, "jitter": 20.0}
    assert network.config.dropout == 0.1


def test_features_are_shaken_by_their_length():
    """|noise| / |token| is 20 / sqrt(272) = 1.2127 on average."""
    tokens = torch.rand(4, 196, 272, generator=torch.Generator().manual_seed(0))
    generators = [torch.Generator().manual_seed(i) for i in range(4)]
    ratio = (shake(tokens, 20.0, generators) - tokens).norm(dim=2) / tokens.norm(dim=2)
    assert float(ratio.mean()) == pytest.approx(20 / 272**0.5, rel=0.005)


def test_perfect_features_give_a_map_of_exactly_zero():
    detector = DETECTORS.build(
        "uniad", size=64, weights="random", reach=1, width=16, heads=2, layers=1
    ).eval()
    detector.transformer = torch.nn.Identity()
    x = torch.rand(2, 1, 40, 48)
    assert not detector.detect(x, torch.ones_like(x)).map.any()


def test_a_cell_is_rebuilt_without_itself_and_its_neighbours():
    """In one layer each, nothing of the window comes through; further off, it does."""
    torch.manual_seed(0)
    network = QueryTransformer(3, 6, width=8, heads=2, layers=1, inner_width=8, reach=3).double().eval()
    x = torch.randn(1, 36, 3, dtype=torch.double)
    other = x.clone()
    other[0, 14] += 5
    layer, place, key = network.encoder[0].attention, torch.zeros(36, 8).double(), network.into
    before, after = (
        layer.look(key(v) + place, key(v) + place, key(v), network.block_mask) for v in (x, other)
    )
    changed = (before - after)[0].abs().amax(1) > 1e-9
    # what asks changes too, but only where it is itself that asks
    assert not changed[[7, 8, 9, 13, 15, 19, 20, 21]].any()
    assert changed[[0, 5, 30, 35]].all()


def test_every_layer_has_a_query_of_its_own():
    network = QueryTransformer(3, 4, width=8, heads=2, layers=3, inner_width=8, reach=1)
    queries = [layer.query for layer in network.decoder]
    assert [q.shape for q in queries] == [(16, 8)] * 3
    assert not torch.equal(queries[0], queries[1])
