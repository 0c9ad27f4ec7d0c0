"""BMAD in the three ways in which it is distributed."""

from __future__ import annotations

import re
from typing import ClassVar

from diffad.data.layouts.rules import IMAGES, Rule, RuleLayout
from diffad.registry import LAYOUTS

FILE = r"(?P<case>[^/]+)\.(?:png|jpe?g|bmp|tiff?)"
SPLIT = r"(?P<split>train|valid|val|test)/"


@LAYOUTS.register("bmad")
class Bmad(RuleLayout):
    """BMAD: train/good, test/good, test/Ungood, with or without img/; masks in anomaly_mask/ or label/."""

    name = "bmad"
    suffixes = IMAGES
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(SPLIT + r"Ungood/(?:anomaly_mask|label)/" + FILE, "lesion", label=1),
        Rule(SPLIT + r"good/(?:anomaly_mask|label)/" + FILE, "empty", label=0),
        Rule(SPLIT + r"Ungood/(?:img/)?" + FILE, label=1),
        Rule(SPLIT + r"good/(?:img/)?" + FILE, label=0),
    )

    def name_case(self, match: re.Match[str]) -> str:
        """Return split, class and name, since names repeat."""
        kind = "ungood" if "ungood/" in match.string.lower() else "good"
        return f"{match['split'].lower()}-{kind}-{match['case']}"

    def name_subject(self, match: re.Match[str]) -> str:
        """Return the patient (00001 of 00001_77), else the name of the file."""
        patient = re.fullmatch(r"(\d{5})_\d{2,3}", match["case"])
        return patient.group(1) if patient else match["case"]
