"""What a resumed run is to do otherwise than before: said by name, and refused where it breaks the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffad.io.terminal import say
from diffad.io.wording import shorten

BINDING_KEYS = (
    "task",
    "data",
    "model",
    "noise",
    "schedule",
    "space",
    "augment",
    "corrupt",
    "seed",
    "train.batch_size",
    "train.class_weights",
    "train.levels",
    "train.loss",
    "train.snr_gamma",
)
"""Keys of the config on which the loss of a step depends: with others, the curve has a break."""
FREE_KEYS = ("name", "output", "plugins", "train.allow_changes")
"""Keys that say where a run is and how it is asked for."""
SECTIONS = ("networks", "corrupt", "schedule", "space", "augment", "postprocess", "train")
"""Keys whose options may become more with the version of diffad; what came later could not be chosen then."""


@dataclass(frozen=True)
class OptionChange:
    """An option of a run that is another than in its checkpoint.

    Args:
        key: Dotted key.
        old: Value in the checkpoint; none also where it had none.
        new: Value that is asked for now.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} = {shorten(repr(self.new))} as in the config, found {shorten(repr(self.old))}"

    def is_binding(self, keys: Sequence[str]) -> bool:
        """Tell whether it is one of ``keys``, or an option of one."""
        return any(self.key == key or self.key.startswith(f"{key}.") for key in keys)


def list_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[OptionChange]:
    """List the options that differ between two configs, by key; older ones may lack options of sections."""
    changes = []
    for key in sorted(old.keys() & new.keys()):
        changes += _compare(key, old[key], new[key], grows=key in SECTIONS)
    return [change for change in changes if not change.is_binding(FREE_KEYS)]


def say_changes(place: Path, changes: Sequence[OptionChange]) -> None:
    """Tell the user each change, a line each."""
    for change in changes:
        values = f"{shorten(repr(change.old))} -> {shorten(repr(change.new))}"
        say(f"{place}: goes on with another {change.key}: {values}")


def _compare(key: str, old: Any, new: Any, grows: bool) -> list[OptionChange]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or old.get("name") != new.get("name"):
        return [] if old == new else [OptionChange(key, old, new)]
    names = sorted(old.keys() & new.keys() if grows else old.keys() | new.keys())
    return [c for n in names for c in _compare(f"{key}.{n}", old.get(n), new.get(n), grows=False)]
