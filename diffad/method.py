"""A method without its network: noise x guidance x sampler x score, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from diffad.config.schema import PartSpec
from diffad.config.yaml import merge


@dataclass(frozen=True)
class Method:
    """The parts that are composed around a denoiser, each by name with options.

    A pipeline has one of its own; a caller, a config or a benchmark may put others in the place of some of
    its parts. Keyword arguments and YAML keys bear the names of the fields.

    Args:
        noise: What scans are corrupted with.
        sampler: How they are rebuilt.
        score: How scan and reconstruction are compared.
        guidance: What steers the way back.
    """

    noise: PartSpec | None = None
    sampler: PartSpec | None = None
    score: PartSpec | None = None
    guidance: PartSpec | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Method:
        """Take the parts out of options, such as the config of a pipeline; what is absent is none."""
        return cls(**{name: options.get(name) for name in PARTS})

    def over(self, base: Method) -> Method:
        """Return this method, with the parts of ``base`` where it has none.

        A part without a name changes options of the part of ``base``: ``{"level": 200}``.

        Raises:
            ValueError: If ``base`` has no such part.
        """
        parts = base.to_dict()
        return Method(**{**parts, **{k: _merge_part(k, p, parts[k]) for k, p in self.to_overrides().items()}})

    def to_overrides(self) -> dict[str, PartSpec]:
        """Return the parts that are not none, by name."""
        return {name: part for name, part in self.to_dict().items() if part is not None}

    def to_dict(self) -> dict[str, PartSpec | None]:
        """Return all parts by name."""
        return {name: getattr(self, name) for name in PARTS}


PARTS = tuple(field.name for field in fields(Method))
"""Names of the parts of a method."""


def _merge_part(key: str, part: PartSpec, base: PartSpec | None) -> PartSpec:
    if "name" in part:
        return part
    if base is None:
        raise ValueError(f"{key}: expected a part with a name, as the model has none of its own, got {part}")
    whole: PartSpec = merge(dict(base), dict(part))
    return whole
