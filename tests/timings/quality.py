"""What healthy, lesioned and degraded scans have of what makes a scan poor: the ranges behind the limits.

    python -m tests.timings.quality BRAINS [--prepared PREPARED] [--people 6]

BRAINS holds ``ixi_hh/val`` and ``ds002748/val``, ``ms_patient07`` and the gliomas; PREPARED what ``diffad
prepare`` wrote of heads of a third site. Degraded scans are made from healthy ones
(``tests/helpers/odd_scans.py``).
"""

import argparse
from pathlib import Path

import numpy as np

from diffad.data.volume import Volume
from diffad.inference.quality import LIMITS, ScanQuality, measure_scan_quality
from diffad.inference.scan import read_source
from tests.helpers.odd_scans import HARMLESS, ODD, Scan, add_ghosts, add_noise, chain, move, thicken
from tests.timings.odd_scans import list_real, list_scans

DEGRADED = {
    **{f"harmless: {name}": change for name, change in HARMLESS.items()},
    "ghosts, 15 %": add_ghosts(0.15),
    "motion of 2 mm and 2 degrees": move(2.0, 2.0),
    "motion of 6 mm and 6 degrees": move(6.0, 6.0, events=8),
    "ghosts, 15 %, in slices of 6 mm": chain(add_ghosts(0.15), thicken(6.0)),
    "noise of 10 %": add_noise(0.1),
    **ODD,
}


def take(source):
    """Return the scan of a source as plain arrays."""
    volume = source.volume
    return Scan(
        np.array(volume.data[0], np.float32), source.brain[0, 0].numpy(), tuple(volume.spacing.tolist())
    )


def measure(scan):
    """Measure a scan of plain arrays."""
    affine = np.diag([*scan.spacing, 1.0])
    return measure_scan_quality(
        read_source(Volume(scan.data[None], affine), Volume(scan.brain[None] * 1.0, affine))
    )


def show(name, rows):
    """Print the range of each number over some scans, and how many are poor, and why."""
    cells = []
    for key in LIMITS:
        values = [row[key] for row in rows if key in row]
        text = (
            f"{min(values):.3g} to {max(values):.3g}"
            if len(values) > 1
            else "".join(f"{v:.3g}" for v in values)
        )
        cells.append(text or "-")
    flags = [ScanQuality(row).flags for row in rows]
    words = sorted({word for own in flags for word in own})
    print(
        f"| {name} | {len(rows)} | {sum(map(bool, flags))} | {', '.join(words)} | {' | '.join(cells)} |",
        flush=True,
    )


def main():
    """Measure all and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("brains", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--people", type=int, default=3, help="healthy scans that are degraded, of each site")
    options = parser.parse_args()
    print(f"| scans | number | poor | flags | {' | '.join(LIMITS)} |")
    print("|" + "---|" * (4 + len(LIMITS)))
    scans = []
    for site in ("ixi_hh", "ds002748"):
        sources = [read_source(p, m) for p, m in list_scans(options.brains / site / "val")]
        show(f"healthy, {site}", [measure_scan_quality(source) for source in sources])
        scans += [take(source) for source in sources[: options.people]]
    for name, path, mask in list_real(options.brains, None, options.prepared):
        if "whole head" not in name:
            show(name, [measure_scan_quality(read_source(path, mask))])
    for name, change in DEGRADED.items():
        rows = []
        for scan in scans:
            try:
                rows.append(measure(change(scan)))
            except ValueError as error:
                print(f"| {name} | refused: {error} |")
        if rows:
            show(name, rows)


if __name__ == "__main__":
    main()
