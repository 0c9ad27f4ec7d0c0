"""Tables of what a config can name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from rich.console import Console
from rich.table import Table

from diffad import registry

REGISTRIES = {
    "noises": registry.NOISES,
    "samplers": registry.SAMPLERS,
    "guidances": registry.GUIDANCES,
    "saliencies": registry.SALIENCIES,
    "scores": registry.SCORES,
    "models": registry.MODELS,
    "datasets": registry.DATASETS,
    "layouts": registry.LAYOUTS,
    "protocols": registry.PROTOCOLS,
}
GIVEN = ("self", "split", "space")
"""Options that the training run fills in."""


def show(kinds: Sequence[str]) -> None:
    """Print one table for each kind."""
    # A pipe has no width; a table cut at 80 columns would be harder to read than long lines.
    console = Console(width=None if sys.stdout.isatty() else 140)
    for kind in kinds:
        rows = {"configs": _configs, "pretrained": _pretrained}.get(kind, lambda kind=kind: _parts(kind))()
        heads = {"configs": ("name", "what"), "pretrained": ("name", "what")}.get(
            kind, ("name", "what", "options")
        )
        if not rows:
            console.print(f"{kind}: none")
            continue
        table = Table(*heads, title=kind, title_justify="left", expand=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _parts(kind: str) -> list[tuple[str, ...]]:
    parts = REGISTRIES[kind]
    return [(name, first_line(parts[name]), options(parts[name])) for name in parts]


def first_line(part: Callable[..., Any]) -> str:
    """Return the first line of a part's documentation."""
    return (inspect.getdoc(part) or "").split("\n")[0]


def options(part: Callable[..., Any]) -> str:
    """Return the options of a part with their defaults, as a config takes them."""
    found = [p for p in inspect.signature(part).parameters.values() if p.name not in GIVEN]
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={_plain(p.default)!r}" for p in found)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _configs() -> list[tuple[str, ...]]:
    from diffad.config import list_configs

    folder = resources.files("diffad.configs")
    return [
        (name, _comment((folder / f"{name}.yaml").read_text(encoding="utf-8"))) for name in list_configs()
    ]


def _comment(text: str) -> str:
    """Return the first line of a file, if it is a comment."""
    first = text.split("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def _pretrained() -> list[tuple[str, ...]]:
    from diffad.models.pretrained import shipped_models

    return [(name, _size(folder)) for name, folder in shipped_models().items()]


def _size(folder: Any) -> str:
    total = sum(p.stat().st_size for p in folder.rglob("*.safetensors"))
    return f"{total / 1e6:.1f} MB of weights, in {folder}"
