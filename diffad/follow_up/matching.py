"""Which detections of two visits are the same: pairs, splits, mergers, and those without a partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array

TOLERANCE = 2.0
"""How far apart two detections may lie that are one, in mm, as registration is not exact."""
LEAST_SHARE = 0.2
"""Share of one of two detections that must lie within the tolerance of the other."""


@dataclass(frozen=True)
class Match:
    """Detections of two visits that belong together.

    Args:
        first: Numbers of those of the first visit, ascending; none for what is new.
        second: Numbers of those of the second visit, alike; none for what is gone.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]

    @property
    def kind(self) -> str:
        """``one``, ``split`` (one became several), ``merged`` (several became one), or ``regrouped``."""
        if max(len(self.first), len(self.second)) == 1:
            return "one"
        if len(self.first) <= 1:
            return "split"
        return "merged" if len(self.second) <= 1 else "regrouped"

    def find_region(self, first: Array, second: Array) -> Array:
        """Return where any of its detections is, (I, J, K), bool.

        Args:
            first: Numbers of the detections of the first visit, (I, J, K), 0 elsewhere.
            second: The same of the second visit.
        """
        region: Array = np.isin(first, self.first or [-1]) | np.isin(second, self.second or [-1])
        return region


def measure_map_change(region: Array, first: Array, second: Array) -> float:
    """Return the mean of the second visit's map in a region, less that of the first; 0 of an empty region."""
    return float(second[region].mean() - first[region].mean()) if region.any() else 0.0


def match_detections(
    first: Array, second: Array, spacing: Sequence[float], tolerance_mm: float = TOLERANCE
) -> list[Match]:
    r"""Match the detections of two visits on one grid by their overlap.

    Detections :math:`A` and :math:`B` belong together if a fifth of the one lies within the tolerance
    :math:`\tau` of the other,

    .. math:: \max(|A \cap B_\tau| / |A|, |B \cap A_\tau| / |B|) \ge 0.2

    and so do all that are linked over others. Swapping the visits swaps the sides of the matches; numbers
    make no difference.

    Args:
        first: Numbers of the detections of the first visit, (I, J, K), 0 elsewhere.
        second: The same of the second visit.
        spacing: Edges of a voxel, (3,), in mm.
        tolerance_mm: Distance :math:`\tau`.

    Returns:
        Matches, those with a detection of the first visit first, by number.
    """
    links = {pair for pair in _find_links(first, second, spacing, tolerance_mm)}
    links |= {(a, b) for b, a in _find_links(second, first, spacing, tolerance_mm)}
    nodes = [(0, int(n)) for n in np.unique(first) if n] + [(1, int(n)) for n in np.unique(second) if n]
    groups = _join_groups(nodes, [((0, a), (1, b)) for a, b in links])
    matches = [
        Match(*(tuple(sorted(n for s, n in group if s == side)) for side in (0, 1))) for group in groups
    ]
    return sorted(matches, key=lambda match: (not match.first, match.first, match.second))


def _find_links(
    whole: Array, parts: Array, spacing: Sequence[float], tolerance_mm: float
) -> list[tuple[int, int]]:
    """Return (number in ``whole``, number in ``parts``) where enough of the former lies near the latter."""
    sizes = np.bincount(whole.ravel())
    reach = [int(np.ceil(tolerance_mm / edge)) + 1 for edge in spacing]
    links = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        if box is None:
            continue
        wide = tuple(
            slice(max(0, s.start - r), min(n, s.stop + r))
            for s, r, n in zip(box, reach, parts.shape, strict=True)
        )
        near = ndimage.distance_transform_edt(parts[wide] != number, sampling=spacing) <= tolerance_mm
        counts = np.bincount(whole[wide][near], minlength=1)
        enough = counts[1:] >= np.maximum(LEAST_SHARE * sizes[1 : len(counts)], 1)
        links += [(int(other) + 1, number) for other in np.flatnonzero(enough)]
    return links


Node = tuple[int, int]


def _join_groups(nodes: Sequence[Node], links: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """Return the connected components of a graph."""
    owner = {node: [node] for node in nodes}
    for a, b in links:
        if owner[a] is not owner[b]:
            union = owner[a] + owner[b]
            owner |= dict.fromkeys(union, union)
    return list({id(group): group for group in owner.values()}.values())
