"""Make the shares of tissues in the box of a brain from label maps of whole heads, by hand.

python tests/timings/tissue_prior.py FOLDER_OF_LABEL_MAPS diffad/data/prior/tissues.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from diffad.data.brain_box import BOX_SHAPE, find_brain_box

FLUID = (4, 5, 14, 15, 24, 43, 44, 72)
WHITE = (2, 7, 10, 16, 25, 28, 41, 46, 49, 57, 60, 77, 85)
EXTRACEREBRAL = 500
"""Labels from here on are no brain."""


def count_shares(path: Path) -> torch.Tensor:
    """Return the shares of fluid, grey and white matter in the cells of one head's box, (3, *BOX_SHAPE)."""
    labels = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj).squeeze().round()
    brain = (labels > 0) & (labels < EXTRACEREBRAL)
    fluid, white = np.isin(labels, FLUID), np.isin(labels, WHITE)
    # fluid may reach down the spine: the box is that of the tissue with a rim of 2 mm
    box = find_brain_box(torch.from_numpy(brain & ~fluid))
    box = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in box)
    tissues = np.stack([fluid & brain, brain & ~fluid & ~white, white])[(slice(None), *box)]
    return F.adaptive_avg_pool3d(torch.from_numpy(tissues).float(), BOX_SHAPE)


def main(folder: str, out: str) -> None:
    """Average the shares of all label maps of a folder."""
    shares = torch.stack([count_shares(p) for p in sorted(Path(folder).glob("*.nii.gz"))]).mean(0)
    shares = (shares + shares.flip(1)) / 2
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_file({"shares": (shares * 255).round().to(torch.uint8).numpy()}, out)
    print(f"{out}: {tuple(shares.shape)}, mean shares {[round(float(s), 3) for s in shares.mean((1, 2, 3))]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
