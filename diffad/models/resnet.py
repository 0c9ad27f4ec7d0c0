"""A residual network that tells diseased from healthy clean images."""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.models.encoder import Encoder
from diffad.registry import MODELS

STRIDE = 32
"""Pixels of the image between two of the last features."""


@MODELS.register("resnet")
class ResNet(ModelMixin, ConfigMixin):
    """Says of a clean image what class it is of; it knows no noise, and refuses to be asked about it.

    Train it with ``task: classify`` and ``train.levels: [0, 0]``. It suits the saliencies "counterfactual"
    and "gradient", and no guidance, which asks at every level: that is what "classifier" is for.

    Args:
        in_channels: Channels C of the image.
        classes: Number K of classes; class 0 is healthy.
        depth: Layers of the network: 10, 18 or 50.
        planes: Channels inside the blocks of the first stage; each later stage has twice those before.
        norm: "batch" as published, by which items of a batch depend on each other in training, or "group".
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option has no such value, an image has other axes or channels, or one is noisy.

    Reference:
        Deep Residual Learning for Image Recognition (He et al., 2016), table 1; of scans in Diffusion Models
        for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et al., 2024), with
        ``in_channels=4``.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        depth: int = 50,
        planes: int = 64,
        norm: str = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"ResNet expected classes of at least 2, got {classes}")
        self.encoder = Encoder(depth, classes, in_channels, dims, planes, norm)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to: nothing is needed."""
        return 1

    def forward(self, x_t: Tensor, labels: Tensor) -> Tensor:
        """Return logits (B, K) in single precision.

        Args:
            x_t: Clean images in [-1, 1], (B, C, *S).
            labels: Level less 1, (B,), which is -1.
        """
        if (labels >= 0).any():
            level = int(labels.max()) + 1
            raise ValueError(
                f"ResNet expected clean images, at level 0 (train.levels = [0, 0]), got some at level "
                f"{level}: the network 'classifier' knows noise"
            )
        self._check_batch(x_t)
        logits: Tensor = self.encoder((x_t + 1) / 2)
        return logits.float()

    def _check_batch(self, x: Tensor) -> None:
        """Refuse a single small image in training, as its last features would be normalised to nothing."""
        is_lonely = self.training and self.config.norm == "batch" and len(x) == 1
        if is_lonely and max(x.shape[2:]) <= STRIDE:
            raise ValueError(
                f"ResNet expected at least 2 images in a training batch, as sides {tuple(x.shape[2:])} leave "
                "one number a channel for batch normalisation, got 1: choose train.batch_size of 2 or more "
                "for each process, part (train.accumulate) and plane, or model.norm=group"
            )
