"""An endless, stateless stream of training items: item g is the same whoever asks, whenever.

The order, the image, the augmentation, the level and the noise of item g follow from (seed, g) alone. A
resumed run, or one on more processes, therefore sees exactly what an uninterrupted run on one process sees.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from diffad.data.items import Dataset, TrainingItem, draw_item
from diffad.data.neighbours import stack_neighbours
from diffad.data.place import tabulate_places
from diffad.types import generator_for


@lru_cache(maxsize=4)
def _shuffle(seed: int, epoch: int, length: int) -> Tensor:
    return torch.randperm(length, generator=generator_for(seed, 0, epoch))


StreamItem = tuple[Tensor, Tensor, int, int, Tensor, Tensor]
"""Image, mask, g, label, place and neighbours.

-1 is for no label, a row of -1 and 0 for no place, an image without channels for no neighbours.
"""


class Stream(TorchDataset[StreamItem]):
    """Item g of an endless pass over ``data``, shuffled anew each epoch.

    Args:
        data: The data set.
        seed: Which order.
    """

    def __init__(self, data: Dataset, seed: int) -> None:
        self.data = data
        self.seed = seed

    def draw(self, g: int) -> TrainingItem:
        """Draw item g."""
        epoch, position = divmod(g, len(self.data))
        index = int(_shuffle(self.seed, epoch, len(self.data))[position])
        return draw_item(self.data, index, generator_for(self.seed, 7, g))

    def __getitem__(self, g: int) -> StreamItem:
        item = self.draw(g)
        label, place = -1 if item.label is None else item.label, tabulate_places([item.place])[0]
        return item.image, item.mask, g, label, place, stack_neighbours([item])[0]


class StreamShard(Sampler[int]):
    """The numbers of the items that one process trains on, step after step.

    Args:
        steps: First and last (exclusive) optimiser step.
        batch_size: Items per step over all processes.
        rank: Number of the process, from 0.
        world_size: How many processes there are.
    """

    def __init__(self, steps: tuple[int, int], batch_size: int, rank: int, world_size: int) -> None:
        self.steps, self.batch_size, self.rank, self.world_size = steps, batch_size, rank, world_size

    def __iter__(self) -> Iterator[int]:
        for step in range(*self.steps):
            first, end = step * self.batch_size, (step + 1) * self.batch_size
            yield from range(first + self.rank, end, self.world_size)


def make_loader(
    stream: Stream,
    steps: tuple[int, int],
    batch_size: int,
    accumulate: int,
    rank: int,
    world_size: int,
    workers: int,
) -> DataLoader[StreamItem]:
    """Load what one process trains on at every step, in ``accumulate`` equal micro-batches.

    Raises:
        ValueError: If the batch cannot be shared out evenly.
    """
    if batch_size % (world_size * accumulate):
        raise ValueError(
            "expected train.batch_size divisible by processes x train.accumulate = "
            f"{world_size} x {accumulate}, got {batch_size}"
        )
    shard = StreamShard(steps, batch_size, rank, world_size)
    size = batch_size // (world_size * accumulate)
    return DataLoader(stream, size, sampler=shard, num_workers=workers, worker_init_fn=_ignore_ctrl_c)


def make_pass_loader(stream: Stream, batch_size: int, workers: int) -> DataLoader[StreamItem]:
    """Load each item of a data set once, in batches of which the last may be smaller."""
    numbers = range(len(stream.data))
    return DataLoader(stream, batch_size, sampler=numbers, num_workers=workers, worker_init_fn=_ignore_ctrl_c)


def _ignore_ctrl_c(worker: int) -> None:
    """Let the training process decide when to stop: a terminal sends Ctrl-C to its workers too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
