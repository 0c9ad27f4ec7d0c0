"""Digests of all that the smoke pipeline makes: two trees of code with equal digests make the same numbers.

    python tests/timings/smoke_digest.py --out before.json
    python tests/timings/smoke_digest.py --compare before.json

Runs the command line of the checkout it lies in, in a folder of its own, with fixed seeds and one thread.
Digests are of voxels and of columns, not of files: compression, seconds, paths and sentences may change,
numbers may not. Compare runs of one machine: another processor rounds otherwise.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
ON_CPU = ("--device", "cpu", "--precision", "fp32")
SIZE = 32
LEFT_OUT = ("seconds", "time", "path", "version", "warning", "error")
"""Columns and keys with one of these in their names may differ from run to run, or with the wording."""

PREDICTIONS: dict[str, list[str]] = {
    "whole": ["--layout", "plain"],
    "spread": [
        *("--sampler", "{name: ensemble, members: 2, inner: {name: oneshot, levels: [10, 20]}}"),
        *("--axes", "axial", "--slices", "14:18", "--seed", "3", "--batch-size", "3"),
    ],
    "fused": [
        *("--sampler", "{name: oneshot, levels: [20]}", "--score", "{name: ssim}"),
        *("--axes", "axial,coronal", "--fusion", "median", "--noise-across", "scan", "--threshold", "otsu"),
    ],
    "patched": [
        *("--sampler", "{name: patched, box: 16, inner: {name: chain, level: 10, steps: 2}}"),
        *("--noise", "{name: gaussian}", "--slices", "14:16", "--threshold", "0.1"),
    ],
    "inverted": [
        *("--sampler", "{name: inversion, level: 20, steps: 4}"),
        *("--slices", "14:16", "--layout", "plain"),
    ],
}
"""Options of each run of predict; phantoms lie as BIDS wants it, and so do results without a layout."""


def diffad(*words: object) -> None:
    """Run one command of the checkout.

    Raises:
        CalledProcessError: If the command fails.
    """
    command = [sys.executable, "-m", "diffad", *map(str, words)]
    print("diffad", *words, file=sys.stderr)
    subprocess.run(command, cwd=ROOT, env=os.environ | THREADS, stdout=sys.stderr, check=True)


def write_slices(folder: Path) -> Path:
    """Write the slices that the benchmark learns from and tests on; return their folder."""
    brain = np.zeros((SIZE, SIZE))
    brain[3:29, 4:28] = 1
    noise = np.random.default_rng(0).random((24, SIZE, SIZE))
    images = {f"{'train' if i < 20 else 'val'}/sub-{i:02}.png": 0.4 + 0.2 * noise[i] for i in range(24)}
    for name, image in {**images, "brain_mask.png": np.ones((SIZE, SIZE))}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * brain * 255).astype(np.uint8)).save(folder / name)
    return folder


def run_commands(work: Path) -> None:
    """Make phantoms, train, predict, evaluate and compare methods, all in one folder."""
    diffad("phantom", "--out", work / "phantoms", "--subjects", 6, "--lesioned", 0.34, "--spacing", 6)
    diffad("train", "smoke", f"output={work / 'runs'}")
    for name, options in PREDICTIONS.items():
        maps = work / "maps" / name
        brain = ("--mask", "_desc-brain_mask", "--model", work / "runs/smoke/pipeline")
        diffad("predict", work / "phantoms/test", "--out", maps, *brain, *ON_CPU, *options)
    tables = [word for end in ("json", "csv") for word in ("--out", work / f"scores.{end}")]
    protocols = ("--protocol", "diffad", "--protocol", "medianomaly", "--folds", 2)
    diffad("evaluate", work / "maps/whole", "--masks", work / "phantoms/lesions", *protocols, *tables)
    slices = write_slices(work / "slices")
    diffad(
        "benchmark", "configs/benchmark_smoke.yaml", f"data.slices={slices}", f"output={work / 'benchmark'}"
    )


def digest(content: Any) -> str:
    """Return the SHA-256 of bytes, or of a plain value as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content, sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()


def volume_digests(path: Path) -> dict[str, Any]:
    """Digest a NIfTI file: what lies in it, not how it was compressed."""
    image = nib.load(path)
    voxels = np.asarray(image.dataobj)
    affine = np.asarray(image.affine, dtype=np.float64)
    return {"shape": [*voxels.shape], "affine": digest(affine.tobytes()), "data": digest(voxels.tobytes())}


def table_digests(path: Path) -> dict[str, str]:
    """Digest each column of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return (
        {key: digest([row[key] for row in rows]) for key in rows[0] if not is_left_out(key)} if rows else {}
    )


def json_digests(path: Path) -> dict[str, str]:
    """Digest each key of a JSON file."""
    return {key: digest(value) for key, value in stripped(json.loads(path.read_text())).items()}


def stripped(value: Any) -> Any:
    """Return a JSON value without the keys that may differ."""
    if isinstance(value, dict):
        return {key: stripped(inner) for key, inner in value.items() if not is_left_out(key)}
    return [stripped(inner) for inner in value] if isinstance(value, list) else value


def is_left_out(key: str) -> bool:
    """Tell whether a column or key may differ from run to run."""
    return any(word in key for word in LEFT_OUT)


def file_digests(work: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Digest every file that has to stay the same, by its path in the working folder."""
    volumes = [p for folder in ("phantoms", "maps") for p in sorted((work / folder).rglob("*.nii.gz"))]
    lesions = sorted((work / "maps").rglob("*lesions*.csv"))
    results = [*sorted((work / "maps").glob("*/results.csv")), work / "benchmark/results.csv"]
    kinds = ((volumes, volume_digests), ([*lesions, *results, work / "scores.csv"], table_digests))
    for paths, digests in kinds:
        yield from ((str(path.relative_to(work)), digests(path)) for path in paths)
    yield "scores.json", json_digests(work / "scores.json")


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Name what differs between two outputs, a line each."""
    lines = [f"{name}: missing now" for name in before if name not in after]
    lines += [f"{name}: new" for name in after if name not in before]
    for name in (n for n in before if n in after):
        keys = dict.fromkeys([*before[name], *after[name]])
        lines += [f"{name}: {k} differs" for k in keys if before[name].get(k) != after[name].get(k)]
    return lines


def main() -> int:
    """Run the pipeline, print its digests and compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the digests to this file instead of printing them")
    parser.add_argument("--compare", type=Path, help="exit 1 unless the digests equal those of this file")
    asked = parser.parse_args()
    before = json.loads(asked.compare.read_text()) if asked.compare else None
    with tempfile.TemporaryDirectory() as folder:
        run_commands(Path(folder))
        found = dict(file_digests(Path(folder)))
    text = json.dumps(found, indent=1)
    asked.out.write_text(f"{text}\n") if asked.out else print(text)
    lines = differences(before, found) if before is not None else []
    print(*(lines or [f"{len(found)} files digested"]), sep="\n", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
