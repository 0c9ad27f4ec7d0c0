"""Odd scans, made from a brain as it should be: what a model that knows its domain is asked about."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Scan:
    """One sequence (I, J, K) in RAS with its brain mask and voxel size in mm; 0 outside the brain."""

    data: np.ndarray
    brain: np.ndarray
    spacing: tuple

    def with_data(self, data):
        return replace(self, data=np.where(self.brain, data, 0).astype(np.float32))

    def with_brain(self, brain):
        return Scan(np.where(brain, self.data, 0).astype(np.float32), brain, self.spacing)

    @property
    def bright(self):
        return float(np.percentile(self.data[self.brain], 90))


def keep(axis, low, high):
    """Keep a part of the brain's box along an axis, as a brain extraction or a field of view that is cut."""

    def change(scan):
        ends = ndimage.find_objects(scan.brain.astype(np.uint8))[0][axis]
        length = ends.stop - ends.start
        index = [slice(None)] * 3
        index[axis] = slice(ends.start + round(low * length), ends.start + round(high * length))
        part = np.zeros_like(scan.brain)
        part[tuple(index)] = scan.brain[tuple(index)]
        return scan.with_brain(part)

    return change


def flip(axis):
    return lambda s: replace(s, data=np.flip(s.data, axis).copy(), brain=np.flip(s.brain, axis).copy())


def turn(*order):
    """Take the voxel axes for others, as a header that is wrong does."""

    def change(scan):
        data, brain = (np.ascontiguousarray(v.transpose(order)) for v in (scan.data, scan.brain))
        return Scan(data, brain, tuple(scan.spacing[a] for a in order))

    return change


