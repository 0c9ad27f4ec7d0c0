"""How well a head that was moved, and heads of two people, fit together: the limits of diffad compare.

    python tests/timings/same_person.py FOLDER --mask _label-brain_mask

Every scan of FOLDER is re-scanned in simulation (moved, with other noise, bias and gain) and registered to
itself, and to the next scan, which is of somebody else.
"""

import argparse
from pathlib import Path

import numpy as np

from diffad.data.volume import Volume
from diffad.follow_up.alignment import align_visits
from diffad.follow_up.rescan import rescan
from diffad.follow_up.rigid import measure_motion_distance
from diffad.io.beside import find_mask_beside
from diffad.io.search import find_scans


def load(path, mask):
    volume = Volume.load(path)
    brain = Volume.load(find_mask_beside(path, mask), allow_constant=True).data[0] > 0
    return volume, brain


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mask", default="_brain_mask")
    options = parser.parse_args()
    paths = find_scans([options.folder], options.folder / "none", options.mask).scans
    scans = [load(path, options.mask) for path in paths]
    rows = {"same": [], "other": []}
    for index, (volume, brain) in enumerate(scans):
        again, again_brain, motion = rescan(volume, brain, index)
        same = align_visits(volume, brain, again, again_brain)
        other = align_visits(volume, brain, *scans[(index + 1) % len(scans)])
        points = np.argwhere(brain)[::997] @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        error = measure_motion_distance(np.linalg.inv(motion), same.motion, points)
        rows["same"].append((same.agreement, same.dice, same.disagreement_mm, error))
        rows["other"].append((other.agreement, other.dice, other.disagreement_mm))
        print(paths[index].name, np.round(rows["same"][-1], 3), np.round(rows["other"][-1], 3), flush=True)
    for name, values in rows.items():
        low, high = np.min(values, 0), np.max(values, 0)
        columns = ("agreement", "dice", "disagreement_mm", "error_mm")
        words = [f"{c} {a:.3f} to {b:.3f}" for c, a, b in zip(columns, low, high, strict=False)]
        print(f"{name}, {len(values)}: {', '.join(words)}")


if __name__ == "__main__":
    main()
