"""What a model shows of real scans: a row each, three planes of scan, reconstruction and map.

    diffad predict SCANS --model MODEL --prepare --out RESULTS
    python -m tests.timings.real_scans RESULTS --out docs/images/benchmark/real.png [--names NAME=TITLE ...]

The planes go through the largest detection, or through the middle of the brain. All rows share one scale of
the map, in units of the model's threshold, so that a quiet scan looks quiet. What was found is printed.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from diffad.io.naming import find_maps
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.figure import choose_place
from diffad.report.planes import SIDES
from diffad.report.reading import read_maps
from diffad.report.sheet import DETECTION, MAP
from diffad.report.tiles import draw_image, draw_outline, write_sides
from tests.timings.showcase import PLANES, cut_plane, frame, save

TITLES = ("scan", "reconstruction", "map")
TILE, GAP, LEFT, HEAD = 1.05, 0.03, 1.15, 0.42
"""Inches."""
TOP = 4.0
"""Bright end of the map, in thresholds."""


def draw(rows):
    """Draw a row for each scan: title and what ``read_maps`` gave."""
    width = LEFT + 9 * (TILE + GAP) + 2 * GAP
    figure = Figure((width, HEAD + len(rows) * (TILE + GAP) + 0.05), dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    for column in range(9):
        left = LEFT + column * (TILE + GAP) + column // 3 * GAP
        text = f"{PLANES[column // 3]}\n{TITLES[column % 3]}"
        place_text(figure, left + TILE / 2, HEAD - 0.06, text, 8, BRIGHT, ha="center", va="bottom")
    for number, (title, out) in enumerate(rows):
        draw_row(figure, title, out, HEAD + number * (TILE + GAP))
    return figure


def draw_row(figure, title, out, top):
    """Draw the nine tiles of a scan."""
    place_text(figure, 0.06, top + TILE / 2, title, 8, PLAIN, va="center")
    lesions = out.lesions()
    voxel = choose_place(out, lesions) if lesions else find_middle(out)
    low, high = np.percentile(out.image[0, 0][out.brain[0, 0].bool()].numpy(), (0.5, 99.9))
    grey = Normalize(max(0.0, low - 0.1 * (high - low)), high)
    heat = Normalize(0, TOP * float(out.info["threshold"]))
    for p, plane in enumerate(PLANES):
        images, box, spacing = cut_plane(out, plane, voxel)
        for column in range(3):
            left = LEFT + (3 * p + column) * (TILE + GAP) + p * GAP
            axes = place_axes(figure, left, top, TILE, TILE)
            axes.set_axis_off()
            paint(axes, images, column, grey, heat)
            fit(axes, box, spacing)
            if column == 0:
                write_sides(axes, SIDES[{"axial": 2, "coronal": 1, "sagittal": 0}[plane]])


def find_middle(out):
    """Voxel in the middle of the brain's box."""
    places = np.argwhere(out.brain[0, 0].numpy())
    return ((places.min(0) + places.max(0)) // 2).tolist()


def fit(axes, box, spacing):
    """Show the whole box in a square tile."""
    (first, last), (down, across) = box[0], spacing
    tall, wide = (last - first) * down, (box[1][1] - box[1][0]) * across
    grow = max(0.0, wide - tall) / 2 / down
    frame(axes, ((first - grow, last + grow), box[1]), spacing, 1.0)


def paint(axes, images, column, grey, heat):
    """Paint one tile."""
    if column == 2:
        draw_image(axes, images["anomaly"], heat, MAP)
    else:
        draw_image(axes, images["scan" if column == 0 else "reconstruction"], grey, "gray")
    if column != 1:
        draw_outline(axes, images["detections"], DETECTION, 0.7)


def tell(name, out):
    """Print what was found in a scan."""
    lesions, info = out.lesions(), out.info
    ml = sum(lesion.volume_ml for lesion in lesions)
    p = info.get("headline", {}).get("p_value", info.get("p_value"))
    print(f"{name}: {len(lesions)} detections, {ml:.1f} ml, p {p}")


def main():
    """Read the results, draw and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--names", nargs="*", default=[], metavar="NAME=TITLE", help="rows, in this order")
    options = parser.parse_args()
    namings = {n.name: n for n in find_maps(options.results).values()}
    titles = dict(pair.split("=", 1) for pair in options.names) or {name: name for name in namings}
    rows = []
    for name, title in titles.items():
        out = read_maps(namings[name].files(options.results))
        tell(name, out)
        rows.append((title.replace("\\n", "\n"), out))
    save(draw(rows), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
