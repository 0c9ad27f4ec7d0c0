"""The blocks that the U-Net of guided diffusion is made of, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from einops import pack, rearrange, unpack
from torch import Tensor, nn

from diffad.models.resampling import Doubling, Halving

Resample = Callable[[Tensor], Tensor]


def halve(x: Tensor) -> Tensor:
    """Average every block of 2^d positions of ``x`` (B, C, *S)."""
    if x.ndim == 4:
        return F.avg_pool2d(x, 2)
    # Without a GPU torch pools volumes in single precision only.
    narrow = x.device.type == "cpu" and x.dtype.itemsize == 2
    return F.avg_pool3d(x.float() if narrow else x, 2).to(x.dtype)


def double(x: Tensor) -> Tensor:
    """Repeat every position of ``x`` (B, C, *S) twice along each spatial axis."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def make_conv(dims: int, width: int, out: int, kernel: int = 3) -> nn.Module:
    """Return a convolution over ``dims`` spatial axes that keeps their lengths."""
    layer = nn.Conv2d if dims == 2 else nn.Conv3d
    return layer(width, out, kernel, padding=kernel // 2)


def zero_weights(module: nn.Module) -> nn.Module:
    """Set all weights of ``module`` to 0, so that training begins at the identity."""
    for weights in module.parameters():
        nn.init.zeros_(weights)
    return module


class ResidualBlock(nn.Module):
    r"""Two convolutions that the time and the condition steer in between.

    .. math:: h' = \mathrm{GN}(h) (1 + s) + b \quad \text{with } (s, b) = W\,\mathrm{SiLU}(e) + w,
        \quad \text{or } h' = \mathrm{GN}(h + W\,\mathrm{SiLU}(e) + w) \text{ without FiLM}

    Args:
        dims: Spatial axes, 2 or 3.
        width: Channels in.
        out: Channels out.
        embedding: Length of :math:`e`, the time and the condition side by side.
        film: Scale and shift after the normalisation, instead of an addition before it.
        groups: Groups of the normalisation.
        dropout: Share of activations dropped in training.
        resample: What changes the lengths on both branches: ``halve``, ``double`` or None.

    Reference:
        Diffusion Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), section 3.
    """

    def __init__(
        self,
        dims: int,
        width: int,
        out: int,
        embedding: int,
        film: bool,
        groups: int,
        dropout: float = 0.0,
        resample: Resample | None = None,
    ) -> None:
        super().__init__()
        self.dims, self.film, self.resample = dims, film, resample
        self.norm_in = nn.GroupNorm(groups, width)
        self.conv_in = make_conv(dims, width, out)
        self.modulation = nn.Linear(embedding, 2 * out if film else out)
        self.norm_out = nn.GroupNorm(groups, out)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zero_weights(make_conv(dims, out, out))
        self.skip = make_conv(dims, width, out, kernel=1) if width != out else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S), steered by ``emb`` (B, embedding), to (B, out, *S')."""
        h = F.silu(self.norm_in(x))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = self.modulate(self.conv_in(h), emb)
        return self.skip(x) + self.conv_out(self.dropout(F.silu(h)))

    def modulate(self, h: Tensor, emb: Tensor) -> Tensor:
        """Normalise ``h`` (B, out, *S), scaled and shifted by ``emb`` (B, embedding)."""
        modulation = rearrange(self.modulation(F.silu(emb)), "b c -> b c" + " 1" * self.dims)
        if not self.film:
            return self.norm_out(h + modulation)
        scale, shift = modulation.chunk(2, dim=1)
        return self.norm_out(h) * (1 + scale) + shift


class SelfAttention(nn.Module):
    r"""Lets every position look at all others, added to what was there.

    .. math:: x + W_o \, \mathrm{softmax}(q k^\top / \sqrt{d}) \, v, \quad (q, k, v) = W \, \mathrm{GN}(x)

    Args:
        width: Channels.
        heads: Heads, each with :math:`d` = width / heads channels.
        groups: Groups of the normalisation.

    Reference:
        Attention Is All You Need (Vaswani et al., 2017), equation 1.
    """

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = zero_weights(nn.Linear(width, width))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) to its like; ``emb`` is taken so that all blocks are called alike."""
        tokens, shape = pack([rearrange(self.norm(x), "b c ... -> b ... c")], "b * c")
        q, k, v = rearrange(self.qkv(tokens), "b n (a h c) -> a b h n c", a=3, h=self.heads)
        attention = rearrange(F.scaled_dot_product_attention(q, k, v), "b h n c -> b n (h c)")
        (y,) = unpack(self.out(attention), shape, "b * c")
        return x + rearrange(y, "b ... c -> b c ...")


class Stage(nn.Module):
    """Blocks run one after the other, all steered by the same vector."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map ``x`` (B, C, *S) through the blocks, each seeing ``emb`` (B, E)."""
        for block in self.blocks:
            x = block(x, emb)
        return x


@dataclass(frozen=True)
class Blocks:
    """Builds blocks that share everything but their widths.

    Args:
        dims: Spatial axes, 2 or 3.
        embedding: Length of the vector that steers the residual blocks.
        film: Whether it scales and shifts, or is added.
        groups: Groups of the normalisation.
        dropout: Share of activations dropped in training.
        heads: Heads of the attention, where ``head_channels`` is 0.
        head_channels: Channels of a head, or 0.
        resample: "block" to change lengths in a residual block, or "convolution".
    """

    dims: int
    embedding: int
    film: bool
    groups: int
    dropout: float
    heads: int
    head_channels: int
    resample: str = "block"

    def make_residual(self, width: int, out: int, resample: Resample | None = None) -> ResidualBlock:
        """Return a residual block from ``width`` to ``out`` channels."""
        return ResidualBlock(
            self.dims, width, out, self.embedding, self.film, self.groups, self.dropout, resample
        )

    def make_halving(self, width: int) -> nn.Module:
        """Return what halves the lengths of ``width`` channels."""
        return (
            self.make_residual(width, width, halve) if self.resample == "block" else Halving(self.dims, width)
        )

    def make_doubling(self, width: int) -> nn.Module:
        """Return what doubles the lengths of ``width`` channels."""
        return (
            self.make_residual(width, width, double)
            if self.resample == "block"
            else Doubling(self.dims, width)
        )

    def make_attention(self, width: int) -> SelfAttention:
        """Return self-attention over ``width`` channels.

        Raises:
            ValueError: If the heads do not divide the width.
        """
        count = self.head_channels or self.heads
        if count < 1 or width % count:
            option = "head_channels" if self.head_channels else "heads"
            raise ValueError(f"expected {option} that divides the width {width}, got {count}")
        return SelfAttention(width, width // count if self.head_channels else count, self.groups)
