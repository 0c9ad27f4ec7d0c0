"""A student that is given the features of its teacher where both agree already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.distillation import Student
from diffad.detectors.student_blocks import make_student_unit


class Injection(nn.Module):
    r"""Mixes features of the teacher into an answer of the student, by how much they are alike.

    .. math:: e = U(T_l + D(T_{l-1})), \quad s = \cos(S_l, T_l), \quad
        y = U'(S_l, U''(s e + (1 - s) S_l))

    with units U of a convolution, normalisation and ReLU, and D halving the grid. No gradient goes through s.

    Args:
        width: Channels of answer and teacher.
        finer: Channels of the teacher's stage that is twice as fine.
        by_agreement: Weigh by s; without it s is 1 everywhere, a plain shortcut.
    """

    def __init__(self, width: int, finer: int, by_agreement: bool) -> None:
        super().__init__()
        self.by_agreement = by_agreement
        self.down = make_student_unit(finer, width, kernel=1)
        self.extract, self.mix, self.join = (
            make_student_unit(width, width),
            make_student_unit(width, width),
            make_student_unit(2 * width, width),
        )

    def forward(self, x: Tensor, teacher: Tensor, finer: Tensor) -> Tensor:
        """Return what goes on in the place of the answer ``x`` (B, C, H, W)."""
        half = F.interpolate(finer, tuple(x.shape[2:]), mode="bilinear", align_corners=False)
        features = self.extract(teacher + self.down(half))
        mixture = features
        if self.by_agreement:
            share = F.cosine_similarity(x.detach(), teacher, dim=1)[:, None]
            mixture = share * features + (1 - share) * x
        y: Tensor = self.join(torch.cat([x, self.mix(mixture)], 1))
        return y


class GuidedStudent(Student):
    """A student between whose stages features of the teacher are injected.

    Args:
        widths: Channels of the stages, finest first.
        repeats: Blocks of the code, and of each stage on the way back, coarsest first; a number is for all.
        blocks: Their kind, "plain" or "narrow".
        by_agreement: Weigh what is injected by how much student and teacher are alike.

    Raises:
        ValueError: If there is no such kind, or a number of blocks is missing or below 1.
    """

    def __init__(
        self, widths: Sequence[int], repeats: int | Sequence[int], blocks: str, by_agreement: bool = True
    ) -> None:
        super().__init__(widths, repeats, blocks)
        pairs = pairwise(reversed(widths))
        self.injections = nn.ModuleList(Injection(width, finer, by_agreement) for width, finer in pairs)

    def pass_on(self, x: Tensor, k: int, features: Sequence[Tensor]) -> Tensor:
        """Return what the next stage is given: ``x`` with features of the teacher."""
        if k == len(self.injections):
            return x
        level = len(features) - 1 - k
        y: Tensor = self.injections[k](x, features[level], features[level - 1])
        return y
