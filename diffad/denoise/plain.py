"""Denoisers of other distributions, which need no more than a schedule and a call."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffad.protocols import Denoiser
from diffad.schedule import Schedule

WRAPPED_NAMES = ("inner", "denoiser")
"""What a plain wrapper may call the denoiser that it wraps."""


def as_denoiser(denoiser: Any) -> Denoiser:
    """Return a denoiser as it is, and a plain one adapted: the border at which classes of others come in."""
    return denoiser if isinstance(denoiser, Denoiser) else PlainDenoiser(denoiser)


class PlainDenoiser(Denoiser):
    """Adapts a class that has a schedule and a call, and the rest or none of it, under former names too.

    What it does not tell of its network is asked of the denoiser inside, where it wraps one. Only itself can
    rebuild itself, so that a plain wrapper without the methods stays as it is, clamped and steered.

    Args:
        plain: Called as ``plain(x_t, t, **cond)``; has ``schedule``.
    """

    def __init__(self, plain: Any) -> None:
        self.plain = plain
        inner = next((getattr(plain, name) for name in WRAPPED_NAMES if hasattr(plain, name)), None)
        self._inner = None if inner is None else as_denoiser(inner)

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        schedule: Schedule = self.plain.schedule
        return schedule

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        x_hat: Tensor = self.plain(x_t, t, **cond)
        return x_hat

    @property
    def clamps(self) -> bool:
        """Whether estimates are clamped to [-1, 1]."""
        return bool(self._find("clamps", "clip"))

    @property
    def prediction_type(self) -> str | None:
        """What the network predicts; none where that is unknown."""
        kind: str | None = self._find("prediction_type")
        return kind

    @property
    def null_label(self) -> int | None:
        """Label of no class; none where the network takes no labels."""
        label: int | None = self._find("null_label", "null")
        return label

    @property
    def takes_place(self) -> bool:
        """Whether it may be told the place of a slice in the brain, as ``place`` (B, 2)."""
        return bool(self._find("takes_place"))

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own the network is shown."""
        return int(self._find("takes_neighbours") or 0)

    @property
    def takes_whole(self) -> bool:
        """Whether it is shown the image noised everywhere beside its state."""
        return bool(self._find("takes_whole"))

    def without_clamp(self) -> Denoiser:
        """Return the same denoiser without its clamp, where it says how."""
        return self._rebuild("without_clamp", "unclipped")

    def without_guidance(self) -> Denoiser:
        """Return the same denoiser without what steers it, where it says how."""
        return self._rebuild("without_guidance", "unguided")

    def select(self, items: Tensor) -> Denoiser:
        """Return the denoiser of some states of its batch, by their numbers (n,), where it says how."""
        return self._rebuild("select", "taken", items)

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what must be known of ``image`` (B, C, *S) in [0, 1]."""
        conditions = self._find("conditions")
        return {} if conditions is None else conditions(image, mask)

    def reference(self, x: Tensor) -> Tensor:
        """Return the images that conditions are made of, for all slices ``x`` (N, C, *S) of a scan."""
        reference = self._find("reference")
        return x if reference is None else reference(x)

    def _find(self, name: str, *former: str) -> Any:
        """Return what the class says under one of the names, or else what the denoiser inside says."""
        for each in (name, *former):
            if hasattr(self.plain, each):
                return getattr(self.plain, each)
        return None if self._inner is None else getattr(self._inner, name)

    def _rebuild(self, name: str, former: str, *args: Tensor) -> Denoiser:
        rebuild = getattr(self.plain, name, None) or getattr(self.plain, former, None)
        plain = self.plain if rebuild is None else rebuild(*args)
        return self if plain is self.plain else as_denoiser(plain)
