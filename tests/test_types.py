"""Generators follow from their keys, and published streams stay."""

import itertools

import torch

from diffad.types import generator_for


def test_a_key_alone_and_a_pair_are_never_one_stream():
    keys = [*((a,) for a in range(20)), *itertools.product(range(20), range(20))]
    seeds = {generator_for(*k).initial_seed() for k in keys}
    assert len(seeds) == len(keys)
    assert generator_for(5).initial_seed() != generator_for(5, 0).initial_seed()


def test_published_streams_of_pairs_stay():
    drawn = [torch.randint(10**6, (), generator=generator_for(0, k)).item() for k in range(4)]
    assert drawn == [381676, 961164, 415345, 34479]
