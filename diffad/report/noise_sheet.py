"""A contact sheet of noises: fields, spectrum and autocorrelation, and the same in numbers."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from diffad.protocols import NoiseGenerator
from diffad.registry import NOISES
from diffad.report.noise_stats import NoiseSample, NoiseStats
from diffad.types import generator_for

FIELDS, BATCH = 64, 16
"""Number of fields that are measured, and of those drawn at a time."""

EXTRA_NOISES: tuple[tuple[str, Mapping[str, Any]], ...] = (("gaussian", {"offset": 0.5}),)
"""Noises that deserve a row of their own beside those with default options."""


@dataclass(frozen=True)
class Draw:
    """How fields are drawn.

    Args:
        size: Edge of the square fields in pixels.
        level: Noise level :math:`t` of all fields.
        seed: Seed; field i has the generator that follows from it and i.
    """

    size: int = 128
    level: int = 100
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.size} x {self.size} pixels · level {self.level} · seed {self.seed}"

    def __call__(self, noise: NoiseGenerator, first: int, count: int) -> Tensor:
        """Draw ``count`` fields (N, 1, H, W), from field ``first`` on."""
        like = torch.zeros(count, 1, self.size, self.size)
        generators = [generator_for(self.seed, i) for i in range(first, first + count)]
        return noise(like, torch.full((count,), self.level), generator=generators)


def measure_noise(name: str, options: Mapping[str, Any], draw: Draw) -> NoiseSample:
    """Draw and measure a noise.

    Raises:
        UnknownNameError: If the name or an option is unknown.
        ValueError: If an option is out of range.
    """
    noise = NOISES.build(name, **options)
    draw(noise, 0, 1)  # the time is to leave out compilation
    fields, seconds = [], []
    for first in range(0, FIELDS, BATCH):
        start = time.perf_counter()
        fields.append(draw(noise, first, BATCH))
        seconds.append(time.perf_counter() - start)
    z = torch.cat(fields)
    return NoiseSample(name, options, z, NoiseStats.of(z), statistics.median(seconds))


def list_noises() -> list[tuple[str, Mapping[str, Any]]]:
    """List all registered noises with default options, and those that deserve a row beside them."""
    return sorted([*((name, {}) for name in NOISES), *EXTRA_NOISES], key=lambda part: part[0])


def format_noise_table(samples: Sequence[NoiseSample], draw: Draw) -> Table:
    """Lay out the statistics for a terminal."""
    caption = f"Statistics of {FIELDS} fields · {draw}"
    grid = Table(title="Noise", title_justify="left", caption=caption, caption_justify="left")
    grid.add_column("name")
    heads = (
        "mean",
        "std",
        "slice-mean\nstd",
        "1/e length\n(px)",
        "min",
        "max",
        f"seconds per\n{BATCH} fields",
    )
    for head in heads:
        grid.add_column(head, justify="right")
    for s in samples:
        m = s.stats
        length = f"{m.length:.2f}" if m.length < draw.size else f"> {draw.size // 2}"
        values = [f"{v:.3f}" for v in (m.mean, m.std, m.slice_mean_std)]
        values += [length, f"{m.low:.2f}", f"{m.high:.2f}", f"{s.seconds:.4f}"]
        grid.add_row(f"{s.name} {s.option_text}".strip(), *values)
    return grid


def save_noise_sheet(samples: Sequence[NoiseSample], draw: Draw, count: int, path: Path) -> None:
    """Write the contact sheet as PNG, ``count`` fields for each noise.

    Raises:
        OSError: If the file cannot be written.
    """
    from PIL import Image

    from diffad.io.atomic import write_bytes
    from diffad.report.noise_figure import draw_noise_figure, list_colours

    content, small_content = io.BytesIO(), io.BytesIO()
    figure = draw_noise_figure(samples, f"Statistics of {FIELDS} fields · {draw}", count)
    figure.savefig(content, format="png")
    # Noise does not compress; few colours make the file a third as large.
    colours = Image.new("P", (1, 1))
    colours.putpalette(list_colours())
    image = Image.open(content).convert("RGB").quantize(palette=colours, dither=Image.Dither.NONE)
    image.save(small_content, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, small_content.getvalue())
