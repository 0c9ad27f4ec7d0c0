"""The picture of the landing page: one head in three planes, seen by a model.

    python -m tests.timings.showcase MODEL SCAN --out docs/images/showcase.png [--at X,Y,Z] [--results FOLDER]

Runs ``diffad predict SCAN --model MODEL --prepare``, or takes what lies in FOLDER where that is finished, and
draws rows of scan, reconstruction, map and detections. The planes go through the peak of the largest
detection, or through ``--at``, in mm of the scan's own world. Whoever writes the caption must look at the
picture and at the list of detections that is printed: the program does not know which of them are true.
"""

import argparse
import io
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from diffad.cli import main as run_command
from diffad.data.slices import axis_index, slice_spacing
from diffad.io.naming import find_maps
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.figure import choose_place
from diffad.report.planes import SIDES, orient_plane
from diffad.report.reading import read_maps
from diffad.report.sheet import BRAIN, DETECTION, MAP
from diffad.report.tiles import draw_image, draw_outline, fill_mask, write_sides
from diffad.report.viewer.page import describe_unit

PLANES = ("axial", "coronal", "sagittal")
TITLES = ("Scan", "Pseudo-healthy\nreconstruction", "Anomaly map", "Detections")
WIDTH, LEFT, GAP, HEAD, FOOT = 7.0, 0.32, 0.06, 0.5, 0.48
"""Inches: of the picture, of its margins, between tiles; text of 9 points is 12 pixels high at 700."""
RIM_MM = 6


def read_result(options):
    """Predict, or find the finished result, and read it."""
    words = [
        "predict",
        str(options.scan),
        "--model",
        options.model,
        "--prepare",
        "--out",
        str(options.results),
    ]
    if run_command(words):
        raise SystemExit(f"{options.scan}: expected a result, found none")
    namings = [n for n in find_maps(options.results).values() if n.name == options.scan.name.split(".")[0]]
    return read_maps(namings[0].files(options.results))


def find_voxel(out, point, lesions):
    """Voxel that all planes go through, on the axes of the map."""
    if point is None:
        return choose_place(out, lesions)
    return [round(float(i)) for i in (np.linalg.inv(out.volume.affine) @ [*point, 1.0])[:3]]


def cut_plane(out, plane, voxel):
    """Images of one plane by name, rows and columns around the brain, and pixel size (row, column) in mm."""
    axis = axis_index(plane)
    volumes = {
        "scan": out.image[0, :1],
        "reconstruction": out.reconstruction[0, :1],
        "anomaly": out.anomaly_map[0],
        "detections": out.mask[0].bool(),
        "brain": out.brain[0].bool(),
        "crossing": torch.zeros_like(out.brain[0], dtype=torch.bool),
    }
    volumes["crossing"][0, *voxel] = True
    images = {name: orient_plane(x, axis, voxel[axis]) for name, x in volumes.items()}
    spacing = slice_spacing(out.volume.spacing.tolist(), axis)
    shadow = orient_plane(volumes["brain"].any(1 + axis, keepdim=True), axis, 0)
    ends = [np.flatnonzero(shadow.any(1 - a))[[0, -1]] for a in (0, 1)]
    box = [(a - 0.5 - RIM_MM / mm, b + 0.5 + RIM_MM / mm) for (a, b), mm in zip(ends, spacing, strict=True)]
    return images, box, spacing


def draw(out, voxel):
    """Draw the picture: planes in rows at one scale, images in columns."""
    cuts = [cut_plane(out, plane, voxel) for plane in PLANES]
    sizes = [[(b - a) * mm for (a, b), mm in zip(box, spacing, strict=True)] for _, box, spacing in cuts]
    tile = (WIDTH - LEFT - 4 * GAP) / 4
    scale = tile / max(width for _, width in sizes)
    heights = [height * scale for height, _ in sizes]
    figure = Figure((WIDTH, HEAD + sum(heights) + 3 * GAP + FOOT), dpi=200, facecolor=PAPER)
    FigureCanvasAgg(figure)
    brain = out.brain[0, 0].bool()
    low, high = np.percentile(out.image[0, 0][brain].numpy(), (0.5, 99.9))
    norms = Normalize(max(0.0, low - 0.1 * (high - low)), high), scale_heat(out)
    top = HEAD
    for plane, (images, box, spacing), height in zip(PLANES, cuts, heights, strict=True):
        world = (out.volume.affine @ [*voxel, 1.0])[axis_index(plane)]
        text = f"{plane}, {'xyz'[axis_index(plane)]} = {world:+.0f} mm"
        style = {"rotation": 90, "ha": "center", "va": "center"}
        place_text(figure, LEFT / 2, top + height / 2, text, 8, PLAIN, **style)
        for column in range(4):
            axes = place_axes(figure, LEFT + column * (tile + GAP), top, tile, height)
            paint(axes, images, column, norms)
            frame(axes, box, spacing, tile / height)
            if column == 0:
                write_sides(axes, SIDES[axis_index(plane)])
                point_at(axes, images["crossing"])
        top += height + GAP
    for column, title in enumerate(TITLES):
        colour = DETECTION if title == "Detections" else BRIGHT
        middle = LEFT + column * (tile + GAP) + tile / 2
        place_text(figure, middle, HEAD - 0.08, title, 9.5, colour, ha="center", va="bottom")
    draw_bar(figure, out, norms[1], LEFT + 2 * (tile + GAP), top + 0.06, tile)
    return figure


