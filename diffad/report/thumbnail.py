"""The part of a picture that an index shows in small: the scan and the detections of its worst slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

TILES = "diffad-tiles"
"""Key of the text in a PNG that says where its rows of tiles lie."""


@dataclass(frozen=True)
class TileRow:
    """Where a row of tiles lies in a picture, in pixels from its upper left corner.

    Args:
        size: Width and height of the picture.
        box: Left, top, width and height of the row.
    """

    size: tuple[int, int]
    box: tuple[int, int, int, int]

    def style(self, width: int) -> tuple[str, str]:
        """Return the styles of a frame that is so many pixels wide, and of the picture in it.

        Args:
            width: Width of the frame.
        """
        left, top, full, height = self.box
        scale = width / full
        frame = f"width:{width}px;height:{round(height * scale)}px"
        picture = (
            f"width:{round(self.size[0] * scale)}px;left:{round(-left * scale)}px;top:{round(-top * scale)}px"
        )
        return frame, picture


def describe_tiles(figure: Figure) -> str:
    """Say where the worst row of tiles lies in a picture, for ``read_tiles``.

    Args:
        figure: A picture; the axes of that row carry the label ``worst tile``.
    """
    width, height = (int(inches * figure.dpi) for inches in figure.get_size_inches())
    boxes = [axes.get_position() for axes in figure.axes if axes.get_label() == "worst tile"]
    if not boxes:
        return ""
    left, right = min(box.x0 for box in boxes) * width, max(box.x1 for box in boxes) * width
    top, bottom = (1 - boxes[0].y1) * height, (1 - boxes[0].y0) * height
    values = (width, height, left, top, right - left, bottom - top)
    return " ".join(str(round(value)) for value in values)


def read_tiles(path: Path) -> TileRow | None:
    """Read where the worst row of tiles lies in a picture; none where it does not say, or is no picture."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            values = [int(word) for word in str(picture.info.get(TILES, "")).split()]
    except (OSError, ValueError):
        return None
    if len(values) != 6 or min(values[4:]) < 1 or min(values) < 0:
        return None
    return TileRow((values[0], values[1]), (values[2], values[3], values[4], values[5]))
