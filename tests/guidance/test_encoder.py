"""Controls of a condition: what the network is told of instead of the scan."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.slices import to_slices
from diffad.denoise import NetworkDenoiser
from diffad.guidance.encoder import EncoderCondition, lateral_axis, neighbour_indices, shuffle_indices
from tests.helpers.toys import GaussianDenoiser, linear_schedule


class Teller(GaussianDenoiser):
    """A denoiser whose condition is the mean of the image it is told of."""

    def conditions(self, image, mask):
        return {"embedding": image.flatten(1).mean(1, keepdim=True)}


def guided(source, **options):
    return EncoderCondition(source, **options)(Teller())


@pytest.fixture(params=[(4, 2, 6, 5), (3, 1, 4, 5, 6)], ids=["2-D", "3-D"])
def x(request):
    return torch.rand(request.param, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("source", ["self", "zero"])
def test_self_and_zero_keep_the_images(source, x):
    assert guided(source).reference(x) is x


def test_mirror_swaps_left_and_right_only(x):
    mirrored = guided("mirror").reference(x)
    assert not torch.equal(mirrored, x)
    assert torch.equal(guided("mirror").reference(mirrored), x)
    assert torch.equal(mirrored, x.flip(3) if x.ndim == 4 else x.flip(2))


@pytest.mark.parametrize("axis", ["axial", "coronal"])
def test_mirrored_slices_are_the_slices_of_the_mirrored_volume(axis):
    volume = torch.arange(120.0).reshape(1, 4, 5, 6)  # (C, I, J, K) in RAS: I runs from left to right
    slices, mirrored = to_slices(volume, axis), to_slices(volume.flip(1), axis)
    assert torch.equal(guided("mirror").reference(slices), mirrored)
    assert torch.equal(
        guided("mirror").reference(volume[None])[0], volume.flip(lateral_axis(volume[None]) - 1)
    )


def test_neighbour_is_the_next_slice_and_for_the_last_the_one_before(x):
    told = guided("neighbour").reference(x)
    assert torch.equal(told[:-1], x[1:])
    assert torch.equal(told[-1], x[-2])


def test_shuffled_is_the_same_shuffle_for_the_same_seed(x):
    first, again = (guided("shuffled", seed=3).reference(x) for _ in range(2))
    assert torch.equal(first, again)
    orders = {tuple(shuffle_indices(9, seed).tolist()) for seed in range(20)}
    assert len(orders) > 15


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(0, 99))
def test_shuffle_is_a_permutation_that_leaves_no_item_in_its_place(count, seed):
    order = shuffle_indices(count, seed).tolist()
    assert sorted(order) == list(range(count))
    assert all(i != j for i, j in enumerate(order))


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 40))
def test_no_slice_is_its_own_neighbour(count):
    assert all(abs(i - j) == 1 for i, j in enumerate(neighbour_indices(count).tolist()))


@pytest.mark.parametrize("source", ["neighbour", "shuffled"])
def test_a_single_image_has_no_other(source, x):
    with pytest.raises(ValueError, match="expected at least 2 images to take one from another, got 1"):
        guided(source).reference(x[:1])


def test_zero_source_gives_zeros_and_others_what_the_denoiser_says(x):
    mask = torch.ones_like(x[:, :1])
    assert guided("zero").conditions(x, mask)["embedding"].tolist() == [[0.0]] * len(x)
    for source in ("self", "mirror", "neighbour", "shuffled"):
        assert torch.equal(
            guided(source).conditions(x, mask)["embedding"], Teller().conditions(x, mask)["embedding"]
        )


def test_unknown_source_raises_with_the_known_ones():
    with pytest.raises(ValueError, match=r"source must be one of self, mirror, .*, got 'lesion'"):
        EncoderCondition("lesion")


def test_denoiser_without_conditions_raises(x):
    with pytest.raises(ValueError, match="expected a conditioned network for the guidance 'encoder'"):
        EncoderCondition()(GaussianDenoiser()).conditions(x, torch.ones_like(x[:, :1]))


def test_network_that_asks_for_nothing_raises(x):
    denoiser = NetworkDenoiser(torch.nn.Identity(), linear_schedule())
    with pytest.raises(ValueError, match="expected a conditioned network for the guidance 'encoder'"):
        EncoderCondition()(denoiser).conditions(x, torch.ones_like(x[:, :1]))


def test_free_of_its_clamp_it_is_still_told_of_the_source(x):
    denoiser = NetworkDenoiser(lambda x_t, labels: 3 * x_t, linear_schedule(), "sample")
    free = EncoderCondition("mirror")(denoiser).without_clamp()
    assert free(x, torch.tensor(5)).max() > 1
    assert torch.equal(free.reference(x), guided("mirror").reference(x))
