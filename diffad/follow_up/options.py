"""Which two visits are compared, and how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diffad.config.choices import require
from diffad.follow_up.matching import TOLERANCE
from diffad.follow_up.sidecar import parse_date
from diffad.predict.options import Options

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions


@dataclass(frozen=True)
class FollowUpOptions:
    """Which two visits are compared, and how.

    Args:
        first: Scan of the first visit, a NIfTI file.
        second: Scan of the second visit.
        out: Folder of the results; made if absent.
        model: As ``Inputs`` has it.
        mask: Brain mask of both, or the end of the masks' names; none takes the non-zero voxels.
        prepare: How the scans are made ready first; none takes them as they are.
        device: As ``Inputs`` has it.
        predict: How the scans are looked at.
        tolerance_mm: How far apart two detections may lie that are one, in mm.
        rescan: Number of simulated re-scans of the first visit that are looked at, too, to know their noise;
            0 takes what is known of the model.
        dates: Dates of both visits, as 2024-03-05; none takes those stored beside the scans.
        same_person: Compare visits that look like those of two people.
        overwrite: Redo what is there.
        verify: Compare the content of finished files, not only their size.
        page: Write the page.

    Raises:
        ValueError: If a value cannot be used; it is named.
    """

    first: Path
    second: Path
    out: Path
    model: str
    mask: str | Path | None = None
    prepare: PrepareOptions | None = None
    device: str = "auto"
    predict: Options = field(default_factory=Options)
    tolerance_mm: float = TOLERANCE
    rescan: int = 0
    dates: Sequence[str] = ()
    same_person: bool = False
    overwrite: bool = False
    verify: bool = False
    page: bool = True

    def __post_init__(self) -> None:
        usable = math.isfinite(self.tolerance_mm) and 0 <= self.tolerance_mm <= 20
        require(usable, "tolerance", "0 to 20 mm", self.tolerance_mm)
        require(self.rescan >= 0, "rescan", "a number of at least 0", self.rescan)
        for text in self.dates:
            parse_date(text)
        require(len(self.dates) in (0, 2), "dates", "two dates, one for each visit", ",".join(self.dates))

    @property
    def paths(self) -> tuple[Path, Path]:
        """The scans of both visits."""
        return self.first, self.second
