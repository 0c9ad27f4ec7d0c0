"""Models that a choice is made among: what each says of the scans it knows, read without its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diffad.inference.known import KnownScans
from diffad.inference.stored import INDEX, check_model
from diffad.models.coding import count_sequences
from diffad.models.folder import ModelError, read_mapping
from diffad.models.pretrained import list_shipped_models, locate_model

AUTO, SHIPPED = "auto", "shipped"
"""Word that asks for a choice, and the word among its places that stands for the shipped models."""


@dataclass(frozen=True)
class Candidate:
    """A model, as far as a choice needs it.

    Args:
        name: Name of a shipped model, or a pipeline folder.
        channels: Sequences it takes.
        settings: What it says of the scans it knows: ``intensity``, ``sequences`` and ``domain``.
        domain: The last of these, read; none where the model does not say.
        contrasts: What it knows of a contrast for which it has settings of its own, by name.
    """

    name: str
    channels: int
    settings: Mapping[str, Any] = field(repr=False)
    domain: tuple[KnownScans, ...] | None = field(default=None, repr=False)
    contrasts: Mapping[str, tuple[KnownScans, ...] | None] = field(default_factory=dict, repr=False)

    @property
    def is_ct(self) -> bool:
        """Whether it takes CT, in Hounsfield units."""
        return bool(self.settings["intensity"] == "ct")

    @property
    def sequences(self) -> Sequence[str] | None:
        """Names of its sequences, where known."""
        names: Sequence[str] | None = self.settings["sequences"]
        return names

    @property
    def breadth(self) -> float:
        """How wide a range of scans it knows, see ``KnownScans``; each further contrast widens it."""
        domains = (self.domain, *self.contrasts.values())
        return sum(known.breadth for domain in domains for known in domain or ())

    def adapt_to(self, contrast: str) -> Candidate:
        """Return the model as it is for scans of a contrast."""
        return replace(self, domain=self.contrasts.get(contrast, self.domain))

    @classmethod
    def read(cls, name: str) -> Candidate:
        """Read a model's folder and check all of its files; no network is built.

        Raises:
            OSError: If there is no such model here.
            ModelError: If its files do not fit together; the file is named.
        """
        folder = Path(locate_model(name))
        if not folder.is_dir():
            raise FileNotFoundError(f"{name}: expected a folder or a shipped model, found neither")
        index = read_mapping(folder / INDEX)
        check_model(folder, index)
        domain, contrasts = index.get("domain"), index.get("contrasts") or {}
        ranges = {name: settings.get("domain") for name, settings in contrasts.items()}
        return cls(
            name,
            _count_sequences(folder, index),
            {
                "intensity": index["space"].get("intensity"),
                "sequences": index.get("sequences"),
                "domain": domain,
                **({"contrasts": ranges} if ranges else {}),
            },
            _read_domain(domain),
            {name: _read_domain(values) for name, values in ranges.items()},
        )


def _count_sequences(folder: Path, index: Mapping[str, Any]) -> int:
    channels = read_mapping(folder / "network" / "config.json").get("in_channels", 1)
    codec = read_mapping(folder / "codec" / "config.json") if any(index.get("codec") or ()) else None
    return count_sequences(index["space"], channels, codec)


def _read_domain(domain: Sequence[dict[str, Any]] | None) -> tuple[KnownScans, ...] | None:
    return None if domain is None else tuple(KnownScans.from_dict(values) for values in domain)


def is_auto(model: str) -> bool:
    """Tell whether a model is to be chosen for each scan: ``auto``, or ``auto:PLACE,...``."""
    return model == AUTO or model.startswith(f"{AUTO}:")


def list_candidates(model: str) -> tuple[list[Candidate], list[str]]:
    """List the models to choose among.

    Args:
        model: ``auto`` for the shipped models; ``auto:PLACE,...`` for those of places, each a folder that
            holds pipelines, a pipeline, the name of a shipped model, or ``shipped`` for all of these.

    Returns:
        The models, and a sentence for each in a folder that cannot be used and is passed over.

    Raises:
        OSError: If a place does not exist, or there is no usable model.
        ModelError: If a model that was named itself cannot be used.
    """
    candidates: dict[Path, Candidate] = {}
    warnings: list[str] = []
    for place in _split_places(model):
        for name, is_named in _list_names(place):
            try:
                candidates.setdefault(Path(locate_model(name)).resolve(), Candidate.read(name))
            except ModelError as error:
                if is_named:
                    raise
                warnings.append(f"passed over the model {name}: {error}")
    if not candidates:
        hint = "".join(f"; {warning}" for warning in warnings)
        raise FileNotFoundError(f"{model}: expected a model that can be used, found none{hint}")
    return list(candidates.values()), warnings


def _split_places(model: str) -> list[str]:
    _, colon, text = model.partition(":")
    places = [word.strip() for word in text.split(",")] if colon else [SHIPPED]
    if not all(places):
        raise FileNotFoundError(f"{model}: expected a name between the commas, found none")
    return places


def _list_names(place: str) -> list[tuple[str, bool]]:
    """Return the models of a place, and whether each was named itself."""
    if place == SHIPPED:
        return [(name, False) for name in list_shipped_models()]
    folder = Path(place).expanduser()
    if not folder.is_dir() or (folder / INDEX).is_file():
        return [(place, True)]
    folders = [path for path in sorted(folder.iterdir()) if (path / INDEX).is_file()]
    if not folders:
        raise FileNotFoundError(f"{place}: expected a folder that holds pipelines, found none with {INDEX}")
    return [(str(path), False) for path in folders]
