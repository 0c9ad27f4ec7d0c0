"""Images in the network's space with all that is known of each, to be scored together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffad.data.window import Corner, Window, crop_windows


@dataclass(frozen=True)
class ImageBatch:
    """Images, and what their scores follow from.

    Args:
        image: Images in [0, 1], (N, C, *S).
        brain: Brain masks, (N, 1, *S).
        cond_image: What the denoiser is conditioned on, (N, C, *S).
        neighbours: Slices below and above each, (N, 2 N' C, *S), in [0, 1]; no channels for a network that is
            shown none.
        region: Where the reconstructions may differ, (N, 1, *S), in [0, 1]; none leaves it to the sampler.
        where: Orientation and position of each slice in the brain, (N, 2).
        keys: What the noise of each follows from, next to the seed.
    """

    image: Tensor
    brain: Tensor
    cond_image: Tensor
    neighbours: Tensor
    region: Tensor | None
    where: Tensor
    keys: Sequence[int]

    def __len__(self) -> int:
        return len(self.image)

    def select(self, items: list[int]) -> ImageBatch:
        """Return some of the images."""
        batch = self._map_images(lambda x: x[items])
        return replace(batch, where=self.where[items], keys=[self.keys[i] for i in items])

    def crop(self, window: Window, corners: Sequence[Corner]) -> ImageBatch:
        """Return what lies in a window of each image, at its corner."""
        return self._map_images(lambda x: crop_windows(x, window, corners))

    def to(self, device: torch.device) -> ImageBatch:
        """Return the same on a device."""
        return replace(self._map_images(lambda x: x.to(device)), where=self.where.to(device))

    def _map_images(self, change: Callable[[Tensor], Tensor]) -> ImageBatch:
        return replace(
            self,
            image=change(self.image),
            brain=change(self.brain),
            cond_image=change(self.cond_image),
            neighbours=change(self.neighbours),
            region=None if self.region is None else change(self.region),
        )
