"""Published facts about the boxes of pDDPM (Behrendt et al., 2023), on its slices of 96 x 96."""

import pytest
import torch

from diffad.denoise import NetworkDenoiser
from diffad.samplers.boxes import list_boxes, mark_boxes, place_starts
from diffad.samplers.patched import Patched
from diffad.training.loss import denoising_loss
from tests.helpers.toys import ConstantDenoiser, linear_schedule, white_noise

S = 96
BOXES = {8: 144, 12: 64, 16: 36, 24: 16, 32: 9, 40: 9, 48: 4, 56: 4, 60: 4, 64: 4, 72: 4, 96: 1}
SPREAD = {60: [0, 36], 64: [0, 32], 72: [0, 24], 56: [0, 40], 40: [0, 28, 56], 48: [0, 48]}
COVERED = {
    60: (5184, 3456, 576),
    40: (5184, 3456, 576),
    64: (4096, 4096, 1024),
    72: (2304, 4608, 2304),
    56: (6400, 2560, 256),
}


def slices(count=2):
    return torch.rand(count, 1, S, S, generator=torch.Generator().manual_seed(0)) * 2 - 1


def seeded(count):
    return [torch.Generator().manual_seed(s) for s in range(count)]


def coverage(boxes):
    return mark_boxes(boxes, (S, S)).sum((0, 1))


@pytest.mark.parametrize(("p", "count"), BOXES.items())
def test_number_of_boxes_and_coverage_without_overlap(p, count):
    boxes = list_boxes((S, S), (p, p))
    assert len(boxes) == count
    assert (coverage(boxes) == 1).all()


def test_boxes_of_48_come_row_by_row():
    corners = [(x.start, y.start, x.stop, y.stop) for y, x in list_boxes((S, S), (48, 48))]
    assert corners == [(0, 0, 48, 48), (48, 0, 96, 48), (0, 48, 48, 96), (48, 48, 96, 96)]


def test_last_boxes_of_60_are_36_wide():
    assert [(y.stop - y.start, x.stop - x.start) for y, x in list_boxes((S, S), (60, 60))][-1] == (36, 36)


@pytest.mark.parametrize(("p", "places"), SPREAD.items())
def test_published_overlap(p, places):
    assert place_starts(S, p, placement="spread") == places


@pytest.mark.parametrize(("p", "counts"), COVERED.items())
def test_pixels_by_coverage(p, counts):
    covered = coverage(list_boxes((S, S), (p, p), placement="spread"))
    assert tuple(int((covered == n).sum()) for n in (1, 2, 4)) == counts
    assert sum(counts) == S * S


@pytest.mark.parametrize(
    "options",
    [*({"box": p, "placement": "spread"} for p in SPREAD), *({"box": p} for p in (40, 48, 60, 96))],
    ids=str,
)
@pytest.mark.parametrize("blend", ["mean", "gaussian"])
def test_a_network_that_returns_the_image_is_stitched_to_the_image(options, blend):
    x = slices()
    for image in (x, torch.full_like(x, 0.3)):
        twin = Patched(blend=blend, **options)(
            image, ConstantDenoiser(image), white_noise, generator=seeded(2)
        ).image
        torch.testing.assert_close(twin, image, rtol=0, atol=1e-6)


def test_boxes_that_divide_the_image_are_copied_exactly():
    x = slices()
    twin = Patched(48)(x, ConstantDenoiser(x), white_noise, generator=seeded(2)).image
    assert torch.equal(twin, x)


class Scaled(torch.nn.Module):
    """A network whose every pixel answers alone, and whose answer can be asked for its gradient."""

    def forward(self, x_t, labels):
        self.shown, self.answer = x_t, (0.9 * x_t).detach().requires_grad_()
        return self.answer


@pytest.mark.parametrize("p", [48, 60])
def test_loss_is_that_of_the_box_alone(p):
    x, network, t = slices(4), Scaled(), torch.full((4,), 500)
    mask, schedule = torch.ones_like(x), linear_schedule()
    made = Patched(p).example(x, mask, t, white_noise, schedule, seeded(4))
    outside = ~made.region
    assert torch.equal(made.x_t[outside], x[outside])

    loss = denoising_loss(network, made, t, schedule, "sample", "l1")
    loss.sum().backward()
    gradient = network.answer.grad
    assert (gradient[outside] == 0).all()
    assert (gradient[made.region] != 0).all()

    # as published, the answer is overwritten outside the box and the mean is taken over the whole slice
    pasted = torch.where(made.region, network.answer, x)
    published = (pasted - x).abs().mean((1, 2, 3))
    share = made.region.float().mean((1, 2, 3))
    torch.testing.assert_close(loss * share, published)
    if p == 48:
        torch.testing.assert_close(share, torch.full((4,), 48**2 / 96**2))


class Tiny(torch.nn.Module):
    """A convolution and a normalisation over the whole slice, as a U-Net has."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 1, 5, padding=2)
        )

    def forward(self, x_t, labels):
        return self.layers(x_t)


@pytest.fixture
def denoiser():
    return NetworkDenoiser(Tiny(), linear_schedule(), "sample")


def test_batched_boxes_equal_looped_boxes_with_a_real_network(denoiser):
    x = slices(3)
    batched, looped = (
        Patched(48, at_once=at_once)(x, denoiser, white_noise, generator=seeded(3)).image
        for at_once in (None, 1)
    )
    torch.testing.assert_close(batched, looped, rtol=0, atol=1e-5)


def test_permuted_slices_give_the_permuted_volume(denoiser):
    x, order = slices(3), [2, 0, 1]
    rng = seeded(3)
    moved = Patched(48)(x[order], denoiser, white_noise, generator=[rng[i] for i in order]).image
    straight = Patched(48)(x, denoiser, white_noise, generator=seeded(3)).image
    torch.testing.assert_close(moved, straight[order], rtol=0, atol=1e-5)
