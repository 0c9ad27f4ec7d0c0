"""Results of predict on grids of known places, made directly, and objects read back in patient space."""

import json

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image

from diffad.data.volume import Volume
from diffad.inference.lesions import find_lesions, write_lesions
from diffad.io.naming import Naming

from .heads import blob, brain_at, scan_at, world

SPOTS = ((24.0, 5.0, 18.0), (-18.0, -40.0, 22.0), (10.0, -52.0, -8.0))
THRESHOLD = 0.5


def map_at(points, spots=SPOTS):
    """An anomaly map with a peak at each spot, the first the highest."""
    values = sum((1.5 - 0.2 * n) * blob(points, np.array(s), 5.0) for n, s in enumerate(spots))
    return (values * brain_at(points)).astype(np.float32) if len(spots) else np.zeros(points.shape[:-1], "f4")


def write_result(folder, shape, affine, *, spots=SPOTS, name="scan", scan=True, **info):
    """Write what predict writes of a head on a grid; return its files by kind."""
    folder.mkdir(parents=True, exist_ok=True)
    points, files = world(shape, affine), Naming(name).files(folder)
    anomaly = map_at(points, spots)
    arrays = {"anomaly": anomaly, "mask": (anomaly > THRESHOLD).astype(np.uint8)}
    arrays["seen"] = brain_at(points).astype(np.uint8)
    for kind, array in arrays.items():
        nib.save(nib.Nifti1Image(array, affine), files[kind])
    source = folder / "source" / f"{name}.nii.gz"
    if scan:
        source.parent.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(scan_at(points).astype(np.float32), affine), source)
    volume, mask = Volume.load(files["anomaly"], allow_constant=True), arrays["mask"] > 0
    turned = Volume.load(files["mask"], allow_constant=True).data[0] > 0
    assert turned.sum() == mask.sum()
    write_lesions(find_lesions(turned, volume.data[0], volume), folder, name)
    Image.fromarray(np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3)).save(files["report"])
    facts = {"image_score": 1.0, "threshold": THRESHOLD, "scan": [str(source)], **info}
    facts.setdefault("headline", {"model": "tiny"})
    files["info"].write_text(json.dumps(facts))
    return files


def grey_head(shape, affine):
    """Grey values of the head of a result, whole numbers."""
    return np.rint(scan_at(world(shape, affine)) * 4).astype(np.uint16)


def read_frames(path):
    """List (segment or 1, RAS affine of the frame, pixels of the frame) of an object, by pydicom alone."""
    item = pydicom.dcmread(path)
    pixels = item.pixel_array.reshape(-1, item.Rows, item.Columns)
    shared = item.SharedFunctionalGroupsSequence[0]
    frames = []
    for group, frame in zip(item.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        turn = (group if "PlaneOrientationSequence" in group else shared).PlaneOrientationSequence[0]
        size = (group if "PixelMeasuresSequence" in group else shared).PixelMeasuresSequence[0].PixelSpacing
        right, down = np.array(turn.ImageOrientationPatient, float).reshape(2, 3)
        lps = np.eye(4)
        lps[:3, 0], lps[:3, 1] = right * float(size[1]), down * float(size[0])
        lps[:3, 2] = np.cross(right, down)
        lps[:3, 3] = group.PlanePositionSequence[0].ImagePositionPatient
        number = (
            group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            if "SegmentIdentificationSequence" in group
            else 1
        )
        frames.append((int(number), np.diag([-1, -1, 1, 1]) @ lps, frame))
    return frames


def pixels_at(frame):
    """RAS places of the pixels of a frame, (rows, columns, 3)."""
    affine, pixels = frame[1], frame[2]
    rows, columns = np.indices(pixels.shape)
    return affine[:3, 0] * columns[..., None] + affine[:3, 1] * rows[..., None] + affine[:3, 3]
