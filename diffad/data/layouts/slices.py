"""The layout of diffad for 2-D images."""

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
    """Slices: train/NAME.png, val/NAME.png, test/NAME.png; healthy, unless NAME_lesion.png lies beside."""

    name = "slices"
    suffixes = IMAGES
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(SPLIT + r"(?P<case>[^/]+)_lesion" + END, "lesion", label=1),
        Rule(SPLIT + r"(?P<case>[^/]+)" + END),
        Rule(r"(?P<case>brain_mask)" + END, "shared"),
    )

    def name_case(self, match: re.Match[str]) -> str:
        """Return split and name."""
        return f"{match.groupdict().get('split') or ''}-{match['case']}".strip("-")

    def name_subject(self, match: re.Match[str]) -> str:
        """Return the BIDS subject in the name, else the name."""
        subject = re.match(r"sub-[A-Za-z0-9]+", match["case"])
        return subject.group() if subject else match["case"]

    def entries(self, root: Path) -> Listing:
        """List entries as usual; slices without a lesion mask are healthy, and brain_mask is for all."""
        from dataclasses import replace

        listing = super().entries(root)
        brain = next((p for p in sorted(root.glob("brain_mask.*")) if p.suffix.lower() in IMAGES), None)
        entries = [replace(e, label=e.label or 0, brain=e.brain or brain) for e in listing.entries]
        return Listing(listing.layout, entries, listing.problems)
