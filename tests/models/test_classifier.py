"""The network that classifies noisy images."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffad.models.classifier import Classifier
from diffad.models.pooling import AttentionPool
from diffad.models.unet2d import UNet2D

SMALL = {"channels": [8, 16], "layers": 1, "groups": 4}
LABELS = torch.tensor([0, 41])


def network(**options):
    torch.manual_seed(0)
    net = Classifier(**{**SMALL, **options}).eval()
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    return net


def image(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (2, 1, 12, 9)),
        ({"in_channels": 3, "classes": 5, "patch": 2}, (2, 3, 7, 10)),
        ({"dims": 3, "in_channels": 2}, (2, 2, 5, 6, 7)),
        ({"pool": "attention", "grid": [6, 5]}, (2, 1, 12, 9)),
        ({"pool": "attention", "grid": [2, 2, 2], "dims": 3}, (2, 1, 7, 8, 5)),
    ],
)
def test_logits_have_one_entry_for_each_class_in_single_precision(options, shape):
    net = network(**options)
    logits = net(image(*shape), LABELS)
    assert logits.shape == (2, net.config.classes)
    assert logits.isfinite().all()
    assert net.bfloat16()(image(*shape), LABELS).dtype == torch.float32


@torch.no_grad()
def test_clean_images_have_a_label_of_their_own():
    net, x = network(), image(2, 1, 8, 8)
    clean, first = (net(x, torch.full((2,), label)) for label in (-1, 0))
    assert clean.isfinite().all()
    assert not torch.equal(clean, first)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"pool": "attention", "grid": (4, 4)}])
def test_item_alone_equals_item_in_batch_in_training_mode_too(options):
    net, x = network(**options).train(), image(2, 1, 8, 8)
    together = net(x, LABELS)
    for i in range(2):
        alone = net(x[i : i + 1], LABELS[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-5)


@torch.no_grad()
def test_padding_repeats_the_border():
    net, x = network(), image(2, 1, 8, 7)
    padded = torch.cat([x, x[..., -1:]], 3)
    assert torch.equal(net(x, LABELS), net(padded, LABELS))


@torch.no_grad()
def test_attention_pool_knows_places_and_the_mean_does_not():
    x = image(1, 1, 4, 4)
    for pool, knows in (("mean", False), ("attention", True)):
        torch.manual_seed(0)
        head = network(pool=pool, grid=(4, 4)).head
        h = x.expand(1, 16, 4, 4) * torch.linspace(0.5, 1, 16)[:, None, None]
        assert torch.allclose(head(h), head(h.flip(2)), atol=1e-6) is not knows


@torch.no_grad()
def test_attention_pool_follows_its_formula():
    torch.manual_seed(0)
    pool, h = AttentionPool(4, 3, heads=1, grid=(2, 3)), image(2, 4, 2, 3)
    tokens = torch.cat([h.flatten(2).mean(2, keepdim=True), h.flatten(2)], 2)
    tokens = (tokens + torch.cat([pool.whole, pool.places.flatten(1)], 1)).mT
    q, k, v = pool.qkv(tokens).chunk(3, 2)
    expected = pool.out((q[:, :1] @ k.mT / 2).softmax(2) @ v)[:, 0]
    torch.testing.assert_close(pool(h), expected)


def test_cheap_classifier_costs_less_than_half_of_its_denoiser():
    x, labels = torch.zeros(1, 1, 104, 88, device="meta"), torch.zeros(1, device="meta")
    costs = []
    for kind in (Classifier, UNet2D):
        with torch.device("meta"):
            net = kind(channels=(32, 64, 96), patch=2, layers=2)
        with FlopCounterMode(display=False) as counter:
            net(x, labels)
        costs.append(counter.get_total_flops())
    assert costs[0] < 0.5 * costs[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": 1}, "dims of 2 or 3, got 1"),
        ({"classes": 1}, "classes of at least 2, got 1"),
        ({"layers": 0}, "in_channels and layers >= 1, got 1 and 0"),
        ({"in_channels": 0}, "in_channels and layers >= 1, got 0 and 1"),
        ({"patch": 0}, "patch of at least 1, got 0"),
        ({"attention": [2, 8]}, r"attention at some of \[1, 2\], got \[2, 8\]"),
        ({"pool": "sum"}, "pool of mean, max, attention, got 'sum'"),
        ({"pool": "attention", "grid": [8]}, r"a grid of 2 lengths of 1 or more, got \[8\]"),
        ({"heads": 3}, "heads that divides the width 16, got 3"),
    ],
)
def test_options_that_do_not_fit_raise(options, message):
    with pytest.raises(ValueError, match=f"expected {message}"):
        network(**options)


@torch.no_grad()
@pytest.mark.parametrize(("attention", "blocks"), [(True, 2), (False, 0), ([1, 2], 3), ([], 0)])
def test_attention_is_where_it_was_asked_for(attention, blocks):
    names = [type(m).__name__ for m in network(attention=attention).modules()]
    assert names.count("SelfAttention") == blocks
