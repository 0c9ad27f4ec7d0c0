"""Of which contrast a scan is: what its picture is like, what its name says, and what a reader is told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from diffad.config import CONTRASTS
from diffad.inference.scan import ScanSource
from diffad.inference.sequence_names import find_agent_word, name_sequence, read_sequence_word
from diffad.inference.tissues import TissueContrast

ENHANCED = 1.3
"""Percentile 99 of a T1, as a share of the bright end of its brain, above which it looks like one after a
contrast agent: 1.34 to 1.49 in three scans after one, and 1.08 to 1.21 in healthy T1 scans without."""


@dataclass(frozen=True)
class ScanContrast:
    """What picture and name of a scan say of its contrast.

    Args:
        picture: What the order of its tissues is typical of, one of ``CONTRASTS``; empty for none of them.
        word: Last word of its name that is a sequence, as it is written; empty where there is none.
        enhancement: What says that it was made after a contrast agent, in words; empty for nothing.
    """

    picture: str = ""
    word: str = ""
    enhancement: str = ""

    @classmethod
    def of(cls, path: Path | None, tissues: TissueContrast | None, p99: float = 0.0) -> ScanContrast:
        """Read the contrast of one sequence.

        Args:
            path: Its file, or none.
            tissues: Which of its tissues is bright, or none where nobody knows.
            p99: Percentile 99 of its brain, as a share of the bright end.
        """
        picture = (tissues.sequence if tissues else None) or ""
        agent, word = ("", "") if path is None else (find_agent_word(path), read_sequence_word(path))
        enhancement = f"its name says a contrast agent ({agent})" if agent else ""
        is_t1 = tissues is not None and picture in ("T1", "") and tissues.fluid < tissues.white
        if not agent and is_t1 and p99 > ENHANCED:
            enhancement = f"the brightest percent of its brain is above {p99:.2f} of its bright end"
        return cls(picture, word or agent, enhancement)

    @classmethod
    def of_source(cls, source: ScanSource) -> ScanContrast:
        """Read the contrast of a scan; tensors, and scans of several sequences, have none."""
        if source.volume is None or len(source.volume.data) > 1:
            return cls()
        try:
            features = source.features[0]
        except ValueError:  # a brain that is dark throughout
            return cls.of(source.volume.path, None)
        return cls.of(source.volume.path, features.tissues, features.numbers["p99"])

    @property
    def named(self) -> str:
        """The contrast of its name, one of ``CONTRASTS`` or another; empty where it names none."""
        return name_sequence(self.word) if self.word else ""

    @property
    def choice(self) -> str:
        """What it is taken for: the contrast of its picture, as names are often wrong, else of its name."""
        return self.picture or (self.named if self.named in CONTRASTS else "")

    @property
    def cause(self) -> str:
        """What may explain that it is unlike known scans, in a sentence; empty for nothing."""
        return f"{self.enhancement}, so enhancement may be the cause" if self.enhancement else ""

    def list_warnings(self, contrasts: Collection[str], own: str) -> list[str]:
        """Say so if picture and name disagree, or neither says a contrast.

        Args:
            contrasts: Contrasts for which the model has settings.
            own: The contrast of its other settings; empty where nobody says.
        """
        choice = self.choice if self.choice in contrasts else own
        settings = f"the settings for {choice} were used" if choice else "the model's own settings were used"
        if self.picture:
            if self.named in ("", self.picture):
                return []
            text = f"its name says {self.word}, its picture is like {self.picture}: {settings}"
            return [f"{text}; check that the file is what its name says"]
        if self.choice:
            return []
        if self.word:
            return [f"its name says {self.word}, for which the model has no settings: {settings}"]
        text = f"neither its name nor its picture says its contrast: {settings}"
        return [f"{text}; a name that ends in T1w, T2w or FLAIR says it"]
