"""The autoencoder whose codes are mixtures of a few that it remembers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.detectors.ae import AE
from diffad.detectors.compare import squared_error
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

EPSILON = 1e-12


class CodeMemory(nn.Module):
    r"""Replaces a code by a mixture of those it remembers.

    .. math:: w = \operatorname{softmax}_i \cos(z, m_i), \quad
        \hat w_i = \frac{\max(w_i - \lambda, 0)\, w_i}{\lvert w_i - \lambda \rvert + \epsilon}, \quad
        \hat z = \sum_i \tfrac{\hat w_i}{\lVert \hat w \rVert_1} m_i

    Args:
        slots: Codes that are remembered.
        width: Numbers of a code.
        shrink: Weight :math:`\lambda` below which a remembered code takes no part.
    """

    def __init__(self, slots: int, width: int, shrink: float) -> None:
        super().__init__()
        self.shrink = shrink
        self.codes = nn.Parameter(torch.randn(slots, width) / width**0.5)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return mixtures (B, Z) for codes ``z`` (B, Z), and their weights (B, slots)."""
        weights = F.softmax(F.cosine_similarity(z[:, None], self.codes[None], dim=2), 1)
        shares = F.relu(weights - self.shrink) * weights / ((weights - self.shrink).abs() + EPSILON)
        shares = shares / shares.sum(1, keepdim=True).clamp(min=EPSILON)
        return shares @ self.codes, shares


@DETECTORS.register("memae")
class MemAE(AE):
    r"""Rebuilds a scan from a mixture of codes that it remembers of healthy scans, and maps the error.

    .. math:: L = \lVert x - D(\hat z) \rVert^2 - w_e \sum_i \hat w_i \log \hat w_i, \qquad
        a = (x - D(\hat z))^2

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels.
        latent: Numbers of a code.
        slots: Codes that are remembered.
        shrink: Weight below which a remembered code takes no part; below 1 / ``slots``.
        entropy: Weight :math:`w_e` of the entropy of the mixture.
        channels: Channels after each halving.
        hidden: Width of the layers beside the code.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Memorizing Normality to Detect Anomaly (Gong et al., ICCV 2019); sizes of MedIAnomaly (Cai et al.,
        2025).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 64,
        latent: int = 16,
        slots: int = 25,
        shrink: float = 0.0025,
        entropy: float = 0.0002,
        channels: Sequence[int] = (16, 32, 64, 64),
        hidden: int = 1024,
        dims: int = 2,
    ) -> None:
        super(AE, self).__init__()
        if slots < 1 or not 0 <= shrink < 1 / slots or entropy < 0:
            raise ValueError(
                f"expected slots of at least 1, shrink in [0, 1 / slots) and entropy of at least 0, "
                f"got {slots}, {shrink} and {entropy}"
            )
        self._build(in_channels, size, latent, channels, hidden, dims)
        self.memory = CodeMemory(slots, latent, shrink)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        x_hat, weights = self._rebuild(self._shrink(example.seen))
        error = squared_error(self._shrink(example.clean), x_hat).flatten(1).mean(1)
        return error + self.config.entropy * torch.special.entr(weights.float()).sum(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        small = self._shrink(x)
        x_hat, _ = self._rebuild(small)
        return self._answer(x, squared_error(small, x_hat), x_hat)

    def _rebuild(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code, weights = self.memory(self.autoencoder.encode(x).float())
        return self.autoencoder.decode(code).float(), weights
