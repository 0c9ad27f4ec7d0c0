"""A bank of patches of healthy scans: a patch that is like none of them is odd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.backbone import FeatureDetector, enlarge, join_features
from diffad.detectors.backbone_networks import ARCHITECTURES
from diffad.detectors.base import PassDetector
from diffad.detectors.coreset import PatchSample, choose_core, require_memory
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


class PatchDetector(FeatureDetector, PassDetector):
    """Patches of scans: features of the stages on the finest grid of them, averaged over neighbours.

    Needs the options ``size``, ``stages`` and ``neighbourhood``.
    """

    def _build_patches(self, neighbourhood: int, statistics: str) -> None:
        if neighbourhood < 1 or neighbourhood % 2 == 0:
            raise ValueError(f"expected an odd neighbourhood of at least 1, got {neighbourhood}")
        options = self.config
        self._build_features(options.size, options.stages, statistics, adapt_norm=False)
        self.grid = options.size // ARCHITECTURES[options.backbone].strides[options.stages[0]]
        self.width = options.in_channels * sum(self.features.widths)
        self.scans = 0

    def _cut_patches(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the patches of scans, (B, grid * grid, F), row by row."""
        width = self.config.neighbourhood
        maps = [
            F.avg_pool2d(f, width, 1, width // 2, count_include_pad=False)
            for f in self.features(self._shrink(x, mask))
        ]
        return join_features(maps, self.grid).flatten(2).transpose(1, 2)

    def _find_brain(self, mask: Tensor) -> Tensor:
        """Return which patches hold brain, (B, grid * grid), bool."""
        return F.adaptive_max_pool2d(mask.float(), self.grid).flatten(1) > 0

    def _require_two(self, count: int) -> None:
        if count < 2:
            name = type(self).__name__
            raise ValueError(f"{name} expected at least two training scans with a brain, found {count}")

    def _answer(self, distances: Tensor, x: Tensor) -> Detection:
        """Return a map of the distances (B, grid * grid) of the patches."""
        return Detection(enlarge(distances.reshape(-1, 1, self.grid, self.grid), x.shape[2:]))


@DETECTORS.register("patch_bank")
class PatchBank(PatchDetector):
    r"""Maps the distance of each patch from the nearest one of a bank of healthy patches.

    .. math:: a_p = \min_{b \in M,\ \lvert q_b - q_p \rvert_\infty \le w} \lVert \phi_p(x) - b \rVert

    Patches hold brain; of a fair sample of all of them the bank M keeps a greedy core set of a fixed size.
    With a ``window`` w only patches of places :math:`q` nearby are compared, in scans that lie alike.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stages: Stages of the network that are looked at; the first one makes the grid.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        neighbourhood: Width of the patches, in cells, odd; a patch is their mean.
        patches: Patches of the bank.
        candidates: Patches that the bank is chosen from.
        window: Cells that a patch of the bank may lie away from its own place; 0 compares with all.
        seed: Seed of sample and choice.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range, the bank would not fit into memory, or too few scans were
            seen.
        OSError: If there are no weights.

    Reference:
        Towards Total Recall in Industrial Anomaly Detection (Roth et al., CVPR 2022), without its weight of a
        neighbourhood in the score of a scan.
    """

    bank: Tensor
    places: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 224,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stages: Sequence[int] = (3, 5),
        statistics: str = "imagenet",
        neighbourhood: int = 3,
        patches: int = 2000,
        candidates: int = 20000,
        window: int = 0,
        seed: int = 0,
        origin: str = "",
    ) -> None:
        super().__init__()
        if not 1 <= patches <= candidates or window < 0:
            raise ValueError(
                f"expected 1 <= patches <= candidates and window >= 0, got {patches}, {candidates}, {window}"
            )
        self._build_patches(neighbourhood, statistics)
        # while it learns, candidates are copied twice; then each cell is compared with each patch
        numbers = (patches + 3 * candidates) * (self.width + 2) + 2 * self.grid**2 * patches
        require_memory(numbers, "the bank of model.patches and model.candidates")
        self.register_buffer("bank", torch.zeros(patches, self.width))
        self.register_buffer("places", torch.zeros(patches, 2))
        self._sample: PatchSample | None = None

    def observe(self, example: DetectorExample) -> None:
        """Show it a batch of healthy scans."""
        brain_cells, patches = (
            self._find_brain(example.brain),
            self._cut_patches(example.clean, example.brain),
        )
        places = self._list_places(patches.device).expand(len(patches), -1, -1)
        if self._sample is None:
            self._sample = PatchSample(self.config.candidates, self.config.seed)
        self._sample.add(torch.cat([patches, places], 2)[brain_cells])
        self.scans += int(brain_cells.any(1).sum())

    def conclude(self) -> None:
        """Choose the bank; where there are fewer patches than it holds, some are repeated.

        Raises:
            ValueError: If fewer than two scans were seen.
        """
        self._require_two(self.scans)
        rows = self._take_sample()
        core = choose_core(rows[:, :-2], len(self.bank), self.config.seed)
        rows = rows[core[torch.arange(len(self.bank)) % len(core)]]
        self.bank.copy_(rows[:, :-2])
        self.places.copy_(rows[:, -2:])

    def _take_sample(self) -> Tensor:
        """Return the rows that were kept, and forget them."""
        rows = None if self._sample is None else self._sample.rows
        self._sample = None
        return self.bank.new_zeros(0, self.width + 2) if rows is None else rows

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W); there is no twin."""
        if not self.bank.any():
            raise ValueError("PatchBank has seen no scans, and cannot judge any; train it first")
        patches, far = self._cut_patches(x, mask), self._find_far_pairs()
        return self._answer(torch.stack([self._measure(item, far) for item in patches]), x)

    def _measure(self, patches: Tensor, far: Tensor | None) -> Tensor:
        """Return how far each patch (P, F) is from the bank, (P,)."""
        distances = torch.cdist(patches, self.bank)
        if far is None:
            return distances.amin(1)
        nearby = distances.masked_fill(far, torch.inf).amin(1)
        return torch.where(nearby.isinf(), distances.amin(1), nearby)

    def _find_far_pairs(self) -> Tensor | None:
        """Return which patches of the bank lie too far from each place, (P, M); none without a window."""
        if not self.config.window:
            return None
        places = self._list_places(self.places.device)
        return (places[:, None] - self.places).abs().amax(2) > self.config.window

    def _list_places(self, device: torch.device) -> Tensor:
        """Return row and column of each patch, (P, 2)."""
        axis = torch.arange(self.grid, dtype=torch.float32, device=device)
        return torch.cartesian_prod(axis, axis)
