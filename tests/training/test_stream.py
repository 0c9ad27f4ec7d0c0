"""The stream of items depends on nothing but its seed."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.toy import Toy
from diffad.training.stream import Stream, StreamShard, make_loader

DATA = Toy(size=8, count=5)


def numbers(*args):
    return [g for batch in make_loader(Stream(DATA, 0), *args) for g in batch[2].tolist()]


def test_every_epoch_shows_each_item_once_in_another_order():
    stream = Stream(DATA, seed=1)
    epochs = [[stream[e * 5 + i][0] for i in range(5)] for e in range(3)]
    keys = [[round(float(x.sum()), 3) for x in epoch] for epoch in epochs]
    assert sorted(keys[0]) == sorted(keys[1]) == sorted(keys[2])
    assert len({tuple(epoch) for epoch in keys}) > 1


def test_item_is_the_same_whoever_asks_whenever():
    one, two = Stream(DATA, seed=3), Stream(DATA, seed=3)
    two[11], two[0]
    assert all(torch.equal(one[g][0], two[g][0]) and one[g][2] == g for g in (0, 7, 12))
    assert any(not torch.equal(one[g][0], Stream(DATA, seed=4)[g][0]) for g in range(5))


@settings(deadline=None, max_examples=25)
@given(
    steps=st.integers(1, 4),
    begin=st.integers(0, 3),
    size=st.integers(1, 3),
    world=st.integers(1, 3),
    parts=st.integers(1, 2),
)
def test_processes_share_out_what_one_process_sees(steps, begin, size, world, parts):
    batch = size * world * parts
    span = (begin, begin + steps)
    alone = numbers(span, batch, 1, 0, 1, 0)
    assert alone == list(range(begin * batch, (begin + steps) * batch))
    shares = [numbers(span, batch, parts, rank, world, 0) for rank in range(world)]
    assert sorted(g for share in shares for g in share) == alone
    for step in range(steps):
        seen = {g for share in shares for g in share[step * size * parts : (step + 1) * size * parts]}
        assert seen == set(alone[step * batch : (step + 1) * batch])


def test_worker_process_gives_the_same_stream():
    here = list(make_loader(Stream(DATA, 0), (1, 3), 4, 2, 0, 1, 0))
    there = list(make_loader(Stream(DATA, 0), (1, 3), 4, 2, 0, 1, 1))
    assert len(here) == len(there) == 4
    for a, b in zip(here, there, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_batch_that_cannot_be_shared_out_raises():
    with pytest.raises(ValueError, match=r"divisible by processes x train\.accumulate = 2 x 3, got 8"):
        make_loader(Stream(DATA, 0), (0, 1), 8, 3, 0, 2, 0)


def test_share_of_no_steps_is_empty():
    assert list(StreamShard((4, 4), 8, 0, 1)) == []


class Drawn(Toy):
    """Toy slices that are dimmed anew in each draw."""

    def draw(self, index, generator):
        item = self[index]
        return replace(item, image=item.image * torch.rand((), generator=generator))


def test_items_that_can_be_drawn_are_drawn_anew_each_epoch_and_alike_for_everyone():
    data = Drawn(size=8, count=5)
    one, two = Stream(data, seed=3), Stream(data, seed=3)
    brightness = [float(one[g][0].max()) for g in range(15)]
    assert len(set(brightness)) == 15
    assert [float(two[g][0].max()) for g in reversed(range(15))] == brightness[::-1]
    in_workers = make_loader(two, (0, 3), 5, 1, 0, 1, 1)
    assert [float(x.max()) for batch in in_workers for x in batch[0]] == brightness
