"""Mean, deviation and principal components of healthy scans, place by place: the simplest detectors."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.base import PassDetector
from diffad.detectors.compare import resize
from diffad.models.padding import check_input
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


class _Places(PassDetector):
    """Scans at one size, so that a voxel is a place."""

    config: Any

    def _check(self, in_channels: int, size: int, dims: int) -> tuple[int, ...]:
        if dims not in (2, 3) or min(in_channels, size) < 1:
            raise ValueError("expected dims of 2 or 3, and in_channels and size of at least 1")
        return (in_channels, *[size] * dims)

    def _require_scans(self, learned: Tensor) -> None:
        if not learned.any():
            raise ValueError(f"{type(self).__name__} has seen no scans, and cannot judge any; train it first")

    def _shrink(self, x: Tensor) -> Tensor:
        check_input(x, self.config.in_channels, self.config.dims, type(self).__name__)
        return resize(x, [self.config.size] * self.config.dims)


@DETECTORS.register("zscore")
class PlaceZScore(_Places):
    r"""Maps the distance of each voxel from the mean of healthy scans at its place, in their deviations.

    .. math:: a = \frac{\lvert x - \mu \rvert}{\sigma + \epsilon}

    Mean and deviation are those of the training scans whose brain holds the place; scans must be alike:
    slices of one height, or volumes in one space.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels.
        eps: Added to the deviation, in units of the intensity range.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or fewer than two scans were seen.
    """

    count: Tensor
    total: Tensor
    squares: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, in_channels: int = 1, size: int = 128, eps: float = 0.02, dims: int = 2) -> None:
        super().__init__()
        shape = self._check(in_channels, size, dims)
        if eps <= 0:
            raise ValueError(f"expected eps above 0, got {eps}")
        for name in ("count", "total", "squares"):
            self.register_buffer(name, torch.zeros(shape))

    def observe(self, example: DetectorExample) -> None:
        """Add a batch of healthy scans."""
        x, inside = self._shrink(example.clean), (self._shrink_mask(example.brain) > 0.5).to(example.clean)
        self.count += inside.sum(0)
        self.total += (x * inside).sum(0)
        self.squares += (x.square() * inside).sum(0)

    def conclude(self) -> None:
        """Refuse what rests on a single scan.

        Raises:
            ValueError: If no place was seen twice.
        """
        if not (self.count >= 2).any():
            raise ValueError("zscore expected at least two training scans, found fewer")

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1] inside ``mask`` (B, 1, *S); the twin is the mean."""
        self._require_scans(self.count)
        small, count = self._shrink(x), self.count.clamp(min=1)
        mean = self.total / count
        deviation = (self.squares / count - mean.square()).clamp(min=0).sqrt()
        distance = ((small - mean).abs() / (deviation + self.config.eps)).mean(1, keepdim=True)
        twin = resize(mean.expand_as(small), x.shape[2:])
        return Detection(resize(distance, x.shape[2:]), twin * mask)

    def _shrink_mask(self, mask: Tensor) -> Tensor:
        return resize(mask.float(), [self.config.size] * self.config.dims)


@DETECTORS.register("pca")
class PlacePCA(_Places):
    r"""Maps what a linear model of healthy scans leaves over.

    .. math:: a = \lvert (x - \mu) - V V^\top (x - \mu) \rvert

    with :math:`V` the first principal components of the training scans.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels.
        components: Number of components.
        most: Training scans that are kept while it learns; the first ones.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or no more scans than components were seen.
    """

    mean: Tensor
    basis: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self, in_channels: int = 1, size: int = 64, components: int = 16, most: int = 2000, dims: int = 2
    ) -> None:
        super().__init__()
        shape = self._check(in_channels, size, dims)
        if not 1 <= components < most:
            raise ValueError(f"expected 1 <= components < most, got {components} and {most}")
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("basis", torch.zeros(components, self.mean.numel()))
        self._scans: list[Tensor] = []
        self._seen_count = 0

    def observe(self, example: DetectorExample) -> None:
        """Keep a batch of healthy scans."""
        self._seen_count += len(example.clean)
        room = self.config.most - sum(map(len, self._scans))
        self._scans.append(self._shrink(example.clean * example.brain)[: max(room, 0)].cpu())

    def conclude(self) -> None:
        """Find the components.

        Raises:
            ValueError: If there are no more scans than components.
        """
        x = torch.cat([*self._scans, self.mean[None][:0].cpu()])
        self._scans, surplus, self._seen_count = [], self._seen_count - len(x), 0
        if surplus:
            warnings.warn(
                f"pca learns from the first {len(x)} training scans, and left out {surplus}; "
                "model.most keeps more of them in memory",
                stacklevel=2,
            )
        if len(x) <= self.config.components:
            raise ValueError(
                f"pca expected more than {self.config.components} training scans for as many components, "
                f"found {len(x)}"
            )
        mean = x.mean(0)
        _, _, basis = torch.linalg.svd((x - mean).flatten(1), full_matrices=False)
        self.mean.copy_(mean)
        self.basis.copy_(basis[: self.config.components])

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1] inside ``mask`` (B, 1, *S)."""
        self._require_scans(self.basis)
        small = self._shrink(x * mask)
        deviation = (small - self.mean).flatten(1)
        with torch.autocast(x.device.type, enabled=False):
            # one row at a time: a product of matrices rounds otherwise in another batch
            model = torch.stack([(self.basis @ row) @ self.basis for row in deviation]).reshape(small.shape)
        residual = (small - self.mean - model).abs().mean(1, keepdim=True)
        size = x.shape[2:]
        return Detection(resize(residual, size), resize(self.mean + model, size).clamp(0, 1) * mask)
