"""GANomaly: what is rebuilt is encoded again, and its code compared with that of the scan."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.data.space import to_public
from diffad.detectors.adversarial import GAN_LOSSES, check_map_kind, check_sizes
from diffad.detectors.base import TurnDetector
from diffad.detectors.compare import absolute_error, resize
from diffad.detectors.dcgan import StridedDecoder, StridedEncoder, draw_first_weights
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


class TwiceEncoder(nn.Module):
    """Encodes an image, rebuilds it, and encodes what it rebuilt with other weights.

    Args:
        in_channels: Channels C of an image.
        size: Side of an image, in voxels.
        latent: Numbers of a code.
        channels: Channels after each halving.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, in_channels: int, size: int, latent: int, channels: Sequence[int], dims: int) -> None:
        super().__init__()
        self.encoder = StridedEncoder(in_channels, size, latent, channels, dims)
        self.decoder = StridedDecoder(in_channels, size, latent, channels[::-1], dims)
        self.second = StridedEncoder(in_channels, size, latent, channels, dims)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the twin (B, C, *S) of ``x``, its code and that of the twin, (B, latent) each."""
        code = self.encoder(x)
        twin = self.decoder(code)
        return twin, code, self.second(twin)


@DETECTORS.register("ganomaly")
class GANomaly(TurnDetector):
    r"""Rebuilds a scan against a discriminator, and compares the codes of scan and twin.

    .. math:: L_G = w_f\, \overline{(f(x) - f(\hat x))^2} + w_c\, \overline{|x - \hat x|}
        + w_z\, \overline{(E(x) - E'(\hat x))^2}, \qquad a = |x - \hat x|

    with the features f of the discriminator, which learns by cross-entropy what is a scan and what a twin.
    Steps of generator and discriminator alternate. The paper scores images alone, by the distance of the
    codes: that is the map "codes", which is the same at every place. The map "residual" is not the paper's.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels, a multiple of 2 for each of ``channels``.
        latent: Numbers of a code.
        channels: Channels after each halving.
        feature: Weight :math:`w_f` of the error of the features.
        context: Weight :math:`w_c` of the error of the twin.
        code: Weight :math:`w_z` of the error of its code.
        map: "residual", the absolute error of the twin; "codes", the mean absolute difference of the codes.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels.

    Reference:
        GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training (Akcay et al., ACCV 2018).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 32,
        latent: int = 100,
        channels: Sequence[int] = (64, 128, 256),
        feature: float = 1.0,
        context: float = 50.0,
        code: float = 1.0,
        map: str = "residual",
        dims: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(in_channels, size, latent, channels, dims, 2 ** len(channels))
        if min(feature, context, code) < 0:
            raise ValueError(f"expected weights of at least 0, got {feature}, {context} and {code}")
        check_map_kind(map, ("residual", "codes"))
        self.generator = TwiceEncoder(in_channels, size, latent, channels, dims)
        self.discriminator = StridedEncoder(in_channels, size, 1, channels, dims)
        draw_first_weights(self)

    def choose_turn(self, step: int, steps: int) -> str:
        """Return "generator" and "discriminator", one after the other."""
        return "discriminator" if step % 2 else "generator"

    def forward(self, example: DetectorExample, turn: str | None = None) -> Tensor:
        """Return the loss of each item, (B,), for the child whose turn it is; none is the generator's."""
        x, view = self._shrink(example.clean), self._shrink(example.seen)
        if turn != "discriminator":
            return self._rebuild(x, view)
        with torch.no_grad():
            twin, _, _ = self.generator(view)
        return GAN_LOSSES["cross_entropy"].judge(self.discriminator(x), self.discriminator(twin)) / 2

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        small, size = self._shrink(x), x.shape[2:]
        twin, code, second = self.generator(small)
        anomaly = resize(absolute_error(small, twin.float()) / 2, size)
        if self.config.map == "codes":
            distance = (code - second).float().abs().mean(1)
            anomaly = distance.reshape(-1, *[1] * (x.ndim - 1)).expand_as(anomaly)
        return Detection(anomaly, to_public(resize(twin.float(), size)))

    def _rebuild(self, x: Tensor, view: Tensor) -> Tensor:
        twin, code, second = self.generator(view)
        features = self.discriminator.look(x), self.discriminator.look(twin)
        terms = (
            (self.config.feature, (features[0] - features[1]).float().square()),
            (self.config.context, (x - twin).float().abs()),
            (self.config.code, (code - second).float().square()),
        )
        return torch.stack([weight * error.flatten(1).mean(1) for weight, error in terms]).sum(0)
