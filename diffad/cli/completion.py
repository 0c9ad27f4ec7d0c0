"""Names that a shell completes, found without importing anything heavy."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from diffad.registry import REGISTRIES

KINDS = (*REGISTRIES, "configs", "pretrained")
"""What there are names of."""


def complete_config(incomplete: str) -> list[str]:
    """Return the shipped training configs that begin so."""
    from diffad.config import list_configs

    return [name for name in list_configs() if name.startswith(incomplete)]


def complete_benchmark(incomplete: str) -> list[str]:
    """Return the shipped benchmarks that begin so."""
    files = resources.files("diffad.configs").iterdir()
    names = sorted(Path(file.name).stem for file in files if file.name.startswith("benchmark_"))
    return [name for name in names if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Return the shipped models that begin so, and the word for a choice."""
    folder = Path(__file__).parents[1] / "models" / "shipped"
    names = [path.parent.name for path in sorted(folder.glob("*/model_index.json"))]
    return [name for name in (*names, "auto") if name.startswith(incomplete)]


def complete_kind(incomplete: str) -> list[str]:
    """Return the kinds of parts that begin so."""
    return [name for name in KINDS if name.startswith(incomplete)]
