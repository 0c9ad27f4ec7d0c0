"""What an inner sampler sees of an image through boxes: the image with one box noised, or the box alone.

Either way the inner sampler gets one batch stacked "(k b)": k boxes of each of the b items, the item fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from einops import rearrange, repeat
from torch import Tensor

from diffad.denoise import DenoiserWrapper
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.samplers.boxes import Box, crop_box, mark_boxes
from diffad.types import Generators, generators_for


class BoxView(Protocol):
    """A way to show images through boxes."""

    @property
    def boxes(self) -> Sequence[Box]:
        """The k boxes."""
        ...

    def stack(self, x: Tensor) -> Tensor:
        """Stack the views of whole images (b, C, *S) to "(k b)"."""
        ...

    def parts(self, stacked_states: Tensor) -> list[Tensor]:
        """Take the k boxes, each (b, C, *box), out of a stack of states "(k b)"."""
        ...

    def denoiser(self, denoiser: Denoiser, x: Tensor) -> Denoiser:
        """Return the denoiser of the stack that was made of ``x`` (b, C, *S)."""
        ...


Renoise = Callable[[Tensor, Tensor], Tensor]
"""Draws noise for states (n, C, *S) at levels () or (n,)."""


@dataclass(frozen=True)
class WholeView:
    """Whole images, of which only the box is noised.

    Args:
        boxes: The k boxes.
    """

    boxes: Sequence[Box]

    def stack(self, x: Tensor) -> Tensor:
        """Repeat images (b, C, *S) for each box."""
        return repeat(x, "b ... -> (k b) ...", k=len(self.boxes))

    def parts(self, stacked_states: Tensor) -> list[Tensor]:
        """Cut each box out of its state."""
        states = rearrange(stacked_states, "(k b) ... -> k b ...", k=len(self.boxes))
        return [crop_box(state, box) for state, box in zip(states, self.boxes, strict=True)]

    def denoiser(self, denoiser: Denoiser, x: Tensor) -> Denoiser:
        """Keep all that lies outside the box as it is in ``x``."""
        voxels = mark_boxes(self.boxes, x.shape[2:], x.device)
        return ContextDenoiser(denoiser, self.stack(x), repeat(voxels, "k ... -> (k b) ...", b=len(x)))


@dataclass(frozen=True)
class CropView:
    """The boxes alone, all of one shape.

    Args:
        boxes: The k boxes.
    """

    boxes: Sequence[Box]

    def stack(self, x: Tensor) -> Tensor:
        """Cut each box out of images (b, C, *S)."""
        return torch.cat([crop_box(x, box) for box in self.boxes])

    def parts(self, stacked_states: Tensor) -> list[Tensor]:
        """Take the stack apart."""
        return list(rearrange(stacked_states, "(k b) ... -> k b ...", k=len(self.boxes)))

    def denoiser(self, denoiser: Denoiser, x: Tensor) -> Denoiser:
        """Leave the denoiser as it is."""
        return denoiser


@dataclass(frozen=True, eq=False)
class ContextDenoiser(DenoiserWrapper):
    r"""Shows the network clean surroundings at every level, and never changes them.

    .. math:: x_\text{in} = m x_t + (1 - m) x, \quad \hat x = m f(x_\text{in}, t) + (1 - m) x

    A network that is shown the image noised everywhere gets :math:`x_t` beside it, or the image noised anew.

    Args:
        inner: Denoiser of whole images.
        x: Clean image of each of n states, (n, C, *S).
        voxels: Voxels :math:`m` of the box of each state, (n, 1, *S), bool.
        renoise: Draws other noise for what is noised everywhere; none shows that of the box.
    """

    x: Tensor
    voxels: Tensor
    renoise: Renoise | None = None

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Denoise a stack "(k n)" of k versions of the states, at levels () or (k n,)."""
        if self.inner.takes_whole:
            cond["whole"] = x_t if self.renoise is None else self._noise_anew(x_t, t, self.renoise)
        return self._show_context(self.inner(self._show_context(x_t), t, **cond))

    def _noise_anew(self, x_t: Tensor, t: Tensor, renoise: Renoise) -> Tensor:
        x = repeat(self.x, "n ... -> (k n) ...", k=len(x_t) // len(self.x))
        return self.schedule.add_noise(x, renoise(x_t, t), t)

    def select(self, items: Tensor) -> ContextDenoiser:
        """Return the denoiser of some states of a stack "(k n)", by their numbers.

        Raises:
            ValueError: If noise is drawn anew, as it is for the whole stack.
        """
        if self.renoise is not None:
            raise ValueError("expected all states of a stack whose noise is drawn anew, got some")
        rows = items.to(self.x.device) % len(self.x)
        return ContextDenoiser(self.inner.select(items), self.x[rows], self.voxels[rows])

    def _show_context(self, y: Tensor) -> Tensor:
        versions = rearrange(y, "(k n) ... -> k n ...", n=len(self.x))
        return rearrange(torch.where(self.voxels, versions, self.x), "k n ... -> (k n) ...")


@dataclass(frozen=True)
class SharedNoise:
    """Draws one field for each whole image, that all its boxes share.

    Args:
        noise: Noise of whole images.
        view: How boxes show them.
        like: The whole images, (b, C, *S).
    """

    noise: NoiseGenerator
    view: BoxView
    like: Tensor

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise for a stack "(n k b)" with the generators of its first box."""
        k, b = len(self.view.boxes), len(self.like)
        first = rearrange(torch.arange(len(like)), "(n k b) -> n k b", k=k, b=b)[:, 0].flatten()
        generators = generators_for(generator, len(like))
        images = like.new_zeros((len(first), *self.like.shape[1:]))
        levels = t[first.to(t.device)] if t is not None and t.ndim else t
        z = self.noise(images, levels, generator=[generators[i] for i in first.tolist()])
        return torch.cat([self.view.stack(field) for field in torch.split(z, b)])
