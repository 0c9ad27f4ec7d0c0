"""A denoising network with a condition: one vector that says what the clean image looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.models.backbone import BackboneNetwork
from diffad.models.encoder import Encoder
from diffad.models.neighbours import pass_given
from diffad.registry import MODELS


@MODELS.register("conditioned")
class Conditioned(BackboneNetwork):
    r"""Joins a network that takes a condition vector with the encoder that makes it; both train together.

    .. math:: \hat y = f(x_t, t, c), \quad c = g(x)

    The vector of an image does not depend on the level: ``conditions`` finds it once for all levels. No
    vector is the absence of a condition; one of zeros still brings the biases of its layers in.

    Args:
        backbone: The network by its registered ``name`` with its options, but for the channels and the
            length of the vector.
        encoder: Options of the ``Encoder``; its ``in_channels`` are ours unless it names others.
        in_channels: Channels C of the state.
        out_channels: Channels of the answer.

    Raises:
        ValueError: If the backbone has no name, takes no vector or names what is not its to choose, an option
            has no such value, or not exactly one of image and vector is given.

    Reference:
        Guided Reconstruction with Conditioned Diffusion Models for Unsupervised Anomaly Detection in Brain
        MRIs (Behrendt et al., 2025).

    Example:
        >>> network = MODELS.build("conditioned", backbone={"name": "unet2d"}, encoder={"depth": 18})
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        backbone: Mapping[str, Any],
        encoder: Mapping[str, Any] | None = None,
        in_channels: int = 1,
        out_channels: int = 1,
    ) -> None:
        super().__init__()
        encoder_network = _build_encoder({"in_channels": in_channels, **(encoder or {})})
        self._modules["encoder"] = encoder_network
        channel_options = {"in_channels": in_channels, "out_channels": out_channels}
        self.build_backbone(backbone, **channel_options, embedding=encoder_network.options["width"])

    # diffusers answers for attributes with options of the same name; properties come before
    @property
    def encoder(self) -> Encoder:
        """What makes the vector."""
        return cast(Encoder, self._modules["encoder"])

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the vectors (B, D) of images (B, C, *S) in [0, 1] as ``embedding``; the mask is not used."""
        return {"embedding": self.encoder(image)}

    def forward(
        self,
        x_t: Tensor,
        labels: Tensor,
        image: Tensor | None = None,
        embedding: Tensor | None = None,
        place: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,), given the clean image.

        Args:
            x_t: State, (B, C, *S).
            labels: Level less 1, (B,).
            image: Clean images in [0, 1], (B, C, *S), which are encoded; or none.
            embedding: Their vectors, (B, D), as from ``conditions``; or none.
            place: Places of the slices, (B, 2), where the backbone takes them; or none.
            neighbours: Slices below and above each, (B, 2 N C, *S), where the backbone takes them; or none.
        """
        if (image is None) == (embedding is None):
            inputs = "neither" if image is None else "both"
            raise ValueError(f"Conditioned expected either an image or an embedding, got {inputs}")
        if image is not None:
            _check_batch(image, x_t)
        vector = embedding if image is None else self.encoder(image)
        cond = pass_given(place=place, neighbours=neighbours)
        answer: Tensor = self.backbone(x_t, labels, embedding=vector, **cond)
        return answer


def _build_encoder(options: dict[str, Any]) -> Encoder:
    try:
        return Encoder(**options)
    except TypeError as error:  # a name that is none of its options
        raise ValueError(f"Conditioned expected options of an encoder, got {options} ({error})") from error


def _check_batch(image: Tensor, x_t: Tensor) -> None:
    if len(image) != len(x_t):
        raise ValueError(f"Conditioned expected one image for each of {len(x_t)} states, got {len(image)}")
