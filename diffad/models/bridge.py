"""A denoising network that sees learned features of the whole noised image beside a state of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.backbone import BackboneNetwork
from diffad.models.blocks import make_conv
from diffad.models.padding import check_input, check_widths
from diffad.registry import MODELS


@MODELS.register("bridge")
class Bridge(BackboneNetwork):
    r"""Shows a network features of the image noised everywhere, before a state that is noised in a box.

    .. math:: \hat y = f([b, x_\text{in}], t), \quad b = B(x_t), \qquad \hat y_2 = D(b)

    Nothing of the features depends on the level or the box. In training the network also answers
    :math:`\hat y_2`, its target from the features alone, whose error counts ``rebuild`` times as much. Where
    no whole image is given, the state itself is noised everywhere.

    Args:
        backbone: The network by its registered ``name`` with its options, but for the channels.
        widths: Channels of the features at each of their blocks, at full resolution.
        groups: Groups of the normalisation; divides every width.
        rebuild: Weight of the error of the second answer, over the whole image, beside the mean error inside
            the box. The published .5 stands beside the mean over the image, a quarter of which is the box: 2.
        in_channels: Channels C of the state.
        out_channels: Channels of the answer.
        dims: Spatial axes, 2 or 3, which are those of the backbone.

    Raises:
        ValueError: If the backbone has no name or names what is not its to choose, an option has no such
            value, or on call, the whole image is not shaped like the state.

    Reference:
        MCDDPM: Multichannel Conditional Denoising Diffusion Model for Unsupervised Anomaly Detection in Brain
        MRI (Trivedi et al., 2024).

    Example:
        >>> network = MODELS.build("bridge", backbone={"name": "adm", "context": True})
    """

    passed_conditions = ()

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        backbone: Mapping[str, Any],
        widths: Sequence[int] = (128, 256),
        groups: int = 8,
        rebuild: float = 2.0,
        in_channels: int = 1,
        out_channels: int = 1,
        dims: int = 2,
    ) -> None:
        super().__init__()
        _check(widths, groups, rebuild, dims)
        way_in, way_out = [in_channels, *widths], [*reversed(widths), out_channels]
        self.encoder = nn.Sequential(*(FeatureBlock(dims, a, b, groups) for a, b in pairwise(way_in)))
        self.decoder = nn.Sequential(
            *(FeatureBlock(dims, a, b, groups) for a, b in pairwise(way_out[:-1])),
            FeatureBlock(dims, widths[0], out_channels, 1),
        )
        self.build_backbone(backbone, in_channels=widths[-1] + in_channels, out_channels=out_channels)

    @property
    def takes_whole(self) -> bool:
        """Whether it is shown the image noised everywhere: always."""
        return True

    @property
    def rebuild_weight(self) -> float:
        """Weight of the error of its second answer in training."""
        return float(self.config.rebuild)

    def forward(self, x_t: Tensor, labels: Tensor, whole: Tensor | None = None) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,); in training twice.

        Args:
            x_t: State, (B, C, *S).
            labels: Level less 1, (B,).
            whole: The image noised everywhere, (B, C, *S); none takes the state.
        """
        check_input(x_t, self.config.in_channels, self.config.dims, "Bridge")
        whole = x_t if whole is None else whole
        if whole.shape != x_t.shape:
            raise ValueError(f"Bridge expected a whole image {tuple(x_t.shape)}, got {tuple(whole.shape)}")
        features = self.encoder(whole.to(self.dtype))
        state = torch.cat([features, x_t.to(self.dtype)], dim=1)
        answer = cast(Tensor, self.backbone(state, labels))
        if not (self.training and self.config.rebuild):
            return answer
        return torch.cat([answer, self.decoder(features).to(answer.dtype)], dim=1)


class FeatureBlock(nn.Module):
    """Two convolutions, each normalised, beside a linear way past them.

    Args:
        dims: Spatial axes, 2 or 3.
        width: Channels in.
        out: Channels out.
        groups: Groups of the normalisation; divides ``out``.
    """

    def __init__(self, dims: int, width: int, out: int, groups: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([make_conv(dims, width, out), make_conv(dims, out, out)])
        self.norms = nn.ModuleList(nn.GroupNorm(groups, out) for _ in range(2))
        self.skip = make_conv(dims, width, out, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) to (B, out, *S)."""
        h = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.silu(norm(conv(h)))
        y: Tensor = h + self.skip(x)
        return y


def _check(widths: Sequence[int], groups: int, rebuild: float, dims: int) -> None:
    check_widths(widths, groups, "Bridge")
    if not 0 <= rebuild <= 1000:
        raise ValueError(f"Bridge expected rebuild in [0, 1000], got {rebuild}")
    if dims not in (2, 3):
        raise ValueError(f"Bridge expected dims of 2 or 3, got {dims!r}")
