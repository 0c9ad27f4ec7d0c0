"""Evaluation protocols by name: every choice that papers leave unsaid, in one value each."""

from diffad.evaluation.protocols import presets as presets
from diffad.evaluation.protocols.protocol import Protocol as Protocol