def scale_heat(out):
    """Colours of the map: from 0 to what few voxels exceed."""
    values = out.anomaly_map[0, 0][out.brain[0, 0].bool()].numpy()
    return Normalize(0, max(float(np.percentile(values, 99.8)), 1.5 * float(out.info["threshold"])))


def paint(axes, images, column, norms):
    """Paint one tile."""
    grey, heat = norms
    axes.set_axis_off()
    if column == 2:
        draw_image(axes, images["anomaly"], heat, MAP)
        draw_outline(axes, images["brain"], BRAIN, 0.7)
        return
    draw_image(axes, images["reconstruction" if column == 1 else "scan"], grey, "gray")
    if column == 3:
        fill_mask(axes, images["detections"], DETECTION)
        draw_outline(axes, images["detections"], DETECTION, 1.0)


def frame(axes, box, spacing, ratio):
    """Show the box, widened to the shape of the tile, with pixels of their size."""
    (first, last), (left, right) = box
    (down, across), middle = spacing, (left + right) / 2
    half = (last - first) * down * ratio / across / 2
    axes.set(xlim=(middle - half, middle + half), ylim=(last, first))
    axes.set_aspect("auto")


def point_at(axes, crossing):
    """Draw an arrow to the place that all planes go through."""
    row, column = np.argwhere(crossing)[0]
    style = {"arrowstyle": "-|>", "color": BRIGHT, "shrinkB": 7, "lw": 1.4, "mutation_scale": 8}
    axes.annotate("", (column, row), (-26, -18), textcoords="offset points", arrowprops=style)


def draw_bar(figure, out, heat, left, top, width):
    """Draw the colour bar of the map with its threshold, and say its unit."""
    axes = place_axes(figure, left, top, width, 0.11)
    figure.colorbar(ScalarMappable(heat, MAP), cax=axes, orientation="horizontal").outline.set_visible(False)
    threshold = float(out.info["threshold"])
    axes.set_xticks([0, threshold, heat.vmax], [f"{v:.2g}" for v in (0, threshold, heat.vmax)])
    axes.tick_params(colors=BRIGHT, labelsize=8, length=0, pad=2)
    axes.axvline(threshold, color=BRIGHT, lw=1.2)
    unit = textwrap.fill(f"Map: {describe_unit(out.info)}.", 62)
    words = f"{unit}\nWhite line: threshold. Arrow: where the planes meet."
    place_text(figure, left - 0.12, top, words, 8, PLAIN, ha="right")


def save(figure, path):
    """Write the picture in 256 colours, which keeps it small: greys, those of the map, orange over grey."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    greys = np.linspace(0, 1, 112)[:, None] * np.ones(3)
    orange = np.outer(np.linspace(0, 1, 48), to_rgb(DETECTION))
    fill = 0.62 * greys[::7] + 0.38 * np.array(to_rgb(DETECTION))
    colours = np.concatenate([greys, colormaps[MAP](np.linspace(0, 1, 80))[:, :3], orange[:48], fill])[:256]
    palette = Image.new("P", (1, 1))
    palette.putpalette((255 * colours).round().astype(np.uint8).tobytes())
    picture = Image.open(content).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)


def main():
    """Predict, draw, and say what was detected."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("scan", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--at", type=lambda text: [float(v) for v in text.split(",")], metavar="X,Y,Z")
    parser.add_argument("--results", type=Path, help="folder of the results; by default one that is removed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.results = options.results or Path(folder)
        out = read_result(options)
    lesions = out.lesions()
    for lesion in sorted(lesions, key=lambda lesion: -lesion.peak):
        print(f"{lesion.volume_ml:8.2f} ml, peak {lesion.peak:6.2f}: {lesion.place}")
    save(draw(out, find_voxel(out, options.at, lesions)), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
