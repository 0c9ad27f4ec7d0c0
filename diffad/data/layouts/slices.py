"""Our own layout of 2-D images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from diffad.data.layouts.base import Listing
from diffad.data.layouts.rules import IMAGES, Rule, RuleLayout
from diffad.registry import LAYOUTS

SPLIT = r"(?P<split>train|val|test)/"
END = r"\.(?:png|jpe?g|bmp|tiff?)"


@LAYOUTS.register("slices")
class SliceLayout(RuleLayout):
    """Slices: train/NAME.png, val/NAME.png, test/NAME.png, healthy unless NAME_lesion.png is beside them."""

    name = "slices"
    suffixes = IMAGES
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(SPLIT + r"(?P<case>[^/]+)_lesion" + END, "lesion", label=1),
        Rule(SPLIT + r"(?P<case>[^/]+)" + END),
        Rule(r"(?P<case>brain_mask)" + END, "shared"),
    )

    def case_of(self, match: re.Match[str]) -> str:
        """Return split and name."""
        return f"{match.groupdict().get('split') or ''}-{match['case']}".strip("-")

    def subject_of(self, match: re.Match[str]) -> str:
        """Return the BIDS subject in the name, else the name."""
        found = re.match(r"sub-[A-Za-z0-9]+", match["case"])
        return found.group() if found else match["case"]

    def entries(self, root: Path) -> Listing:
        """As usual; without a lesion mask a slice is healthy, and one brain mask may serve all."""
        from dataclasses import replace

        listing = super().entries(root)
        shared = next((p for p in sorted(root.glob("brain_mask.*")) if p.suffix.lower() in IMAGES), None)
        told = [replace(e, label=e.label or 0, brain=e.brain or shared) for e in listing.entries]
        return Listing(listing.layout, told, listing.problems)
