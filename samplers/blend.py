"""A step that brings the scan back: states made anew from a mix of scan and estimate."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffad.schedule import Schedule

RULES = ("next", "same")


@dataclass(frozen=True)
class Blend:
    r"""A step that goes on from a mix of scan and estimate, whatever the state was.

    .. math:: x_s = \sqrt{\bar\alpha_r} \, (M \hat x + (1 - M) x) + \sqrt{1 - \bar\alpha_r} \, z, \quad
              r = s \text{ or } t

    Args:
        x: Scan in [-1, 1], (B, C, *S).
        weight: Share :math:`M` of the estimate, (B, 1, *S), in [0, 1].
        fixed_noise: Noise to use once more, (B, C, *S); none takes that of the move.
        rule: "next", to the level :math:`s` of the move, or "same", to its level :math:`t`.
    """

    x: Tensor
    weight: Tensor
    fixed_noise: Tensor | None = None
    rule: str = "next"

    def draws(self, s: int) -> bool:
        """Tell whether a move to level ``s`` uses its noise."""
        return self.fixed_noise is None

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S)."""
        blended_image = mix(self.x, x_hat.clamp(-1, 1), self.weight).clamp(-1, 1)
        z = z if self.fixed_noise is None else self.fixed_noise
        return schedule.add_noise(blended_image, z, s if self.rule == "next" else t)


def mix(x: Tensor, x_hat: Tensor, weight: Tensor) -> Tensor:
    """Return ``x_hat`` where ``weight`` (B, 1, *S) is 1 and ``x`` (B, C, *S) where it is 0, exactly."""
    weight = weight.to(x.dtype)
    return weight * x_hat + (1 - weight) * x
