"""The network that may be told of a class."""

import pytest
import torch

from diffad.models.labelled import Labelled

BACKBONE = {"name": "unet2d", "channels": [8], "layers": 1, "groups": 4}
LABELS = torch.tensor([0, 41])


@pytest.fixture
def x():
    return torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def network(**options):
    torch.manual_seed(0)
    return Labelled(BACKBONE, **{"width": 6, **options}).eval()


@torch.no_grad()
def test_no_label_is_the_null_label(x):
    net = network()
    assert net.null == 2
    assert torch.equal(net(x, LABELS), net(x, LABELS, y=torch.tensor([2, 2])))


@torch.no_grad()
def test_label_changes_the_answer_for_its_own_item_only(x):
    net = network()
    y, other = (net(x, LABELS, y=torch.tensor(labels)) for labels in ([0, 1], [0, 0]))
    assert torch.equal(y[0], other[0])
    assert not torch.allclose(y[1], other[1])


@torch.no_grad()
def test_labels_are_dropped_by_chance_in_training_only(x):
    net, y = network(drop=0.25), torch.zeros(4000, dtype=torch.long)
    assert torch.equal(net._drop_labels(y), y)
    net.train()
    torch.manual_seed(3)
    labels = net._drop_labels(y)
    assert set(labels.tolist()) == {0, net.null}
    assert 0.22 < (labels == net.null).float().mean() < 0.28
    torch.manual_seed(3)
    assert torch.equal(net._drop_labels(y), labels)


@torch.no_grad()
@pytest.mark.parametrize(("drop", "label"), [(1.0, 2), (0.0, 1)])
def test_certain_drop_hides_every_label_and_none_hides_no_label(x, drop, label):
    net = network(drop=drop).train()
    labels = net(x, LABELS, y=torch.tensor([1, 1]))
    expected, other = (net.eval()(x, LABELS, y=torch.full((2,), y)) for y in (label, 3 - label))
    torch.testing.assert_close(labels, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(labels, other, atol=1e-3)


def test_network_without_a_drop_draws_nothing(x):
    net, before = network(drop=0.0).train(), torch.get_rng_state()
    net(x, LABELS, y=torch.tensor([0, 1]))
    assert torch.equal(torch.get_rng_state(), before)


def test_gradient_reaches_the_rows_of_the_labels_only(x):
    net = network()
    net(x, LABELS, y=torch.tensor([0, 2])).square().sum().backward()
    assert net.table.weight.grad.any(1).tolist() == [True, False, True]


@pytest.mark.parametrize("y", [[-1, 0], [0, 3]])
def test_label_out_of_range_raises(x, y):
    with pytest.raises(ValueError, match=r"expected y in 0\.\.2, where 2 is none, got"):
        network()(x, LABELS, y=torch.tensor(y))


@pytest.mark.parametrize("y", [torch.tensor([0]), torch.tensor([0.0, 1.0]), torch.tensor(0)])
def test_labels_of_another_shape_or_type_raise(x, y):
    with pytest.raises(ValueError, match=r"expected y of int64 with shape \(2,\), got torch"):
        network()(x, LABELS, y=y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "classes and width of 1 or more, got 0 and 6"),
        ({"width": 0}, "classes and width of 1 or more, got 2 and 0"),
        ({"drop": 1.1}, r"drop in 0\.\.1, got 1\.1"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [({}, "a backbone with a name"), ({**BACKBONE, "embedding": 3}, "a backbone without .* got embedding")],
)
def test_backbone_without_name_or_with_ours_raises(backbone, message):
    with pytest.raises(ValueError, match=message):
        Labelled(backbone)
