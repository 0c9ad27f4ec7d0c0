"""A network that sees the fine detail of the image it shall rebuild, beside a state that hides much of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.data.space import to_model
from diffad.models.backbone import BackboneNetwork
from diffad.models.neighbours import pass_given
from diffad.models.padding import check_input
from diffad.registry import MODELS


def high_pass(x: Tensor, cutoff: float) -> Tensor:
    r"""Leave out the low frequencies of images, their mean among them.

    .. math:: c = F^{-1}([|f| \ge f_0] \, F(x))

    Args:
        x: Images, (B, C, *S).
        cutoff: Lowest frequency :math:`f_0` that stays, in cycles a pixel; radius r of N pixels is r / N.
    """
    dims = tuple(range(2, x.ndim))
    axes = [torch.fft.fftfreq(n, dtype=torch.float64) for n in x.shape[2:]]
    square = sum((axis**2 for axis in torch.meshgrid(*axes, indexing="ij")), torch.zeros(()))
    # a frequency at the cutoff stays, whatever its rounding
    gain = (square >= cutoff**2 * (1 - 1e-9)).to(x.device)
    spectrum = torch.fft.fftn(x.float(), dim=dims) * gain
    return torch.fft.ifftn(spectrum, dim=dims).real.to(x.dtype)


@MODELS.register("detail")
class Detail(BackboneNetwork):
    r"""Shows a network a state, and the high frequencies of the whole image, one after the other.

    .. math:: \hat y = f([x_t, c], t), \quad c = \mathrm{highpass}(2 x - 1)

    The published condition keeps the phases of the low frequencies at an amplitude of 1 in an unnormalised
    transform, which is next to none. Its radius is 15 frequencies whatever the size, so that it hides less
    of larger images; here it is a frequency in cycles a pixel, .117 for 15 of 128.

    Args:
        backbone: The network by its registered ``name`` with its options, but for the channels
            and neighbours.
        in_channels: Channels C of the state, and as many of the detail; the backbone takes 2 C.
        out_channels: Channels of the answer.
        cutoff: Lowest frequency of the detail, in cycles a pixel.

    Raises:
        ValueError: If the backbone has no name or names what is not its to choose, the cutoff is not in
            (0, .5), or on call, not exactly one of image and detail is given, or it has another shape.

    Reference:
        IterMask2: Iterative Unsupervised Anomaly Segmentation via Spatial and Frequency Masking for Brain
        Lesions in MRI (Liang et al., 2024).

    Example:
        >>> network = MODELS.build("detail", backbone={"name": "unet2d"})
    """

    passed_conditions = ("place",)

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        backbone: Mapping[str, Any],
        in_channels: int = 1,
        out_channels: int = 1,
        cutoff: float = 0.1171875,
    ) -> None:
        super().__init__()
        if not 0 < cutoff < 0.5:
            raise ValueError(f"Detail expected a cutoff in (0, .5) cycles a pixel, got {cutoff}")
        self.build_backbone(backbone, in_channels=2 * in_channels, out_channels=out_channels)

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the detail of images (B, C, *S) in [0, 1] as ``detail``; the mask is not used."""
        return {"detail": high_pass(to_model(image), self.config.cutoff)}

    def forward(
        self,
        x_t: Tensor,
        labels: Tensor,
        image: Tensor | None = None,
        detail: Tensor | None = None,
        place: Tensor | None = None,
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,), given the detail.

        Args:
            x_t: State, (B, C, *S).
            labels: Level less 1, (B,).
            image: Images in [0, 1], (B, C, *S), whose detail is shown; or none.
            detail: Their detail, (B, C, *S), as from ``conditions``; or none.
            place: Places of the slices, (B, 2), where the backbone takes them; or none.
        """
        check_input(x_t, self.config.in_channels, x_t.ndim - 2, "Detail")
        if (image is None) == (detail is None):
            inputs = "neither" if image is None else "both"
            raise ValueError(f"Detail expected either an image or its detail, got {inputs}")
        if image is not None:
            detail = self.conditions(image, image)["detail"]
        assert detail is not None
        if detail.shape != x_t.shape:
            raise ValueError(f"Detail expected an image {tuple(x_t.shape)}, got {tuple(detail.shape)}")
        state = torch.cat([x_t, detail.to(x_t.dtype)], dim=1)
        return cast(Tensor, self.backbone(state, labels, **pass_given(place=place)))
