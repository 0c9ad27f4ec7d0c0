"""Reverse distillation with an expert, a teacher that learns, and a student that is given what it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.backbone import FeatureDetector, FeatureMaps, enlarge
from diffad.detectors.distillation import blur_map, compare_cells, compare_items
from diffad.detectors.injection import GuidedStudent
from diffad.detectors.rd4ad import check_halving
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("urd")
class URD(FeatureDetector):
    r"""Maps the angle between the features of a student and of a teacher that has learned to react to damage.

    .. math:: a = G_\sigma * \sum_l \left(1 - \cos(S_l, T_l)\right)

    The expert E is a frozen network of features, the teacher T its copy, which learns from a scan x and the
    same with synthetic anomalies, :math:`\tilde x`, in places M, with d one minus the cosine of each cell and
    D that of whole maps:

    .. math:: L_T = \sum_l d(T(x), E(x)) + \lvert d(T(\tilde x), E(x)) - M_l \rvert
        + D(T(\tilde x), E(\tilde x))

    The student rebuilds T(x) and E(x) from either, see ``GuidedStudent``. Published are "wide_resnet50" with
    ``stages`` 1, 2, 3, ``blocks`` "narrow" and ``repeats`` 3, 3, 4, 6, Perlin shapes of photographed textures
    as anomalies, and betas of .5 and .999.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stages: Stages of the network that are looked at, each half as fine as the one before.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        repeats: Blocks of the code, and of each stage on the way back, coarsest first; a number is for all.
        blocks: Their kind, "plain" or "narrow".
        by_agreement: Weigh what the student is given by how much it agrees with the teacher; the released
            code trains without, though the paper has it.
        teacher_rate: Learning rate of the teacher, as a share of that of the student.
        sigma: Deviation of the Gaussian that smooths the map, in pixels of ``size``.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range.
        OSError: If there are no weights.

    Reference:
        Unlocking the Potential of Reverse Distillation for Anomaly Detection (Liu et al., AAAI 2025).
    """

    supervision: ClassVar[str] = "normal+synthetic"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 256,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stages: Sequence[int] = (2, 3, 5),
        statistics: str = "imagenet",
        repeats: int | Sequence[int] = 2,
        blocks: str = "plain",
        by_agreement: bool = True,
        teacher_rate: float = 0.02,
        sigma: float = 4.0,
        origin: str = "",
    ) -> None:
        super().__init__()
        check_halving(backbone, stages, size)
        if sigma < 0 or not 0 < teacher_rate <= 1:
            raise ValueError(
                f"expected sigma of at least 0 and teacher_rate in (0, 1], got {sigma} and {teacher_rate}"
            )
        self._build_features(size, stages, statistics, adapt_norm=False)
        self.teacher = FeatureMaps(backbone, stages, statistics)
        if not next(self.features.parameters()).is_meta:
            self.teacher.load_state_dict(self.features.state_dict())
        widths = [in_channels * width for width in self.features.widths]
        self.student = GuidedStudent(widths, repeats, blocks, by_agreement)

    @property
    def rate_factors(self) -> Mapping[str, float]:
        """Learning rates of parts, as a share of the rest's."""
        return {"teacher": float(self.config.teacher_rate)}

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,), of teacher and student."""
        clean, seen_scan = (
            self._shrink(example.clean, example.brain),
            self._shrink(example.seen, example.brain),
        )
        expert = self.features(clean)
        loss = self._teach(clean, seen_scan, expert, example.damage)
        with self.teacher.at_rest(), torch.no_grad():
            target, alarm = self.teacher(clean), self.teacher(seen_scan)
        for source in (target, alarm):
            answers = [a.float() for a in self.student(source)]
            loss = (
                loss + sum_levels(compare_items, answers, target) + sum_levels(compare_items, answers, expert)
            )
        return loss

    def _teach(self, clean: Tensor, seen_scan: Tensor, expert: Sequence[Tensor], damage: Tensor) -> Tensor:
        """Return the loss of the teacher of each item, (B,)."""
        calm, alarm = self.teacher(clean), self.teacher(seen_scan)
        unlike = sum_levels(compare_items, alarm, self.features(seen_scan))
        return sum_levels(compare_cells, calm, expert) + measure_alarm(alarm, expert, damage) + unlike

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W); there is no twin."""
        features, size = self.teacher(self._shrink(x, mask)), [self.config.size] * 2
        pairs = zip(self.student(features), features, strict=True)
        total = torch.stack([enlarge(compare_cells(a.float(), b), size) for a, b in pairs]).sum(0)
        return Detection(enlarge(blur_map(total, self.config.sigma), x.shape[2:]))


def sum_levels(
    compare: Callable[[Tensor, Tensor], Tensor], first: Sequence[Tensor], second: Sequence[Tensor]
) -> Tensor:
    """Return how two lists of features differ, the mean of each item, summed over the levels, (B,)."""
    pairs = zip(first, second, strict=True)
    differences = [compare(a, b).reshape(len(a), -1).mean(1) for a, b in pairs]
    return torch.stack(differences).sum(0)


def measure_alarm(alarm: Sequence[Tensor], expert: Sequence[Tensor], damage: Tensor) -> Tensor:
    r"""Return how far a teacher is from reacting where there is damage and nowhere else, (B,).

    .. math:: \sum_l \tfrac{1}{n_l} \sum_p \lvert d(T_l(\tilde x), E_l(x))_p - M_{l, p} \rvert

    Args:
        alarm: Features of the teacher of damaged scans, by level.
        expert: Features of the expert of the clean ones.
        damage: 1 where a scan was damaged, (B, 1, H, W); on each grid what is more than half.
    """
    losses = []
    for a, b in zip(alarm, expert, strict=True):
        share = F.interpolate(damage.float(), tuple(a.shape[2:]), mode="bilinear", align_corners=False)
        losses.append((compare_cells(a, b) - (share > 0.5).to(a)).abs().flatten(1).mean(1))
    return torch.stack(losses).sum(0)
