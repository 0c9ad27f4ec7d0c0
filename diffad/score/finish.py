"""What is done to a map of distances in the end: cut, made larger, blurred."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffad.score.blur import gaussian_blur


@dataclass(frozen=True)
class Finish:
    r"""Cuts, scales and blurs maps.

    .. math:: a = \mathrm{blur}(g \min(d, d_{\max}))

    Args:
        clip: Largest distance :math:`d_{\max}` that counts; none counts all.
        gain: Factor :math:`g`.
        blur: Width of a Gaussian blur in voxels, along all axes; 0 for none.

    Raises:
        ValueError: If a number is out of range.
    """

    clip: float | None = None
    gain: float = 1.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"expected a positive clip, got {self.clip}")
        if not self.gain > 0:
            raise ValueError(f"expected a positive gain, got {self.gain}")
        if not self.blur >= 0:
            raise ValueError(f"expected a blur of at least 0, got {self.blur}")

    def __call__(self, maps: Tensor) -> Tensor:
        """Return finished maps of ``maps`` (B, 1, *S)."""
        values = maps if self.clip is None else maps.clamp(max=self.clip)
        values = values if self.gain == 1 else self.gain * values
        return gaussian_blur(values, self.blur, tuple(range(2, maps.ndim)))
