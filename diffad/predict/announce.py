"""What the console says of a scan before all else: model, what was analysed, what to make of the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffad.io.terminal import say


class Announcer:
    """Says what a model knows when it looks at its first scan, and of each scan what became of it."""

    def __init__(self) -> None:
        self._models: set[str] = set()

    def announce(self, name: str, info: Mapping[str, Any]) -> None:
        """Say what is known of a finished scan, in one line, and of a model that is new here in another.

        Args:
            name: The scan.
            info: What is stored of its result.
        """
        texts = info["headline"]
        if texts["scope"] not in self._models:
            self._models.add(texts["scope"])
            say(f"model {texts['model']} knows {texts['scope']}")
        result = f"flagged {texts['flagged']}; {texts['verdict']}"
        say(f"{name}: analysed {texts['analysed']}; unlike known scans: {texts['outside']}; {result}")
        for warning in info["warnings"]:
            say(f"warning: {name}: {warning}")
