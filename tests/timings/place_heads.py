"""Heads with labels for the atlas of place names: read, put at 2 mm, and registered to the template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from diffad.data.synthesis.tissues import FREESURFER
from diffad.data.volume import Array, Volume
from diffad.prepare.mni import register_to_template
from diffad.prepare.options import PrepareOptions
from diffad.prepare.record import Record

BRIGHTNESS = {
    "csf": 0.0,
    "background": 0.0,
    "ventricle": 0.12,
    "choroid": 0.3,
    "cortex": 0.6,
    "white": 1.0,
    "cerebellum": 0.6,
    "cerebellar-white": 0.95,
    "thalamus": 0.75,
    "caudate": 0.62,
    "putamen": 0.68,
    "pallidum": 0.85,
    "hippocampus": 0.58,
    "ventral-dc": 0.85,
    "brain-stem": 0.88,
    "vessel": 0.4,
}
"""Brightness of the tissues in a T1, to paint heads of which there are labels alone."""


@dataclass(frozen=True, eq=False)
class LabelledHead:
    """A head at 2 mm.

    Args:
        name: Its name.
        kind: "muse" or "freesurfer".
        image: T1, measured or painted, 0 outside the brain, (I, J, K).
        brain: Brain mask, (I, J, K), bool.
        labels: Labels of that kind, (I, J, K).
        affine: Voxel to world matrix, (4, 4).
    """

    name: str
    kind: str
    image: Array
    brain: Array
    labels: Array
    affine: Array


def read_muse(path: Path) -> LabelledHead:
    """Read a T1 of ``ixi_hh`` with its brain mask and labels; all have voxels of 2 mm, in RAS."""
    scan = Volume.load(path)
    brain, labels = (
        Volume.load(str(path).replace("T1w", f"label-{kind}")).data[0] for kind in ("brain_mask", "muse_dseg")
    )
    name = path.name.partition("_")[0]
    return LabelledHead(name, "muse", scan.data[0], brain > 0, labels.astype(np.int16), scan.affine)


def read_label_map(path: Path) -> LabelledHead:
    """Read a label map of 1 mm, take every second voxel, and paint a T1."""
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).squeeze().round().astype(np.int16)[::2, ::2, ::2]
    brightness = np.zeros(1024, dtype=np.float32)
    for label, tissue in FREESURFER.items():
        brightness[label] = BRIGHTNESS[tissue]
    painted = brightness[labels]
    affine = image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    return LabelledHead(path.name.partition(".")[0], "freesurfer", painted, painted > 0, labels, affine)


def read_heads(brains: Path, split: str, step: int) -> Iterator[LabelledHead]:
    """Read every ``step``-th head of a split of ``ixi_hh``; with "train", all label maps too."""
    for path in sorted((brains / "ixi_hh" / split).glob("*_T1w.nii.gz"))[::step]:
        yield read_muse(path)
    if split == "train":
        for path in sorted((brains / "label_maps").glob("*.nii.gz")):
            yield read_label_map(path)


def register_head(head: LabelledHead, cache: Path) -> Array:
    """Return the map from template world to the world of a head, from the cache where it is there."""
    matrices = json.loads(cache.read_text()) if cache.exists() else {}
    if head.name not in matrices:
        record = Record()
        volume = Volume(head.image[None], head.affine)
        options = PrepareOptions(brain="given", threads=1)
        matrix = register_to_template(head.image, head.brain, volume, options, record)
        print(f"{head.name}: Dice {record.steps[0]['dice']}, {record.warnings or 'no warning'}", flush=True)
        matrices[head.name] = matrix.tolist()
        cache.write_text(json.dumps(matrices))
    return np.array(matrices[head.name])


if __name__ == "__main__":
    import sys

    for head_set, every in (("val", 1), ("train", 4)):
        for one in read_heads(Path(sys.argv[1]), head_set, every):
            register_head(one, Path(sys.argv[2]))
