"""A folder that holds what the pages talk about: scans, masks, slices, models and recipes, all small."""

import csv
import functools
import json
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from diffad import AnomalyPipeline
from tests.helpers.cohorts import write, write_model
from tests.helpers.dicom_series import write_series
from tests.helpers.domains import SPACING, draw_scan, know
from tests.helpers.heads import brain_at, head, world
from tests.helpers.label_maps import save_labels
from tests.helpers.pages import read_blocks
from tests.helpers.recipes import write_recipes

CALIBRATION = {"thresholds": {"0.01": 0.02}, "scans": 4, "pixels": 99}


@functools.cache
def draw(seed, step=2):
    """Draw a stripped T1 scan and its brain, with every second voxel of 4 mm or with all."""
    volume, brain = draw_scan("T1", seed)
    scan, mask = volume.data[0] * 800, brain.numpy().astype(np.uint8)
    return scan[::step, ::step, ::step], mask[::step, ::step, ::step]


def save(path, data, step=2):
    """Write a volume on the grid of these scans."""
    write(path, data, np.diag([SPACING * step] * 3 + [1.0]))


def write_scan(path, seed=0, mask=None, step=2):
    """Write a stripped scan, and its brain mask beside it."""
    scan, brain = draw(seed, step)
    save(path, scan, step)
    if mask:
        save(path.with_name(path.name.replace(".nii.gz", f"{mask}.nii.gz")), brain, step)


def write_scans(folder, count=3, mask="_brain_mask", step=2):
    for seed in range(count):
        write_scan(folder / f"s{seed}.nii.gz", seed, mask, step)


def write_lesions(folder, end="_lesion"):
    """Write a lesion mask for each of the scans, as their names are."""
    lesion = np.zeros_like(draw(0)[1])
    lesion[7:10, 10:13, 8:10] = 1
    for seed in range(3):
        save(folder / f"s{seed}{end}.nii.gz", lesion * draw(seed)[1])


def write_bids(folder):
    """Write a BIDS data set of two subjects."""
    for number in (1, 2):
        write_scan(folder / f"sub-0{number}" / "anat" / f"sub-0{number}_T1w.nii.gz", number)
    text = json.dumps({"Name": "stage", "BIDSVersion": "1.8.0"})
    (folder / "dataset_description.json").write_text(text)


def write_brats(folder):
    """Write two cases of BraTS 2021, each with four sequences and a segmentation."""
    for number in range(2):
        name = f"BraTS2021_{number:05}"
        for seed, what in enumerate(("t1", "t1ce", "t2", "flair")):
            write_scan(folder / name / f"{name}_{what}.nii.gz", 4 * number + seed)
        save(folder / name / f"{name}_seg.nii.gz", draw(4 * number)[1] * 4)


def write_head(path, lesion=True):
    """Write a head with its scalp."""
    scan, _, affine = head("plain", lesion)
    write(path, scan[::2, ::2, ::2], affine @ np.diag([2, 2, 2, 1]))


def write_dicom(folder):
    """Write a DICOM series of a head."""
    scan, _, affine = head("plain")
    voxels = np.clip(np.round(scan[::2, ::2, ::2] * (1000 / scan.max())), 0, None)
    write_series(folder, voxels, affine @ np.diag([2, 2, 2, 1]), number=4)


def write_study(folder):
    """Write the head as a DICOM series."""
    scan, _, affine = head("plain")
    write_series(folder, scan[::2, ::2, ::2], affine @ np.diag([2, 2, 2, 1]))


def write_ct(folder):
    """Write a CT: brain in a skull and a scalp, on air."""
    _, _, affine = head("plain")
    points, middle = world((64, 72, 56), affine), np.array([4.0, -20, 10])
    image = np.full((64, 72, 56), -1000.0, dtype=np.float32)
    for size, value in ((1.22, 20.0), (1.12, 900.0), (1.0, 35.0)):
        image[brain_at(middle + (points - middle) / size)] = value
    write(folder / "ct.nii.gz", image, affine)


def write_slices(folder):
    """Write healthy slices, with a brain mask for all and labels by file."""
    picture = draw(0)[0][..., 10].T / 800
    box = np.zeros((48, 48))
    box[: picture.shape[0], : picture.shape[1]] = picture[:48, :48]
    names = [f"{'train' if i < 18 else 'val'}/sub-{i:02}.png" for i in range(22)]
    random = np.random.default_rng(0)
    for name in names:
        noise = box * 0.7 * (1 + 0.1 * random.random(box.shape))
        save_picture(folder / name, noise)
    save_picture(folder / "brain_mask.png", box > 0)
    return names