def take_slices(count):
    def change(scan):
        middle = int(ndimage.center_of_mass(scan.brain)[2])
        index = (..., slice(middle - count // 2, middle - count // 2 + count))
        return Scan(scan.data[index].copy(), scan.brain[index].copy(), scan.spacing)

    return change


def thicken(mm):
    """Average slices to a thickness."""

    def change(scan):
        n = max(1, round(mm / scan.spacing[2]))
        depth = scan.data.shape[2] // n * n
        data, brain = (
            v[..., :depth].astype(np.float32).reshape(*v.shape[:2], -1, n).mean(-1)
            for v in (scan.data, scan.brain)
        )
        spacing = (*scan.spacing[:2], scan.spacing[2] * n)
        return Scan(np.where(brain > 0.5, data / brain.clip(0.1), 0).astype(np.float32), brain > 0.5, spacing)

    return change


def zoom(factor):
    return lambda s: replace(s, spacing=tuple(factor * mm for mm in s.spacing))


def measure_distance(scan, place):
    """Return the distance of voxels, in mm, to a place given as fractions of the brain's box."""
    box = ndimage.find_objects(scan.brain.astype(np.uint8))[0]
    centre = [b.start + f * (b.stop - b.start) for b, f in zip(box, place, strict=True)]
    axes = (np.arange(n, dtype=np.float32) for n in scan.brain.shape)
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.sqrt(sum(((g - c) * mm) ** 2 for g, c, mm in zip(grid, centre, scan.spacing, strict=True)))


def resect(ml, share=0.2):
    """Fill a ball in the right half with dark fluid; outside the mask where ``share`` is 0."""

    def change(scan):
        ball = measure_distance(scan, (0.72, 0.6, 0.6)) < 10 * (3 * ml / (4 * np.pi)) ** (1 / 3)
        if not share:
            return scan.with_brain(scan.brain & ~ball)
        return scan.with_data(np.where(ball, share * scan.bright, scan.data))

    return change


def invert(scan):
    return scan.with_data(np.percentile(scan.data[scan.brain], 99.5) * 1.02 - scan.data.clip(0))


def make_infant(scan):
    """Small, and grey matter brighter than white."""
    share = scan.data / scan.bright
    swapped = np.where(share > 0.55, 1.55 - share, share).clip(0.05)
    return zoom(0.72)(scan.with_data(swapped * scan.bright))


def smooth_field(scan, strength, seed=0, mm=60.0):
    noise = np.random.default_rng(seed).standard_normal(scan.data.shape)
    field = ndimage.gaussian_filter(noise, [mm / s for s in scan.spacing])
    return np.exp(strength * field / np.abs(field[scan.brain]).max())


def shade(strength, seed=0):
    """Multiply by a smooth field between ``exp(-strength)`` and ``exp(strength)``."""
    return lambda s: s.with_data(s.data * smooth_field(s, strength, seed))


def blur(mm):
    def change(scan):
        sigma = [mm / s for s in scan.spacing]
        weight = ndimage.gaussian_filter(scan.brain.astype(np.float32), sigma)
        return scan.with_data(ndimage.gaussian_filter(scan.data, sigma) / weight.clip(1e-3))

    return change


def sharpen(amount):
    return lambda s: s.with_data((s.data + amount * (s.data - blur(2.0)(s).data)).clip(0))


def add_noise(sd, seed=0):
    def change(scan):
        noise = sd * scan.bright * np.random.default_rng(seed).standard_normal((2, *scan.data.shape))
        return scan.with_data(np.hypot(scan.data + noise[0], noise[1]))

    return change


def add_ghosts(share, count=4):
    """Add shifted copies along the phase axis, as a head that moved."""

    def change(scan):
        shift = scan.data.shape[1] // count
        ghosts = sum(np.roll(scan.data, k * shift, 1) for k in range(1, count)) / (count - 1)
        return scan.with_data((1 - share) * scan.data + share * ghosts)

    return change


def move(degrees, mm, events=4, seed=0):
    """Let the head move between lines of the raw data along the phase axis; its middle stays as it is."""

    def change(scan):
        rng, n = np.random.default_rng(seed), scan.data.shape[1]
        still = np.fft.fftshift(np.fft.fftn(scan.data), axes=1)
        ends = [0, *np.sort(rng.integers(0, n, events)), n]
        for first, last in pairwise(ends):
            angle, shift = rng.normal(0, degrees), rng.normal(0, mm, 3) / scan.spacing
            if not first <= n // 2 < last:
                turned = ndimage.rotate(scan.data, angle, axes=(0, 1), reshape=False, order=1)
                moved = np.fft.fftn(ndimage.shift(turned, shift, order=1))
                still[:, first:last] = np.fft.fftshift(moved, axes=1)[:, first:last]
        return scan.with_data(np.abs(np.fft.ifftn(np.fft.ifftshift(still, axes=1))))

    return change


def change_values(function):
    """Change intensities, given as shares of the bright end."""
    return lambda s: s.with_data(function(s.data / s.bright) * s.bright)


def leave_skull(mm):
    """Let the mask reach beyond the brain, over fat as bright as white matter and dark bone."""

    def change(scan):
        pad = [(int(np.ceil(mm / s)) + 1,) * 2 for s in scan.spacing]
        data, brain = np.pad(scan.data, pad), np.pad(scan.brain, pad)
        distance = ndimage.distance_transform_edt(~brain, scan.spacing)
        shell = (distance > 0) & (distance <= mm)
        texture = np.random.default_rng(0).uniform(0.8, 1.2, data.shape) * scan.bright
        rim = np.where(distance > 0.6 * mm, 1.5, 0.15) * texture
        return Scan(np.where(shell, rim, data).astype(np.float32), brain | shell, scan.spacing)

    return change


def make_holes(share, seed=0):
    """Lose pieces of the mask, some 12 mm wide."""

    def change(scan):
        noise = np.random.default_rng(seed).standard_normal(scan.data.shape)
        field = ndimage.gaussian_filter(noise, [6 / s for s in scan.spacing])
        return scan.with_brain(scan.brain & (field > np.quantile(field[scan.brain], share)))

    return change


def rotate(degrees):
    def change(scan):
        options = {"angle": degrees, "axes": (1, 2), "reshape": True}
        weight = ndimage.rotate(scan.brain.astype(np.float32), order=1, **options)
        data, brain = ndimage.rotate(scan.data, order=1, **options) / weight.clip(0.1), weight > 0.5
        return Scan(np.where(brain, data, 0), brain, scan.spacing)

    return change


def chain(*changes):
    def change(scan):
        for one in changes:
            scan = one(scan)
        return scan

    return change


HARMLESS = {
    "as it is": lambda s: s,
    "mirrored left to right": flip(0),
    "a thousand times as bright": change_values(lambda x: 1000 * x),
    "slight bias field": shade(0.15),
    "slight noise": add_noise(0.02),
    "turned by 8 degrees": rotate(8),
    "a lesion of 10 ml": resect(10, 0.45),
}
"""What is within the domain, or cannot be told from it."""
ODD = {
    "left half": keep(0, 0.0, 0.5),
    "right half": keep(0, 0.5, 1.0),
    "lower half": keep(2, 0.0, 0.5),
    "upper half": keep(2, 0.5, 1.0),
    "front half": keep(1, 0.5, 1.0),
    "front 30 % cut off": keep(1, 0.0, 0.7),
    "no cerebellum": keep(2, 0.3, 1.0),
    "back to front": flip(1),
    "upside down": flip(2),
    "back to front and upside down": chain(flip(1), flip(2)),
    "length taken for height": turn(0, 2, 1),
    "width taken for length": turn(1, 0, 2),
    "width taken for height": turn(2, 1, 0),
    "axes moved round": turn(1, 2, 0),
    "5 slices": take_slices(5),
    "slices of 6 mm": thicken(6.0),
    "resection of 60 ml": resect(60),
    "resection of 60 ml, outside the mask": resect(60, 0),
    "child, 80 % in size": zoom(0.8),
    "infant": make_infant,
    "7 T: strong bias, sharp": chain(sharpen(1.0), shade(0.9)),
    "10 mm of skull left": leave_skull(10.0),
    "holes in the mask": make_holes(0.2),
    "inverted": invert,
    "z-scored": lambda s: s.with_data((s.data - s.data[s.brain].mean()) / s.data[s.brain].std()),
    "gamma 3": change_values(lambda x: x**3),
    "gamma 0.3": change_values(lambda x: x.clip(0) ** 0.3),
    "saturated": change_values(lambda x: x.clip(0, 0.7)),
    "few grey values": change_values(lambda x: np.ceil(5 * x) / 5),
    "heavy noise": add_noise(0.25),
    "heavy blur": blur(4.0),
    "ghosts of motion": add_ghosts(0.35),
    "constant added in the brain": change_values(lambda x: x + 2),
    "centimetres for mm": zoom(0.1),
}
"""What a model of T1 brains of adults does not know."""
