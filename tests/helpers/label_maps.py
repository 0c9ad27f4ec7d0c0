"""Small label maps of heads: nested ellipsoids with the labels of FreeSurfer, MUSE or three tissues."""

import nibabel as nib
import numpy as np

LABELS = {
    "freesurfer": {"csf": 24, "cortex": (3, 42), "white": (2, 41), "ventricle": (4, 43), "head": 507},
    "muse": {"csf": 0, "cortex": (101, 100), "white": (82, 81), "ventricle": (52, 51), "head": 0},
    "tissue": {"csf": 1, "cortex": (2, 2), "white": (3, 3), "ventricle": (1, 1), "head": 0},
}


def make_labels(kind="freesurfer", spacing=(3.0, 3.0, 3.0), seed=0):
    """Return labels (I, J, K), int16, of a head of about 1.3 litres in a box of 190 x 220 x 190 mm."""
    labels = LABELS[kind]
    shape = [round(edge / step) for edge, step in zip((190, 220, 190), spacing, strict=True)]
    x, y, z = (
        (np.arange(n) + 0.5 - n / 2).reshape([-1 if a == b else 1 for b in range(3)]) * step
        for a, (n, step) in enumerate(zip(shape, spacing, strict=True))
    )
    size = 1 + 0.04 * np.random.default_rng(seed).uniform(-1, 1)
    radius = np.sqrt((x / 62) ** 2 + (y / 78) ** 2 + (z / 60) ** 2) / size
    side = np.broadcast_to(x > 0, radius.shape).astype(int)
    data = np.zeros(shape, np.int16)
    data[radius < 1.3] = labels["head"]
    data[radius < 1.08] = labels["csf"]
    for name, outline in (("cortex", radius < 1), ("white", radius < 0.85)):
        data[outline] = np.array(labels[name])[side[outline]]
    ventricle = ((np.abs(x) - 12) / 8) ** 2 + (y / 30) ** 2 + (z / 12) ** 2 < 1
    data[ventricle] = np.array(labels["ventricle"])[side[ventricle]]
    return data


def save_labels(path, kind="freesurfer", spacing=(3.0, 3.0, 3.0), seed=0, data=None):
    """Write a label map, or other values on its grid."""
    data = make_labels(kind, spacing, seed) if data is None else data
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([*spacing, 1.0])), path)
    return path
