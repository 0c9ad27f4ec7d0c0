"""A denoising network that sees the clean image beside the state, as more channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers.configuration_utils import register_to_config
from einops import rearrange
from torch import Tensor

from diffad.data.space import to_model
from diffad.models.backbone import BackboneNetwork
from diffad.models.neighbours import pass_given
from diffad.models.padding import check_input
from diffad.registry import MODELS


@MODELS.register("beside")
class Beside(BackboneNetwork):
    r"""Shows a network the noisy state and the image that it shall rebuild, one after the other.

    .. math:: \hat y = f([x_t, c], t), \quad c = 2 x - 1

    The image is not noised. Trained on images with synthetic lesions whose targets have none, the network
    learns to rebuild the image but for what is not healthy. The published backbone has attention at
    all scales but the finest on the way down, and at all but the coarsest on the way up.

    Args:
        backbone: The network by its registered ``name`` with its options, but for the channels
            and neighbours.
        in_channels: Channels C of the state, and as many of the image; the backbone takes 2 C.
        out_channels: Channels of the answer.
        drop: Chance in training that an item gets c = 0 instead, an image of 0.5 everywhere, so that one
            network answers with and without the image.

    Raises:
        ValueError: If the backbone has no name or names what is not its to choose, the chance is not in
            [0, 1], or on call, the image is missing or not shaped like the state.

    Reference:
        Image-conditioned diffusion models for medical anomaly detection (Baugh et al., 2024), section 2.

    Example:
        >>> network = MODELS.build("beside", backbone={"name": "unet2d"})
    """

    passed_conditions = ("place",)

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        backbone: Mapping[str, Any],
        in_channels: int = 1,
        out_channels: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= drop <= 1:
            raise ValueError(f"Beside expected drop in [0, 1], got {drop}")
        self.build_backbone(backbone, in_channels=2 * in_channels, out_channels=out_channels)

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return images (B, C, *S) in [0, 1] as ``image``; the mask is not used."""
        return {"image": image}

    def forward(
        self, x_t: Tensor, labels: Tensor, image: Tensor | None = None, place: Tensor | None = None
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,), given the clean image.

        Args:
            x_t: State, (B, C, *S).
            labels: Level less 1, (B,).
            image: Clean images in [0, 1], (B, C, *S).
            place: Places of the slices, (B, 2), where the backbone takes them; or none.
        """
        check_input(x_t, self.config.in_channels, x_t.ndim - 2, "Beside")
        if image is None:
            raise ValueError(f"Beside expected an image {tuple(x_t.shape)} beside the state, got none")
        if image.shape != x_t.shape:
            raise ValueError(f"Beside expected an image {tuple(x_t.shape)}, got {tuple(image.shape)}")
        cond_image = to_model(image.to(x_t.dtype)) * self._draw_presence(x_t)
        state = torch.cat([x_t, cond_image], dim=1)
        return cast(Tensor, self.backbone(state, labels, **pass_given(place=place)))

    def _draw_presence(self, x_t: Tensor) -> Tensor:
        """Return 0 for the items whose image is dropped, else 1, over all axes of ``x_t``."""
        if not (self.training and self.config.drop):
            return torch.ones((), dtype=x_t.dtype, device=x_t.device)
        # as dropout draws: training ties the global generator to the step
        presence = (torch.rand(len(x_t)) >= self.config.drop).to(x_t)
        return rearrange(presence, "b -> b" + " 1" * (x_t.ndim - 1))
