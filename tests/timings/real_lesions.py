"""Real lesions that a model finds: ``python -m tests.timings.real_lesions MAP MASK [MAP MASK ...]``.

MAP is a map of ``diffad predict`` on the scan's own grid, MASK the lesions of the same scan. At
the 1 % and the .1 % threshold of the contrast, and above the volume that healthy heads allow, it prints how
many lesions are touched by a detection, the share of their voxels above the threshold, what is detected in
all, and how much of that lies in a lesion.
"""

import argparse
from pathlib import Path

import numpy as np

from diffad import AnomalyPipeline
from diffad.data.detections import label_detections
from diffad.data.masks import load_mask
from diffad.data.volume import Volume

RATES = (0.01, 0.001)


def find_calibration(pipe, contrast):
    """Return thresholds and cluster sizes of a contrast; those of the model itself where it has none."""
    own = (pipe.config.contrasts or {}).get(contrast)
    return (own or pipe.config)["calibration"]


def measure(scores, lesions, threshold, least_mm3, voxel_mm3):
    """Return lesions that are touched, share of their voxels, detected ml, and ml of it in lesions."""
    pieces = label_detections(scores > threshold)
    large = np.bincount(pieces.ravel()) * voxel_mm3 > least_mm3
    large[0] = False
    detected = large[pieces]
    numbers = label_detections(lesions)
    count = numbers.max()
    touched = len(set(np.unique(numbers[detected])) - {0})
    ml = [mask.sum() * voxel_mm3 / 1000 for mask in (detected, detected & lesions)]
    return f"{touched} of {count} | {(scores[lesions] > threshold).mean():.2f} | {ml[0]:.0f} | {ml[1]:.1f}"


def main():
    """Print a row for each scan and rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pairs", nargs="+", type=Path, help="map and lesion mask, by turns")
    parser.add_argument("--model", default="brain-any")
    parser.add_argument("--contrast", default="T1")
    asked = parser.parse_args()
    calibration = find_calibration(AnomalyPipeline.from_pretrained(asked.model), asked.contrast)
    print("| map | lesions, ml | rate | touched | share of voxels | detected, ml | in lesions, ml |")
    for path, mask in zip(asked.pairs[::2], asked.pairs[1::2], strict=True):
        volume = Volume.load(path)
        scores, voxel = np.asarray(volume.data[0]), abs(np.linalg.det(volume.affine[:3, :3]))
        lesions = np.asarray(load_mask(mask, volume)) > 0
        for rate in map(str, RATES):
            least = calibration["whole"]["clusters"]["few"][rate]
            row = measure(scores, lesions, calibration["thresholds"][rate], least, voxel)
            print(f"| {path.name} | {lesions.sum() * voxel / 1000:.1f} | {rate} | {row} |")


if __name__ == "__main__":
    main()
