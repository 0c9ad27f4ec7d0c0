"""The command that lists what a config can name."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from diffad.cli.completion import KINDS as KINDS
from diffad.cli.completion import complete_kind
from diffad.io.terminal import plain_text, show
from diffad.registry import REGISTRIES, NameClashError, unknown_name

RUN_OPTIONS = ("self", "split", "space")
"""Options that the training run fills in."""
SENTENCE = re.compile(r"(?:[^.(]|\([^)]*\)|\.(?! |$))*")
"""A text up to the first full stop outside brackets."""

TableRow = tuple[str, ...]


def list_command(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", autocompletion=complete_kind, help=f"One kind only: {', '.join(KINDS)}."
        ),
    ] = None,
) -> None:
    """List the parts that a config can name, with their options, and the shipped configs and models.

    \b
    Examples:
      diffad list
      diffad list samplers
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(str(unknown_name("kind", kind, list(KINDS))))
    for name in KINDS if kind is None else (kind,):
        _print_table(name)


def _print_table(kind: str) -> None:
    from rich.table import Table

    rows = {"configs": _list_configs, "pretrained": _list_models}.get(kind, lambda: _list_parts(kind))()
    heads = ("name", "what", "options")[: len(rows[0]) if rows else 0]
    table = Table(*heads, title=kind, title_justify="left", expand=False)
    for row in rows:
        table.add_row(*map(plain_text, row))
    show("table", table if rows else f"{kind}: none")
    for row in rows:
        show("part", kind=kind, **dict(zip(heads, row, strict=True)))


def _list_parts(kind: str) -> list[TableRow]:
    parts = REGISTRIES[kind]
    rows: list[TableRow] = []
    for name in parts:
        try:
            rows.append((name, first_line(parts[name]), format_options(parts[name])))
        except NameClashError as error:
            rows.append((name, str(error), ""))
    return rows


def first_line(part: Callable[..., Any]) -> str:
    """Return the first line of a part's documentation."""
    return (inspect.getdoc(part) or "").split("\n")[0]


def format_options(part: Callable[..., Any]) -> str:
    """Return the options of a part with their defaults, as a config takes them."""
    parameters = [p for p in inspect.signature(part).parameters.values() if p.name not in RUN_OPTIONS]
    return ", ".join(
        p.name if p.default is p.empty else f"{p.name}={_unfreeze(p.default)!r}" for p in parameters
    )


def _unfreeze(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _list_configs() -> list[TableRow]:
    from diffad.config import list_configs

    folder = resources.files("diffad.configs")
    texts = {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in list_configs()}
    return [(name, _read_comment(text)) for name, text in texts.items()]


def _read_comment(text: str) -> str:
    """Return the first sentence of the comment that a file begins with, however many lines it takes."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.split("\n"))
    comment = " ".join(line.lstrip("# ") for line in lines)
    match = SENTENCE.match(comment)
    return f"{match[0].rstrip('.')}." if match and comment else ""


def _list_models() -> list[TableRow]:
    from diffad.models.pretrained import list_shipped_models

    return [(name, _describe_size(folder)) for name, folder in list_shipped_models().items()]


def _describe_size(folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    return f"{size / 1e6:.1f} MB of weights, in {folder}"
