"""A picture of each corruption: ``python -m diffad.report.corruptions DATA --out PNG``."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffad.data.corruptions import SETS, TASKS, CorruptedImage, corrupt, expand_tasks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = ("corrupted image", "changed region", "difference")

LABEL = 0.195
"""Room for the name of a row, in inches."""

SCALE = 0.5
"""Difference that is drawn in full red or blue, as a fraction of the range."""


def corrupt_by_every_task(
    image: Tensor,
    brain: Tensor,
    seed: int,
    others: Sequence[Tensor] = (),
    foreign: Sequence[Tensor] = (),
    tasks: Sequence[str] = TASKS,
) -> dict[str, CorruptedImage]:
    """Corrupt one image by every task.

    Args:
        image: Image, (C, H, W), in [0, 1].
        brain: Brain mask, (1, H, W), boolean.
        seed: Any integer; all tasks start from it.
        others: Sources of ``blend``, see ``diffad.data.corruptions.corrupt``.
        foreign: Sources of ``cross_blend``.
        tasks: Tasks, or names for several, see ``diffad.data.corruptions.SETS``.
    """
    return {
        task: corrupt(image, brain, task, torch.Generator().manual_seed(seed), others, foreign)
        for task in dict.fromkeys(expand_tasks(tasks))
    }


def draw_columns(examples: Mapping[str, CorruptedImage]) -> Figure:
    """Draw a column for each task: the corrupted image, the same with the outline, and the difference.

    The first channel is drawn. The first column is the image without corruption.

    Args:
        examples: Corruptions of one image by the name of the task.

    Raises:
        ValueError: If there is nothing to draw, or it is not a slice.
    """
    from matplotlib.figure import Figure

    shapes = {tuple(c.image.shape[1:]) for c in examples.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"expected slices (C, H, W) of one shape, got {sorted(shapes) or 'none'}")
    (height, width), columns = shapes.pop(), len(examples) + 1
    figure = Figure(figsize=(1.3 * columns, 1.3 * len(ROWS) * height / width + 0.25), dpi=130)
    axes = figure.subplots(len(ROWS), columns, squeeze=False)
    left, top = LABEL / figure.get_figwidth(), 1 - 0.25 / figure.get_figheight()
    edges = {"left": left, "right": 1, "top": top, "bottom": 0}
    figure.subplots_adjust(**edges, wspace=0.01, hspace=0.01)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.set_frame_on(False)
    for axis, name in zip(axes[:, 0], ROWS, strict=True):
        axis.set_ylabel(name, fontsize=7)
    _draw_grey(axes[0, 0], next(iter(examples.values())).target[0])
    axes[0, 0].set_title("original", fontsize=8, pad=3)
    for column, (task, example) in zip(axes.T[1:], examples.items(), strict=True):
        _draw_column(column, task.replace("_", " "), example)
    return figure


def _draw_column(column: Sequence[Axes], name: str, example: CorruptedImage) -> None:
    column[0].set_title(name, fontsize=8, pad=3)
    _draw_grey(column[0], example.image[0])
    _draw_grey(column[1], example.image[0])
    if example.mask.any():
        column[1].contour(example.mask[0].numpy(), levels=[0.5], colors=["#1ae5ff"], linewidths=0.7)
    delta = (example.image - example.target)[0].numpy()
    column[2].imshow(delta, cmap="RdBu_r", vmin=-SCALE, vmax=SCALE, interpolation="nearest")


def _draw_grey(axis: Axes, image: Tensor) -> None:
    axis.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def draw_corruptions(
    data: Path, out: Path, item: int, size: int, seed: int, tasks: Sequence[str] = TASKS
) -> Path:
    """Write the picture for one validation slice; the training slices are the sources of ``blend``.

    Args:
        data: Folder with train/, val/ and brain_mask.png.
        out: PNG to write, whole or not at all.
        item: Number of the validation slice, from 0.
        size: Side of the slice, in pixels.
        seed: Seed of the corruptions.
        tasks: As for ``corrupt_by_every_task``.

    Raises:
        OSError: If a file cannot be written.
        ValueError: If a file is missing or cannot be read.
        ValueError: If there is no such slice, or a slice has another shape than the mask.
    """
    from diffad.data.slice_folder import load_slices
    from diffad.io.atomic import write_bytes

    train, val, brain = load_slices(data, size)
    if not 0 <= item < len(val):
        raise ValueError(f"expected a slice from 0 to {len(val) - 1} in {data / 'val'}, got {item}")
    box = _box_brain(brain[0, 0])
    content = io.BytesIO()
    examples = corrupt_by_every_task(val[item][box], brain[0][box], seed, list(train[:, *box]), tasks=tasks)
    draw_columns(examples).savefig(content, format="png")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, content.getvalue())
    return out


def _box_brain(brain: Tensor, margin: int = 4) -> tuple[slice, slice, slice]:
    """Return the box around the brain (H, W), to be cut out of (C, H, W)."""
    i, j = (
        slice(max(int(indices.min()) - margin, 0), int(indices.max()) + margin + 1)
        for indices in brain.nonzero(as_tuple=True)
    )
    return slice(None), i, j


def run_corruptions_arguments(arguments: Sequence[str] | None = None) -> None:
    """Draw one slice under each corruption, with the changed region outlined and the difference."""
    parser = argparse.ArgumentParser(
        prog="python -m diffad.report.corruptions", description=run_corruptions_arguments.__doc__
    )
    parser.add_argument("data", type=Path, help="folder with train/, val/ and brain_mask.png")
    parser.add_argument("--out", type=Path, default=Path("docs/images/corruptions.png"), help="PNG to write")
    parser.add_argument("--item", type=int, default=0, help="number of the validation slice, from 0")
    parser.add_argument("--size", type=int, default=128, help="side of the slice, in pixels")
    tasks_help = f"tasks, or names for several: {', '.join(SETS)}"
    parser.add_argument("--tasks", nargs="+", default=["published"], help=tasks_help)
    parser.add_argument("--seed", type=int, default=0, help="seed of the corruptions")
    options = parser.parse_args(arguments)
    try:
        size, seed, tasks = options.size, options.seed, options.tasks
        print(draw_corruptions(options.data, options.out, options.item, size, seed, tasks))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    run_corruptions_arguments()
