"""What ``pretrain``, ``noise`` and ``phantom`` do with their words."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from diffad.config.schema import override


def pretrain(config: str, assignments: Sequence[str], cell: int, ratio: float) -> int:
    """Run ``diffad pretrain`` and return its exit code.

    Raises:
        ValueError: If the config has no encoder, or cannot be used.
        OSError: If nothing can be written.
    """
    from diffad.config import load
    from diffad.training.pretrain import pretrain as run

    try:
        print(run(load(config, assignments), cell, ratio))
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def noise(
    name: str, assignments: Sequence[str], everything: bool, path: Path | None, count: int | None, draw: Any
) -> int:
    """Run ``diffad noise`` and return its exit code.

    Raises:
        BadParameter: If it is not clear which noise is meant, or the picture would be no PNG.
        UnknownNameError: If there is no such noise or option.
        ValueError: If an option is out of range.
        OSError: If the picture cannot be written.
    """
    from rich.console import Console

    from diffad.report import noise_sheet

    if everything == bool(name):
        raise typer.BadParameter(
            f"expected the NAME of a noise or --all, got {'both' if name else 'neither'}"
        )
    if path is not None and path.suffix != ".png":
        raise typer.BadParameter(f"expected --save to end in .png, got {path}")
    options = override({}, assignments)
    if "name" in options:
        raise typer.BadParameter("expected options as KEY=VALUE, got another name")
    parts = noise_sheet.list_noises() if everything else [(name, options)]
    how = noise_sheet.Draw(**draw)
    samples = [noise_sheet.measure_noise(part, chosen, how) for part, chosen in parts]
    Console(width=None if sys.stdout.isatty() else 140).print(noise_sheet.format_noise_table(samples, how))
    if path is not None:
        noise_sheet.save_noise_sheet(samples, how, count or (4 if everything else 8), path)
        print(f"see {path}")
    return 0


def phantom(out: Path, subjects: int, options: dict[str, Any], picture: Path | None) -> int:
    """Run ``diffad phantom`` and return its exit code.

    Raises:
        BadParameter: If the picture would be no PNG.
        ValueError: If an option is unknown or out of range, or the folder holds something else.
        ImportError: If nilearn is missing.
        OSError: If a file cannot be written.
    """
    from diffad.data.phantom import KINDS, PhantomOptions, make_phantoms

    if picture is not None and picture.suffix != ".png":
        raise typer.BadParameter(f"expected --picture to end in .png, got {picture}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names, kinds = (_listed(options.pop(key)) for key in ("modality", "lesions"))
    chosen = PhantomOptions(modalities=names, kinds=kinds or tuple(KINDS), **options)
    try:
        made = make_phantoms(out, subjects, chosen)
    except KeyboardInterrupt:
        print("\nstopped; finished subjects are whole, run the same command to go on", file=sys.stderr)
        return 130
    lesioned = sum(p.kind is not None for p in made)
    there = f", {subjects - len(made)} were there" if subjects > len(made) else ""
    print(f"made {len(made)} phantoms, {lesioned} of them lesioned{there}; see {out / 'README'}")
    if picture is not None:
        from diffad.report.phantom import draw_phantoms

        print(f"see {draw_phantoms(out, chosen, picture)}")
    return 0


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
