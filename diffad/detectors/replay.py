"""Generated images of earlier steps, which a discriminator is shown again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Replay(nn.Module):
    """Keeps the last generated images of each of some classes, as part of the state of a run.

    Args:
        classes: Classes of images.
        slots: Images that are kept of each; 0 keeps none.
        shape: Shape of an image, (C, *S).

    Reference:
        Learning from Simulated and Unsupervised Images through Adversarial Training (Shrivastava et al.,
        2017), section 2.3.
    """

    images: Tensor
    count: Tensor

    def __init__(self, classes: int, slots: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(classes, slots, *shape))
        self.register_buffer("count", torch.zeros(classes, dtype=torch.long))

    @torch.no_grad()
    def exchange(self, fakes: Tensor, kind: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Return some of the new images and some of the old ones, half and half once it is full.

        Args:
            fakes: New images, (B, C, *S), which are kept.
            kind: Their class.
            generators: One for each item.
        """
        slots = self.images.shape[1]
        images = fakes.clone()
        for i, generator in enumerate(generators if slots else ()):
            count = int(self.count[kind])
            slot = int(torch.randint(slots, (), generator=generator))
            is_swapped = bool(torch.rand((), generator=generator) < 0.5)
            if count < slots:
                self.images[kind, count], self.count[kind] = fakes[i], count + 1
            elif is_swapped:
                images[i] = self.images[kind, slot]
                self.images[kind, slot] = fakes[i]
        return images

    @torch.no_grad()
    def forget(self) -> tuple[Tensor, Tensor]:
        """Empty it; return what it held, for ``remember``."""
        contents = (self.images.clone(), self.count.clone())
        self.images.zero_()
        self.count.zero_()
        return contents

    @torch.no_grad()
    def remember(self, contents: tuple[Tensor, Tensor]) -> None:
        """Take back what ``forget`` returned."""
        self.images.copy_(contents[0])
        self.count.copy_(contents[1])
