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
from diffad.report.noise_stats import NoiseStats
from diffad.types import generator_for

FIELDS, BATCH = 64, 16
"""Fields that are measured, and how many are drawn at a time."""

SHOWN_TOO: tuple[tuple[str, Mapping[str, Any]], ...] = (("gaussian", {"offset": 0.5}),)
"""Noises worth a row of their own beside those with default options."""


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


@dataclass(frozen=True)
class NoiseSample:
    """Fields of one noise and what was measured on them.

    Args:
        name: Registered name.
        options: Options that are not the defaults.
        fields: Fields (N, 1, H, W).
        stats: Statistics of the fields.
        seconds: Median time to draw 16 fields.
    """

    name: str
    options: Mapping[str, Any]
    fields: Tensor
    stats: NoiseStats
    seconds: float

    @property
    def told(self) -> str:
        """The options in words."""
        return ", ".join(f"{key}={value}" for key, value in self.options.items())


def measure_noise(name: str, options: Mapping[str, Any], draw: Draw) -> NoiseSample:
    """Draw and measure a noise.

    Raises:
        UnknownNameError: If the name or an option is unknown.
        ValueError: If an option is out of range.
    """
    noise = NOISES.build(name, **options)
    draw(noise, 0, 1)  # compilation is no part of the time
    fields, seconds = [], []
    for first in range(0, FIELDS, BATCH):
        start = time.perf_counter()
        fields.append(draw(noise, first, BATCH))
        seconds.append(time.perf_counter() - start)
    z = torch.cat(fields)
    return NoiseSample(name, options, z, NoiseStats.of(z), statistics.median(seconds))


def list_noises() -> list[tuple[str, Mapping[str, Any]]]:
    """List all registered noises with default options, and what is shown beside them."""
    return sorted([*((name, {}) for name in NOISES), *SHOWN_TOO], key=lambda part: part[0])


def format_noise_table(samples: Sequence[NoiseSample], draw: Draw) -> Table:
    """Lay out the statistics for a terminal."""
    caption = f"{FIELDS} fields of {draw}"
    grid = Table(title="noise", title_justify="left", caption=caption, caption_justify="left")
    grid.add_column("name")
    heads = ("mean", "std", "slice-mean\nstd", "1/e length\n(px)", "min", "max", "seconds per\n16 fields")
    for head in heads:
        grid.add_column(head, justify="right")
    for s in samples:
        m = s.stats
        length = f"{m.length:.2f}" if m.length < draw.size else f"> {draw.size // 2}"
        values = [f"{v:.3f}" for v in (m.mean, m.std, m.slice_mean_std)]
        values += [length, f"{m.low:.2f}", f"{m.high:.2f}", f"{s.seconds:.4f}"]
        grid.add_row(f"{s.name} {s.told}".strip(), *values)
    return grid


def save_noise_sheet(samples: Sequence[NoiseSample], draw: Draw, count: int, path: Path) -> None:
    """Write the contact sheet as PNG, ``count`` fields for each noise.

    Raises:
        OSError: If the file cannot be written.
    """
    from PIL import Image

    from diffad.io.atomic import write_bytes
    from diffad.report.noise_figure import draw_noise_figure, list_colours

    content, small = io.BytesIO(), io.BytesIO()
    draw_noise_figure(samples, f"{FIELDS} fields measured · {draw}", count).savefig(content, format="png")
    # Noise does not compress; few colours make the file a third as large.
    colours = Image.new("P", (1, 1))
    colours.putpalette(list_colours())
    image = Image.open(content).convert("RGB").quantize(palette=colours, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, small.getvalue())
