"""A network with holes in its input: nothing leaks in or out, and without holes nothing changes."""

import threading

import pytest
import torch

from diffad.models.encoder import Encoder
from diffad.models.sparse import VisibleCells, extract_pyramid

SHAPES = {2: (64, 96), 3: (32, 64, 32)}
NORMS = ["group", "batch"]


class Recording(VisibleCells):
    """Remembers what every layer answered."""

    def __init__(self, cells):
        super().__init__(cells)
        object.__setattr__(self, "answers", [])

    def __call__(self, layer, x):
        y = super().__call__(layer, x)
        self.answers.append((type(layer).__name__, y.clone()))  # activations work in place
        return y


@pytest.fixture(params=[2, 3], ids=["2-D", "3-D"])
def dims(request):
    return request.param


@pytest.fixture(params=NORMS)
def norm(request):
    return request.param


@pytest.fixture
def resnet(dims, norm):
    torch.manual_seed(0)
    return Encoder(depth=10, planes=8, dims=dims, norm=norm).resnet.train()


@pytest.fixture
def x(dims):
    return torch.rand(2, 1, *SHAPES[dims], generator=torch.Generator().manual_seed(1))


@pytest.fixture
def cells(dims):
    """Every other cell, others in each item."""
    grid = [n // 32 for n in SHAPES[dims]]
    pattern = torch.stack(torch.meshgrid(*map(torch.arange, grid), indexing="ij")).sum(0) % 2 == 0
    return torch.stack([pattern, ~pattern])[:, None]


def dense(resnet, x):
    maps, h = [], resnet.maxpool(resnet.act(resnet.bn1(resnet.conv1(x))))
    for stage in (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4):
        h = stage(h)
        maps.append(h)
    return maps


def test_without_holes_it_is_the_dense_network(resnet, x, cells):
    for training in (True, False):
        resnet.train(training)
        maps = extract_pyramid(resnet, x, VisibleCells(torch.ones_like(cells)))
        for mine, theirs in zip(maps, dense(resnet, x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_hidden_positions_are_exactly_zero_after_every_layer(resnet, x, cells):
    visible = Recording(cells)
    extract_pyramid(resnet, x + 1, visible)
    kinds = {kind.rstrip("23d") for kind, _ in visible.answers}
    assert {"Conv", "MaxPool"} < kinds
    assert len(visible.answers) == 1 + 1 + 1 + 4 * 4 + 3 * 2  # stem, blocks, shortcuts of three stages
    for _, y in visible.answers:
        positions = visible.mark_positions(y.shape[2:]).expand_as(y)
        assert positions.any()
        assert not y[~positions].any()
        assert y[positions].any()


def test_pixels_of_hidden_cells_change_nothing(resnet, x, cells):
    visible = VisibleCells(cells)
    hidden_pixels = ~visible.mark_positions(x.shape[2:])
    other = torch.where(hidden_pixels, 1 - x, x)
    pairs = zip(extract_pyramid(resnet, x, visible), extract_pyramid(resnet, other, visible), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_pixels_of_visible_cells_matter(resnet, x, cells):
    first, other = (extract_pyramid(resnet, image, VisibleCells(cells))[-1] for image in (x, x.square()))
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("norm", ["batch"], indirect=True)
def test_batch_statistics_are_those_of_visible_positions(resnet, dims, cells):
    layer, shape = resnet.layer4[0].bn1, SHAPES[dims]
    x = torch.randn(2, 64, *(n // 32 for n in shape), generator=torch.Generator().manual_seed(3)) * 3 + 1
    visible = VisibleCells(cells)
    positions = visible.mark_positions(x.shape[2:])[:, 0]
    values = torch.movedim(x, 1, -1)[positions]
    visible(layer, x)
    assert len(values) == cells.sum()
    torch.testing.assert_close(layer.running_mean, 0.1 * values.mean(0))
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * values.var(0))
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("norm", ["group"], indirect=True)
def test_group_statistics_are_those_of_visible_positions(resnet, dims, cells):
    layer = resnet.layer4[0].bn1
    x = torch.randn(2, 64, *(n // 32 for n in SHAPES[dims]), generator=torch.Generator().manual_seed(3)) * 3
    visible = VisibleCells(cells)
    y, positions = visible(layer, x), visible.mark_positions(x.shape[2:])
    for item, mask in zip(y, positions, strict=True):
        values = item[:, mask[0]].reshape(layer.num_groups, -1)
        torch.testing.assert_close(values.mean(1), torch.zeros(8), rtol=0, atol=1e-5)
        torch.testing.assert_close(values.var(1, correction=0), torch.ones(8), rtol=1e-3, atol=0)


def test_two_masks_at_once_do_not_meet(resnet, x, cells):
    resnet.eval()
    masks = [cells, ~cells]
    alone = [extract_pyramid(resnet, x, VisibleCells(m)) for m in masks]
    results = [None, None]

    def look(i):
        for _ in range(3):
            results[i] = extract_pyramid(resnet, x, VisibleCells(masks[i]))

    threads = [threading.Thread(target=look, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, theirs in zip(results, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_network_itself_is_left_as_it_was(resnet, x, cells):
    resnet.eval()
    before = [m.clone() for m in dense(resnet, x)]
    extract_pyramid(resnet, x, VisibleCells(cells))
    assert all(torch.equal(a, b) for a, b in zip(dense(resnet, x), before, strict=True))


def test_coarse_position_is_visible_where_any_pixel_under_it_is():
    cells = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    cells[0, 0, 0, 3] = True
    visible = VisibleCells(cells)
    assert visible.mark_positions(torch.Size([2, 2]))[0, 0].tolist() == [[False, True], [False, False]]
    assert visible.mark_positions(torch.Size([8, 8])).sum() == 4


def test_cells_that_do_not_fit_the_positions_raise():
    visible = VisibleCells(torch.ones(1, 1, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected cells \(4, 4\) that fit positions \(3, 4\)"):
        visible.mark_positions(torch.Size([3, 4]))
