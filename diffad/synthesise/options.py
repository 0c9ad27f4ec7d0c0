"""How something is painted into a scan, whichever model paints it."""

from __future__ import annotations

import math
from dataclasses import dataclass

STRENGTHS = {"text": 0.3, "class": 0.5}
"""Share of the way to noise that a scan goes, by what steers."""
SCALES = {"text": 7.5, "class": 3.0}
"""How strongly the prompt or the class steers."""


@dataclass(frozen=True)
class SynthesisOptions:
    """What is painted into a scan, and how.

    Args:
        label: Class that a network of classes paints.
        prompt: What a network of texts paints, with the word in it.
        word: The part of the prompt that is to become visible.
        detail: The prompt in more words, towards which it is refined; or none.
        normal: The prompt of the scan without it; none takes the prompt without the word.
        strength: Share of the way to noise that the scan goes before it comes back, in [0, 1]; none for .3 of
            a text and .5 of a class.
        scale: How strongly prompt or class steer, at least 0; none for 7.5 and 3.
        inference_steps: Steps of the whole way from noise, of which the strength takes its share.
        inner_steps: Updates of the state in each step by the attention of the word; 0 for plain
            image-to-image.
        volume: Volume of a region that is drawn, in ml.
        visible: Change of intensity, as a share of the window, from which a voxel is labelled.
        seed: Seed of all randomness.
        batch_size: Slices per network evaluation.

    Raises:
        ValueError: If a number is out of range, a word has no prompt, or a prompt comes beside a label.
    """

    label: int | None = None
    prompt: str = ""
    word: str = ""
    detail: str = ""
    normal: str = ""
    strength: float | None = None
    scale: float | None = None
    inference_steps: int = 50
    inner_steps: int = 10
    volume: float = 4.0
    visible: float = 0.05
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        self._check_subject()
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise ValueError(f"strength: expected 0 to 1, got {self.strength:g}")
        if self.scale is not None and not 0 <= self.scale < math.inf:
            raise ValueError(f"scale: expected a finite number of at least 0, got {self.scale:g}")
        for name, low in {"inference_steps": 1, "inner_steps": 0, "seed": 0, "batch_size": 1}.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}: expected at least {low}, got {getattr(self, name)}")
        if not 0 < self.volume <= 200:
            raise ValueError(f"volume: expected more than 0 and at most 200 ml, got {self.volume:g}")
        if not 0 < self.visible < 1:
            raise ValueError(f"visible: expected a share between 0 and 1, got {self.visible:g}")

    def _check_subject(self) -> None:
        if (self.label is None) == (not self.prompt):
            raise ValueError("label: expected the number of a class, or a prompt, and not both")
        if bool(self.word) != bool(self.prompt):
            raise ValueError("word: expected the word of the prompt that is to become visible, and both")
        if self.detail and not self.prompt:
            raise ValueError("detail: expected a prompt beside it, found a class; a class has no words")
        if self.label is not None and self.label < 1:
            raise ValueError(
                f"label: expected a class of at least 1, got {self.label}; 0 is healthy, see diffad fill"
            )

    @property
    def kind(self) -> str:
        """What steers: "text" or "class"."""
        return "text" if self.prompt else "class"

    @property
    def own_strength(self) -> float:
        """The strength, with its default."""
        return STRENGTHS[self.kind] if self.strength is None else self.strength

    @property
    def own_scale(self) -> float:
        """The scale, with its default."""
        return SCALES[self.kind] if self.scale is None else self.scale


def find_start(steps: int, strength: float) -> int:
    r"""Return the step that begins a way of some strength, :math:`N - \lfloor N \gamma \rfloor`.

    Args:
        steps: Steps N of the whole way from noise.
        strength: Share :math:`\gamma` of it, in [0, 1].
    """
    return steps - int(steps * strength + 1e-9)
