"""Names that a shell completes, found without importing anything heavy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from diffad.registry import REGISTRIES

KINDS = (*REGISTRIES, "configs", "pretrained")
"""What there are names of."""

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
COMPLETION = ("--install-completion", "--show-completion")


def name_shell(words: Sequence[str]) -> list[str]:
    """Name the shell whose completion is asked for: as the user says, as it is, or as his account has it.

    Typer finds the shell among the processes above or fails, and takes no name unless it is told not to look.
    """
    chosen_words = [word for word in words if word in COMPLETION]
    if not chosen_words:
        return list(words)
    os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    names = [word for word in words if word in SHELLS]
    return [chosen_words[0], names[0] if names else _detect_shell()]


def _detect_shell() -> str:
    """Return the shell above, else that of the account, else bash; plain ``sh`` completes nothing."""
    try:
        from shellingham import detect_shell

        shell = str(detect_shell()[0])
    except Exception:  # of another kind on every system
        shell = ""
    names = (shell, Path(os.environ.get("SHELL") or "").name, "bash")
    return next(name for name in names if name in SHELLS)


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
