"""Any size fits a network, and the pad leaves no trace."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diffad.models.padding import crop_back, pad_to_multiple, run_padded


@settings(deadline=None, max_examples=40)
@given(
    shape=st.lists(st.integers(1, 19), min_size=2, max_size=3),
    multiple=st.sampled_from([1, 2, 4, 8]),
    seed=st.integers(0, 2**31),
)
def test_crop_back_undoes_pad_to_multiple(shape, multiple, seed):
    assume(np.prod(shape) > 1)
    x = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(seed))
    padded, crop = pad_to_multiple(x, multiple)
    assert all(
        n % multiple == 0 and 0 <= n - m < multiple for n, m in zip(padded.shape[2:], shape, strict=True)
    )
    assert torch.equal(crop_back(padded, crop), x)


def test_pad_is_even_and_repeats_the_border():
    padded, _ = pad_to_multiple(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 4)
    assert padded[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_fitting_sizes_are_passed_on_as_they_are():
    x = torch.rand(1, 1, 8, 4)
    assert pad_to_multiple(x, 4)[0] is x


@pytest.mark.parametrize("shape", [(5, 7), (3, 8, 6)])
def test_network_sees_multiples_and_its_answer_is_cropped(shape):
    x, shapes = torch.rand(2, 1, *shape), []

    def network(padded):
        shapes.append(padded.shape[2:])
        return torch.cat([padded, -padded], 1)

    y = run_padded(network, x, 4)
    assert all(n % 4 == 0 for n in shapes[0])
    assert torch.equal(y, torch.cat([x, -x], 1))


def test_wrong_input_raises():
    with pytest.raises(ValueError, match="multiple >= 1"):
        pad_to_multiple(torch.zeros(1, 1, 4, 4), 0)
    with pytest.raises(ValueError, match=r"expected x \(B, C, \*S\)"):
        pad_to_multiple(torch.zeros(1, 4), 2)
