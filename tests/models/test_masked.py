"""The masked autoencoder, and the cells it is not shown."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.models.cells import count_cells, draw_cells, find_hidden_pixels
from diffad.models.encoder import Encoder
from diffad.models.masked import MaskedAutoencoder

CASES = {"2-D": ((96, 64), 32), "2-D, odd": ((70, 90), 16), "3-D": ((64, 33, 40), 32)}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    return request.param


def autoencoder(dims=2, cell=32, norm="group"):
    torch.manual_seed(0)
    return MaskedAutoencoder(Encoder(depth=10, planes=8, width=4, dims=dims, norm=norm), cell)


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(20, 200), min_size=2, max_size=3),
    st.sampled_from([8, 16, 32]),
    st.floats(0.2, 0.8),
    st.integers(0, 99),
)
def test_each_item_shows_the_same_number_of_cells(shape, cell, ratio, seed):
    count = torch.tensor(count_cells(shape, cell)).prod().item()
    visible_count = round(count * (1 - ratio))
    generators = [torch.Generator().manual_seed(seed + i) for i in range(3)]
    if not 0 < visible_count < count:
        with pytest.raises(ValueError, match="leave some cells visible and some hidden, got "):
            draw_cells(shape, cell, ratio, generators)
        return
    assert draw_cells(shape, cell, ratio, generators).flatten(1).sum(1).tolist() == [visible_count] * 3


def test_cells_of_an_item_follow_from_its_generator_alone(generators):
    together = draw_cells((128, 128), 16, 0.65, generators(1, 2, 3))
    assert torch.equal(draw_cells((128, 128), 16, 0.65, generators(2))[0], together[1])
    assert not torch.equal(together[0], together[1])


def test_cells_are_drawn_evenly(generators):
    share = draw_cells((96, 96), 32, 0.65, generators(*range(900))).float().mean(0)
    torch.testing.assert_close(share, torch.full((1, 3, 3), 1 / 3), rtol=0, atol=0.06)


def test_pixels_of_a_cell_are_hidden_together():
    cells = torch.tensor([[[[True, False], [False, True]]]])
    hidden_pixels = find_hidden_pixels(cells, 4, (7, 8))
    assert hidden_pixels.shape == (1, 1, 7, 8)
    assert not hidden_pixels[0, 0, :4, :4].any()
    assert hidden_pixels[0, 0, :4, 4:].all()
    assert hidden_pixels[0, 0, 4:, :4].all()
    assert not hidden_pixels[0, 0, 4:, 4:].any()


def test_painted_image_has_the_shape_of_the_image(case, generators):
    shape, cell = case
    cells = draw_cells(shape, cell, 0.65, generators(1, 2))
    answer = autoencoder(len(shape), cell)(images(2, 1, *shape), cells)
    assert answer.shape == (2, 1, *shape)
    assert answer.std() > 0


@torch.no_grad()
def test_hidden_pixels_have_no_say_in_what_is_painted(case, generators):
    shape, cell = case
    x, cells = images(2, 1, *shape), draw_cells(shape, cell, 0.65, generators(1, 2))
    other = torch.where(find_hidden_pixels(cells, cell, shape), 1 - x, x)
    network = autoencoder(len(shape), cell).eval()
    assert not torch.equal(x, other)
    assert torch.equal(network(x, cells), network(other, cells))


@torch.no_grad()
def test_item_alone_equals_item_in_batch_in_training_with_group_norm(generators):
    x, cells = images(3, 1, 96, 96), draw_cells((96, 96), 32, 0.65, generators(1, 2, 3))
    network = autoencoder().train()
    together = network(x, cells)
    for i in range(3):
        alone = network(x[i : i + 1], cells[i : i + 1])[0]
        torch.testing.assert_close(alone, together[i], rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_gradient_reaches_all_but_the_head(norm, generators):
    network = autoencoder(norm=norm).train()
    network(images(2, 1, 96, 96), draw_cells((96, 96), 32, 0.65, generators(1, 2))).square().mean().backward()
    without = {n for n, p in network.named_parameters() if p.grad is None}
    assert without == {"encoder.resnet.fc.weight", "encoder.resnet.fc.bias"}
    assert network.encoder.resnet.conv1.weight.grad.abs().max() > 0


@pytest.mark.parametrize("cell", [0, 12, 48])
def test_cells_that_do_not_fit_the_strides_raise(cell):
    with pytest.raises(ValueError, match=f"expected cells that divide 32 or are multiples of it, got {cell}"):
        autoencoder(cell=cell)


def test_cells_of_another_image_raise(generators):
    cells = draw_cells((96, 96), 32, 0.65, generators(1, 2))
    with pytest.raises(ValueError, match=r"expected cells \(2, 1, 3, 2\) for images \[96, 64\], got"):
        autoencoder()(images(2, 1, 96, 64), cells)