def save_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(path)


def write_labelled_slices(folder):
    """Write slices, and a table beside the folder that says which are diseased."""
    names = write_slices(folder)
    with (folder.parent / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *((name, i % 2) for i, name in enumerate(names))])


def write_brains(folder):
    """Write the folder of the whole-brain recipe: T1 of two sites, and label maps."""
    for site, end in (("ixi_hh", "_label-brain_mask"), ("ds002748", None)):
        for split, seeds in (("train", (0, 1)), ("val", (2, 3))):
            for seed in seeds:
                name = f"sub-{site[:3]}{seed}_T1w.nii.gz"
                write_scan(folder / site / split / name, seed, mask=None)
                if end:
                    save(folder / site / split / f"sub-{site[:3]}{seed}{end}.nii.gz", draw(seed)[1])
                    labels = folder / site / split / f"sub-{site[:3]}{seed}_label-muse_dseg.nii.gz"
                    save_labels(labels, "muse", seed=seed)
    write_maps(folder / "label_maps")


def write_maps(folder, end="_dseg"):
    """Write label maps of heads, in two splits."""
    for split, seeds in (("train", (0, 1)), ("val", (2,))):
        for seed in seeds:
            save_labels(folder / split / f"sub-m{seed}{end}.nii.gz", seed=seed)


def write_stand_in(folder, **settings):
    """Write a tiny network, calibrated, that knows T1 scans; it takes the place of a shipped one."""
    stored = {
        "calibration": CALIBRATION,
        "domain": [know("T1").to_dict()],
        "provenance": {"name": folder.name},
    }
    return write_model(folder, levels=1000, settings=stored | settings)


def push_stand_in(name):
    """Publish the tiny model on the hub, which is on this machine."""
    AnomalyPipeline.from_pretrained(write_stand_in(Path("published"))).push_to_hub(name)


def write_ct_model(folder):
    return write_model(folder, settings={"calibration": CALIBRATION, "space": {"size": 32, "low": 1.0}})


def write_people(path):
    """Write a table of the people whose scans are there."""
    rows = [("participant_id", "diagnosis"), ("s0", "HC"), ("s1", "MDD"), ("s2", "HC")]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def write_noise(path):
    """Write the noise that CONTRIBUTING shows."""
    blocks = [b.text for b in read_blocks("CONTRIBUTING.md") if b.kind == "python"]
    path.write_text(next(text for text in blocks if "@NOISES.register" in text))


def write_package(folder):
    """Write a module of networks that can be imported."""
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "networks.py").write_text('"""Networks."""\n')


PROPS = {
    "scans": write_scans,
    "training_scans": write_scans,
    "controls": lambda path: write_scans(path, 4),
    "lesion_masks": write_lesions,
    "lesions": write_lesions,
    "heads": lambda path: write_head(path / "h1.nii.gz"),
    "head.nii.gz": write_head,
    "study/t1": write_study,
    "bids": write_bids,
    "ct": write_ct,
    "dicom": write_dicom,
    "slices": write_labelled_slices,
    "my_healthy_slices": write_slices,
    "PATH/ixi_t1_axial": write_slices,
    "PATH/val": lambda path: write_scans(path, 2, "_label-brain_mask", step=1),
    "PATH/train": lambda path: write_scans(path, 4, "_label-brain_mask", step=1),
    "BraTS2021_Training": write_brats,
    "scan.nii.gz": write_scan,
    "sub-01_T1w.nii.gz": write_scan,
    "sub-01_T1w_brain.nii.gz": write_scan,
    "t1.nii.gz": write_head,
    "flair.nii.gz": lambda path: write_head(path, lesion=False),
    "people.tsv": write_people,
    "my_noise.py": write_noise,
    "my_package": write_package,
    "BRAINS": write_brains,
    "MAPS": write_maps,
    "label_maps": write_maps,
    "MODEL": write_stand_in,
    "OWNER/NAME": lambda path: push_stand_in("OWNER/NAME"),
    "models/ours": write_stand_in,
    "models/ct": write_ct_model,
    "CONFIG": lambda path: shutil.copy(path.parent / "configs" / "smoke.yaml", path),
}  # fmt: skip
"""What may stand on the stage, and what makes it."""


def set_stage(folder, text):
    """Write what a page names into an empty folder."""
    write_recipes(folder / "configs")
    for name, make in PROPS.items():
        is_made = re.search(rf"--out {re.escape(name)}(?=\s)", text)
        if re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w-])", text) and not is_made:
            make(folder / name)
