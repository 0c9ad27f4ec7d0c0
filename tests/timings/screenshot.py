"""Pictures of pages for the guide: ``python -m tests.timings.screenshot PAGE --out PNG [--at X,Y,Z]``.

Opens the page of a scan, or the index of a cohort, in Chromium without a window; ``--at`` puts the crosshair
there, in mm. It needs Chromium (`apt-get install chromium`), so it is run by hand. The pictures of the guide:

    R=maps/glioma_t1_head_report.html
    python -m tests.timings.screenshot $R --at 39,43,62 --out docs/images/page.png
    python -m tests.timings.screenshot maps/index.html --size 1400,1190 --out docs/images/index.png
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

JUMP = "<script>setTimeout(() => jump([%s]), 6000)</script>"
"""Moves the crosshair once the viewer is there; the time is Chromium's own, which runs as fast as it can."""


def take(page, size, place):
    """Return the picture of a page as Chromium draws it."""
    text = page.read_text(encoding="utf-8") + (JUMP % place if place else "")
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=page.parent, encoding="utf-8") as copy:
        copy.write(text)
        copy.flush()
        picture = Path(copy.name).with_suffix(".png")
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
        command += [f"--screenshot={picture}", f"--window-size={size}", "--hide-scrollbars"]
        subprocess.run([*command, Path(copy.name).absolute().as_uri()], check=True, capture_output=True)
    image = Image.open(picture).convert("RGB")
    picture.unlink()
    return image


def main():
    """Take the picture, and write it in 256 colours, which keeps it small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--at", metavar="X,Y,Z", help="place of the crosshair, in mm")
    parser.add_argument("--size", default="1400,1240", help="width and height in pixels")
    options = parser.parse_args()
    image = take(options.page, options.size, options.at)
    few = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
