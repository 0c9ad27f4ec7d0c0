"""Small heads whose every point is known in the world, on any grid."""

import numpy as np

from diffad.data.volume import Volume

CENTRE, RADII = np.array([4.0, -20.0, 10.0]), np.array([60.0, 75.0, 55.0])
LESION = np.array([24.0, 5.0, 18.0])


def world(shape, affine):
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return ijk @ affine[:3, :3].T + affine[:3, 3]


def brain_at(points):
    return (((points - CENTRE) / RADII) ** 2).sum(-1) < 1


def scan_at(points, lesion=True):
    """A brain of 100 with ventricles of 40 in a scalp of 60, and a lesion of 200 with a soft edge."""
    r = (((points - CENTRE) / RADII) ** 2).sum(-1)
    image = np.where(r < 1, 100.0 + 4 * np.sin(points[..., 0] / 4), np.where(r < 1.35, 60.0, 0.0))
    inner = (((points - CENTRE) / (RADII / 4)) ** 2).sum(-1) < 1
    image = np.where(inner, 40.0, image)
    return np.maximum(image, blob(points, LESION) * 200) if lesion else image


def blob(points, centre, sigma=6.0):
    return np.exp(-((points - centre) ** 2).sum(-1) / (2 * sigma**2))


def affine_of(spacing, turn=(0.0, 0.0, 0.0), shear=0.0, flip=(1, 1, 1), shape=(64, 72, 56)):
    """Return an affine that looks at the head's middle; ``turn`` in degrees."""
    axes = np.eye(3)
    for axis, angle in enumerate(np.radians(turn)):
        c, s = np.cos(angle), np.sin(angle)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        one = np.eye(3)
        one[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
        axes = axes @ one
    tilt = np.eye(3)
    tilt[1, 2] = shear
    axes = axes @ tilt @ np.diag(np.array(spacing, dtype=float) * flip)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = CENTRE - axes @ (np.array(shape) - 1) / 2
    return affine


GRIDS = {
    "plain": {"spacing": (3, 3, 3)},
    "anisotropic": {"spacing": (1.6, 2.4, 5.5), "shape": (96, 80, 28)},
    "oblique": {"spacing": (2.8, 3, 3.2), "turn": (18, -9, 25), "shape": (72, 72, 64)},
    "las": {"spacing": (3, 3, 3.5), "flip": (-1, 1, 1)},
    "sheared": {"spacing": (3, 3, 4), "shear": 0.35, "turn": (0, 0, 12), "shape": (64, 80, 48)},
    "oblique las": {"spacing": (2, 2.5, 5), "flip": (-1, 1, 1), "turn": (20, 5, 0), "shape": (84, 88, 40)},
}


def head(name="plain", lesion=True):
    """Return scan, brain and affine of a head on a named grid, in the axes of its file."""
    options = GRIDS[name]
    shape = options.get("shape", (64, 72, 56))
    affine = affine_of(**{**options, "shape": shape})
    points = world(shape, affine)
    return scan_at(points, lesion).astype(np.float32), brain_at(points), affine


def volume(name="plain", lesion=True):
    """Return a head as a volume in RAS, and its brain."""
    import nibabel as nib

    scan, brain, affine = head(name, lesion)
    image, mask = (
        nib.as_closest_canonical(nib.Nifti1Image(x, affine)) for x in (scan, brain.astype(np.uint8))
    )
    return Volume(image.get_fdata()[None], image.affine), mask.get_fdata() > 0


def centroid(weights, affine):
    """Return the centre of mass of a map (I, J, K) in mm."""
    points = world(weights.shape, affine)
    return (points * weights[..., None]).sum((0, 1, 2)) / weights.sum()
