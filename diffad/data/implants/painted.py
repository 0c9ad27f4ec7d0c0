"""Healthy heads of any contrast for a set, painted from label maps as whole volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffad.config import SpaceConfig
from diffad.data.implants.plan import seed_generator
from diffad.data.synthetic import WHOLE_BOX, WHOLE_VOXEL, LabelMaps
from diffad.data.volume import Volume
from diffad.io.nifti import stem

HEADS = "painted"
"""Folder of the painted heads in a set."""

SCALE = 1000.0
"""Intensity that 1 becomes."""


def paint_scans(
    labels: Path, contrasts: Sequence[str], out: Path, seed: int = 0, limit: int | None = None
) -> tuple[list[Path], list[Path], list[str]]:
    """Paint each label map of a folder in each contrast; return scans, brain masks and subjects.

    Args:
        labels: Folder of label maps.
        contrasts: Contrasts of the data set ``labels``, such as "t2" and "flair".
        out: Folder of the set; the heads go to ``painted/`` in it.
        seed: Seed of everything.
        limit: Number of label maps, from the first; none for all.

    Raises:
        DataError: If a file is no label map.
        UnknownNameError: If a contrast is unknown.
        OSError: If a file cannot be written.
    """
    folder = out / HEADS
    affine = np.diag([WHOLE_VOXEL] * 3 + [1.0])
    scans, masks, subjects = [], [], []
    for contrast in contrasts:
        heads = _read_heads(labels, contrast, limit)
        folder.mkdir(parents=True, exist_ok=True)
        for number, files in enumerate(heads.scans):
            name = f"{stem(files.files[0])}_{contrast}"
            item = heads.draw(number, seed_generator(seed, name))
            subjects.append(stem(files.files[0]))
            volume = Volume(item.image.numpy() * np.float32(SCALE), affine)
            scans.append(folder / f"{name}.nii.gz")
            masks.append(folder / f"{name}_brain_mask.nii.gz")
            volume.save(np.rint(volume.data[0]).astype(np.int16), scans[-1], dtype=np.int16)
            volume.save(item.mask[0].numpy().astype(np.uint8), masks[-1], dtype=np.uint8)
    return scans, masks, subjects


def _read_heads(labels: Path, contrast: str, limit: int | None) -> LabelMaps:
    space = SpaceConfig(axis="volume", intensity="ct" if contrast == "ct" else "percentile")
    return LabelMaps(
        str(labels),
        "test",
        space,
        contrast=contrast,
        strip=False,
        box=WHOLE_BOX,
        voxel=WHOLE_VOXEL,
        shares={"test": 1.0},
        limit=limit,
    )
