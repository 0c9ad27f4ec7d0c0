"""The way from the world of a scan to that of the template, as the record of a result keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.io.shapes import is_number, is_text, list_of, record_of

REGISTERED, SHAPED = "registration", "brain shape"
"""Sources of a map: the registration of the scan, or the shape of its brain, which is rough."""
SHAPE = record_of(source=is_text, matrix=list_of(list_of(is_number, (4,)), (4,)))
"""What a map is in the record of a result."""


@dataclass(frozen=True, eq=False)
class TemplateMap:
    """The way from the world of a scan to that of the template.

    Args:
        matrix: Scan world to template world, (4, 4), RAS in mm.
        source: "registration", or "brain shape" where it is rough.
    """

    matrix: Array
    source: str = REGISTERED

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> TemplateMap | None:
        """Read the map of a result from its record; none if the record has none."""
        entry = info.get("to_template")
        if not SHAPE(entry):
            return None
        assert isinstance(entry, dict)
        return cls(np.array(entry["matrix"], dtype=np.float64), entry["source"])

    def to_info(self) -> dict[str, Any]:
        """Return what the record of a result keeps of it."""
        return {"to_template": {"source": self.source, "matrix": np.round(self.matrix, 6).tolist()}}

    def move(self, points: Array) -> Array:
        """Return points of the scan's world, (N, 3) in mm, in the template's."""
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]
