"""Which octaves a fractal noise is the sum of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffad.noise.base import check_number


@dataclass(frozen=True)
class OctaveSet:
    r"""Octaves :math:`p^k \, S(u / f_k), \; f_k = f_0 / 2^k, \; k = 0, \dots, K - 1`.

    Args:
        octaves: Number of octaves :math:`K`, at least 1.
        persistence: Amplitude ratio :math:`p` between octaves, in (0, 1].
        feature_size: Feature size :math:`f_0` of the first octave, in voxels (not mm); each octave halves it.

    Raises:
        ValueError: If a value is out of range.
    """

    octaves: int
    persistence: float
    feature_size: float

    def __post_init__(self) -> None:
        k = self.octaves
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ValueError(f"expected octaves to be a whole number of at least 1, got {k}")
        check_number("persistence", self.persistence, "in (0, 1]", lambda p: 0 < p <= 1)
        requirement = "to be a positive feature_size in voxels"
        check_number("feature_size", self.feature_size, requirement, lambda f: 0 < f < math.inf)

    def std(self, variance: float) -> float:
        r"""Ensemble standard deviation :math:`\sqrt{\mathrm{Var}(S) \sum_k p^{2k}}` of the sum."""
        return math.sqrt(variance * sum(self.persistence ** (2 * k) for k in range(self.octaves)))


PUBLISHED_SETS = (
    OctaveSet(2, 0.6, 16),
    OctaveSet(6, 0.6, 32),
    OctaveSet(7, 0.7, 32),
    OctaveSet(10, 0.8, 64),
    OctaveSet(5, 0.8, 16),
    OctaveSet(4, 0.6, 16),
    OctaveSet(1, 0.6, 64),
    OctaveSet(7, 0.8, 128),
    OctaveSet(6, 0.9, 64),
    *(OctaveSet(octaves, 0.85, 2**power) for octaves in (2, 1) for power in range(7, 0, -1)),
)
"""The 23 sets among which AnoDDPM (Wyatt et al., 2022) draws when its parameters are random."""

Sets = str | Sequence[Sequence[float]]


def read_octave_sets(sets: Sets) -> tuple[OctaveSet, ...]:
    """Read a list of [octaves, persistence, feature_size], or the word "published".

    Raises:
        ValueError: If the list is empty, or an entry is no such set.
    """
    if sets == "published":
        return PUBLISHED_SETS
    form = "a list of [octaves, persistence, feature_size], or 'published'"
    if isinstance(sets, str) or not isinstance(sets, Sequence) or not sets:
        raise ValueError(f"expected sets to be {form}, got {sets!r}")
    for entry in sets:
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 3:
            raise ValueError(f"expected sets to be {form}, got the entry {entry!r}")
    return tuple(OctaveSet(*entry) for entry in sets)
