"""Mean and covariance of features at each place: what is unlikely there is odd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.coreset import require_memory
from diffad.detectors.patch_bank import PatchDetector
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("padim")
class PaDiM(PatchDetector):
    r"""Maps the Mahalanobis distance of each patch from the healthy patches of its place.

    .. math:: a_p = \sqrt{(\phi_p - \mu_p)^\top (\Sigma_p + \epsilon I)^{-1} (\phi_p - \mu_p)}

    Scans must be alike, slices of one height. Of the features a random choice of ``dimensions`` is taken, the
    same at all places. Places that held no brain in two scans have no opinion: their distance is 0.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stages: Stages of the network that are looked at; the first one makes the grid.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        neighbourhood: Width of the patches, in cells, odd; a patch is their mean.
        dimensions: Features that are taken; all where there are fewer.
        eps: Added to the variances.
        seed: Seed of the choice.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range, the covariances would not fit into memory, or too few scans
            were seen.
        OSError: If there are no weights.

    Reference:
        PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization (Defard et al.,
        2021); there with 100 features of ResNet18 and eps .01.
    """

    mean: Tensor
    whitener: Tensor
    choice: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 224,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stages: Sequence[int] = (2, 3, 5),
        statistics: str = "imagenet",
        neighbourhood: int = 1,
        dimensions: int = 48,
        eps: float = 0.01,
        seed: int = 0,
        origin: str = "",
    ) -> None:
        super().__init__()
        if dimensions < 1 or eps <= 0:
            raise ValueError(f"expected dimensions of at least 1 and eps above 0, got {dimensions} and {eps}")
        self._build_patches(neighbourhood, statistics)
        count, cells = min(dimensions, self.width), self.grid**2
        require_memory(5 * cells * count**2, "the covariances of model.size and model.dimensions")
        self.register_buffer("mean", torch.zeros(cells, count))
        self.register_buffer("whitener", torch.zeros(cells, count, count))
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.width, generator=generator, device="cpu")[:count]
        self.register_buffer("choice", order.sort().values.to(self.mean.device))
        self._sums: list[Tensor] = []

    def observe(self, example: DetectorExample) -> None:
        """Show it a batch of healthy scans."""
        brain_cells = self._find_brain(example.brain).double()
        patches = self._pick(example.clean, example.brain).double() * brain_cells[..., None]
        products = torch.einsum("bpi,bpj->pij", patches, patches)
        sums = [brain_cells.sum(0), patches.sum(0), products]
        self._sums = [a + b for a, b in zip(self._sums, sums, strict=True)] if self._sums else sums
        self.scans += int(brain_cells.any(1).sum())

    def conclude(self) -> None:
        """Turn sums into means and whitenings.

        Raises:
            ValueError: If fewer than two scans were seen.
        """
        self._require_two(self.scans)
        count, total, products = self._sums
        self._sums = []
        has_scans = (count >= 2).double()[:, None, None]
        mean = total / count.clamp(min=1)[:, None]
        scatter = products - count[:, None, None] * mean[:, :, None] * mean[:, None]
        covariance = scatter / (count - 1).clamp(min=1)[:, None, None]
        ridge = self.config.eps * torch.eye(mean.shape[1]).to(mean)
        factor = torch.linalg.cholesky(covariance * has_scans + ridge)
        whitener = torch.linalg.solve_triangular(factor, torch.eye(mean.shape[1]).to(factor), upper=False)
        self.mean.copy_(mean)
        self.whitener.copy_(whitener * has_scans)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W); there is no twin."""
        if not self.whitener.any():
            raise ValueError("PaDiM has seen no scans, and cannot judge any; train it first")
        deviations = self._pick(x, mask) - self.mean
        with torch.autocast(x.device.type, enabled=False):
            distances = [(self.whitener @ item[..., None])[..., 0].norm(dim=1) for item in deviations]
        return self._answer(torch.stack(distances), x)

    def _pick(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the features of scans that are taken, (B, P, F)."""
        return self._cut_patches(x, mask)[..., self.choice]
