"""A network that is evaluated in parts gives the answer it gives at once."""

import pytest
import torch

from diffad.models.chunked import Chunked


def network(calls):
    def answer(x_t, labels, image=None, scale=1.0):
        calls.append(len(x_t))
        return x_t * labels[:, None, None, None] + (0 if image is None else image) * scale

    return answer


@pytest.mark.parametrize(("size", "parts"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (9, [5])])
def test_parts_give_the_answer_of_the_whole(size, parts):
    x, labels, image = torch.rand(5, 1, 4, 4), torch.arange(5), torch.rand(5, 1, 4, 4)
    whole = network([])(x, labels, image=image, scale=0.5)
    calls = []
    y = Chunked(network(calls), size)(x, labels, image=image, scale=0.5)
    assert torch.equal(y, whole)
    assert calls == parts


def test_size_below_one_raises():
    with pytest.raises(ValueError, match="expected batch_size of at least 1, got 0"):
        Chunked(network([]), 0)
