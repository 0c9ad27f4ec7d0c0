"""Peak memory of ``diffad predict``, by size of volume: ``python tests/timings/memory.py [--prepare]``.

Prints the peak of the whole process and, between a small and a large volume, the bytes for each voxel. Few
slices are looked at, as memory does not depend on how many.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPES = ((64, 64, 64), (256, 256, 200), (512, 512, 300))


def scan(path: Path, shape: tuple[int, int, int], head: bool) -> Path:
    """An ellipsoid with texture, in HU if it has a skull around it."""
    axes = np.ogrid[tuple(slice(-1, 1, complex(0, n)) for n in shape)]
    radius = sum((a / 0.8) ** 2 for a in axes).astype(np.float32)
    noise = np.random.default_rng(0).integers(0, 30, shape, dtype=np.int16)
    data = np.where(radius < 0.81, 20 + noise, -1000 if head else 0).astype(np.int16)
    if head:
        data[(radius >= 0.81) & (radius < 1)] = 1200
    spacing = [190 / n for n in shape]
    nib.save(nib.Nifti1Image(data, np.diag([*spacing, 1])), path)
    return path


def peak(words: list[str]) -> float:
    """Run a command and return its peak memory, in GB."""
    process = subprocess.Popen([sys.executable, "-m", "diffad.predict", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, words
    return usage.ru_maxrss * 1024 / 1e9


def run(*options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = []
        ready = ["--prepare", "--modality", "ct", "--register", "rigid"] if "--prepare" in options else []
        few = ["--sampler", "{name: oneshot, levels: [200]}", "--threshold", "otsu"]
        for shape in SHAPES[1 if ready else 0 :]:
            path = scan(Path(folder) / f"{shape[0]}.nii.gz", shape, bool(ready))
            middle = 90 if ready else shape[2] // 2
            out = ["--out", f"{folder}/{shape[0]}", "--slices", f"{middle}:{middle + 4}"]
            found.append((np.prod(shape, dtype=np.int64), peak([str(path), *out, *few, *ready])))
            print(f"{shape}: {found[-1][0] / 1e6:.1f} million voxels, peak {found[-1][1]:.2f} GB", flush=True)
        (small, low), (large, high) = found[0], found[-1]
        print(f"{(high - low) * 1e9 / (large - small):.0f} bytes for each voxel more")


if __name__ == "__main__":
    run(*sys.argv[1:])
