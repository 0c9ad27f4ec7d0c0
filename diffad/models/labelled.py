"""A denoising network with an optional condition: whether the clean image is healthy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.backbone import BackboneNetwork
from diffad.models.neighbours import pass_given
from diffad.registry import MODELS


@MODELS.register("labelled")
class Labelled(BackboneNetwork):
    r"""Joins a network that takes a condition vector with a table of one vector for each label.

    .. math:: \hat y = f(x_t, t, c_y), \quad y \in \{0, \dots, K - 1, \varnothing\}

    One network is both that of a class and that of all classes: in training labels are dropped by chance,
    which is the label :math:`\varnothing`, number K.

    Args:
        backbone: The network by its registered ``name`` with its options, but for the channels and the
            length of the vector.
        classes: Number K of classes; class 0 is healthy.
        width: Length of a vector.
        drop: Chance that a label is dropped in training.
        in_channels: Channels C of the state.
        out_channels: Channels of the answer.

    Raises:
        ValueError: If the backbone has no name, takes no vector or names what is not its to choose, an option
            has no such value, or a label is none of 0..K.

    Reference:
        Classifier-Free Diffusion Guidance (Ho and Salimans, 2021), algorithm 1.

    Example:
        >>> network = MODELS.build("labelled", backbone={"name": "unet2d", "patch": 2})
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        backbone: Mapping[str, Any],
        classes: int = 2,
        width: int = 128,
        drop: float = 0.1,
        in_channels: int = 1,
        out_channels: int = 1,
    ) -> None:
        super().__init__()
        _check(classes, width, drop)
        self.table = nn.Embedding(classes + 1, width)
        channel_options = {"in_channels": in_channels, "out_channels": out_channels}
        self.build_backbone(backbone, **channel_options, embedding=width)

    @property
    def null(self) -> int:
        """The label of an image of unknown class, K."""
        return int(self.config.classes)

    def forward(
        self,
        x_t: Tensor,
        labels: Tensor,
        y: Tensor | None = None,
        place: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,), given the classes.

        Args:
            x_t: State, (B, C, *S).
            labels: Level less 1, (B,).
            y: Class of each item, 0..K-1, or K where it is unknown, (B,); none for all unknown.
            place: Places of the slices, (B, 2), where the backbone takes them; or none.
            neighbours: Slices below and above each, (B, 2 N C, *S), where the backbone takes them; or none.
        """
        classes = self._drop_labels(self._check_labels(y, x_t))
        cond = pass_given(place=place, neighbours=neighbours)
        answer: Tensor = self.backbone(x_t, labels, embedding=self.table(classes), **cond)
        return answer

    def _check_labels(self, y: Tensor | None, x_t: Tensor) -> Tensor:
        if y is None:
            return x_t.new_full((len(x_t),), self.null, dtype=torch.long)
        if y.dtype != torch.long or y.shape != (len(x_t),):
            kind = f"{y.dtype} of shape {tuple(y.shape)}"
            raise ValueError(f"Labelled expected y of int64 with shape ({len(x_t)},), got {kind}")
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) <= self.null:
            raise ValueError(
                f"Labelled expected y in 0..{self.null}, where {self.null} is none, got {y.tolist()}"
            )
        return y.to(x_t.device)

    def _drop_labels(self, y: Tensor) -> Tensor:
        if not self.training or not self.config.drop:
            return y
        # As dropout does, this draws from torch itself, which the trainer seeds at every step.
        uniforms = torch.rand(len(y), device=y.device)
        return torch.where(uniforms < self.config.drop, self.null, y)


def _check(classes: int, width: int, drop: float) -> None:
    if classes < 1 or width < 1:
        raise ValueError(f"Labelled expected classes and width of 1 or more, got {classes} and {width}")
    if not 0 <= drop <= 1:
        raise ValueError(f"Labelled expected drop in 0..1, got {drop}")
